"""The body of each command: a function that returns a result, for the command line and for Python."""
