"""Text: normalising steps, and what tokenizers share."""
