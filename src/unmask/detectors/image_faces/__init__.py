"""Faces as facts: where they are, how large and how sharp."""
