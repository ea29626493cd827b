"""The asrlab command: it parses, calls one function, prints."""
