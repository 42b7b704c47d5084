"""Laundering: what happens to media on their way through the world, the same for both classes."""
