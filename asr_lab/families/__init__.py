"""The named sizes of the three families."""
