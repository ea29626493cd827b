"""The loop, its state, checkpoints and metrics."""
