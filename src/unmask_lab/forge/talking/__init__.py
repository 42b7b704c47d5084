"""Families of forged talking heads. Each module with a `CARD` is one: ``forge(job)`` yields what it made of a clip."""
