"""The process that writes words down: the only place that imports faster-whisper. Run by `unmask.voices.words`.

A JSON line on stdin names the model's folder (checked by whoever asks) and how many samples each piece has; the pieces
follow as little-endian float32 at 16 kHz. A JSON line goes to stdout: for each piece its words as [start, end, text].
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

_RATE = 16000
_REPEATS = 2.4
"""Text that is packed better than so repeats itself: the recogniser has lost the thread (Radford et al. 2022)."""


def main() -> None:
    """Answer one question. Raises whatever the recogniser raises: whoever asks sees the exit status alone."""
    out = os.dup(1)
    os.dup2(2, 1)  # nothing a library prints may get into the answer
    head = json.loads(sys.stdin.buffer.readline())
    waves = [np.frombuffer(sys.stdin.buffer.read(4 * n), "<f4").astype(np.float32) for n in head["samples"]]
    answer = words_of(head["model"], waves)
    with os.fdopen(out, "wb") as file:
        file.write(json.dumps(answer).encode())


def words_of(folder: str, waves: list[Any]) -> list[list[list[Any]]]:
    """Words of each of (samples,) at 16 kHz as [start, end, text], seconds from the piece's start.

    The most likely word each time and no earlier text, so that one piece gives one answer. The language is heard in
    the longest piece.
    """
    from faster_whisper import WhisperModel

    model = WhisperModel(
        folder, device="cpu", compute_type="float32", cpu_threads=1, num_workers=1, local_files_only=True
    )
    language: str | None = None
    found: dict[int, list[list[Any]]] = {}
    for i in sorted(range(len(waves)), key=lambda i: -len(waves[i])):
        if len(waves[i]) < _RATE // 10:
            found[i] = []
            continue
        segments, info = model.transcribe(
            waves[i],
            language=language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        language = language or info.language
        kept = [s for s in segments if s.compression_ratio <= _REPEATS]
        found[i] = [[float(w.start), float(w.end), str(w.word)] for s in kept for w in s.words or ()]
    return [found[i] for i in range(len(waves))]


if __name__ == "__main__":
    main()
