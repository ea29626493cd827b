"""The only code that knows both the recipe and the objects."""
