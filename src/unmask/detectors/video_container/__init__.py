"""The detector `video.container`."""
