"""Families of made pictures for training. Each module is one family: `CARD` and ``forge(job)``."""
