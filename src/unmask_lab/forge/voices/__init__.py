"""Families of made voices for training. Each module is one family: `CARD` and ``forge(job)``."""
