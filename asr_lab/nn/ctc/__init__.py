"""CTC: head, search, alignment."""
