"""Renderers. They read a Report and nothing else, so an old report renders again."""
