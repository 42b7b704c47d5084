"""The detector `audio.container`."""
