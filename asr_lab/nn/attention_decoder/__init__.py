"""The attention decoder: head, beam search, alignment by where it looks."""
