"""Arithmetic whose bits depend on neither processor, threads nor the cut of a batch."""
