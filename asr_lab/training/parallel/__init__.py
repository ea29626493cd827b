"""Training one model with several processes: who they are, how a step is shared, and what keeps them in step."""
