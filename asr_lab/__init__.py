"""ASR Lab: a declarative laboratory for speech recognition."""
