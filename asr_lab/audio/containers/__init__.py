"""How audio is laid out in containers: which bytes make a stream, what headers promise, where another begins."""
