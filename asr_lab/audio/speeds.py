"""How much slower and faster speech is made: it is to be understood still, and to hold its text."""

SLOWEST, FASTEST = 0.5, 2
"""By all augmentations together at most; utterances that could not bear the fastest are marked as tight."""
