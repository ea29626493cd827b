"""The attention decoder: head, beam search, alignment by its attention weights."""
