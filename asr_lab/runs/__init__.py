"""Run directories: identity, locks, dispatch and the job."""
