"""Whether mouth and sound go together, and how far apart in time."""
