"""Fast paths, each beside its naive twin."""
