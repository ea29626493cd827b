"""The layers. They take plain arguments and know no recipe."""
