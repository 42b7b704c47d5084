"""Compression history of a picture, and parts that differ from it."""
