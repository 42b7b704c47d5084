"""Families of forged faces. Each module with a `CARD` is one family: ``forge(job)`` yields what it made of one face."""
