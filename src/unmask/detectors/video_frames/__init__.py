"""Repeated, removed, moved or reversed frames."""
