"""Models: features to a stem, a stack and decoders; and three families with named sizes."""
