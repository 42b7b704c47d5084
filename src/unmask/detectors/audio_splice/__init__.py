"""Joins inside a recording."""
