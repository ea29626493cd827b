"""Utterances to batch plans to batches. lhotse stops here."""
