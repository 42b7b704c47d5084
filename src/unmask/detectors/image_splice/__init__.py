"""Regions that do not fit the rest of the picture, found by a trained net."""
