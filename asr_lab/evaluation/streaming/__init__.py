"""What a model streams beside what it computes offline: proof, latency, table, curve."""
