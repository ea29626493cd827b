"""Runs: directories named by a recipe's hash, their locks and records, and the job that trains in them."""
