"""The detector `image.metadata`."""
