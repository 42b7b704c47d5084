"""Named limits. They guard against hostile files; raise them with `Options.limits` or the command line."""

from __future__ import annotations

MAX_MEMORY_MB = 2048
MAX_CPU_SECONDS = 600
MAX_WALL_SECONDS = 300.0
MAX_PIXELS = 120_000_000
MAX_FRAMES = 200_000
MAX_DURATION_SECONDS = 4 * 3600.0
MAX_BYTES = 8 * 1024**3
# Parsed before anything is decoded, so they stay small whatever the options say.
MAX_BOX_DEPTH = 32
MAX_BOXES = 20_000
MAX_METADATA_BYTES = 16 * 1024**2
