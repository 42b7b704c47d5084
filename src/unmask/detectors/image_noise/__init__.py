"""Regions whose noise does not fit the rest of the picture."""
