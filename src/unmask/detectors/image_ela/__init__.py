"""Error level analysis, a picture only."""
