"""The slots of a recipe: a folder each, a module a choice, a section in each that loads without torch."""
