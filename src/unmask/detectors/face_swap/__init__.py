"""Faces that were blended into a picture."""
