"""The words of suspicious stretches, where the extra ``[words]`` is installed; they never change a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unmask.evidence import fact, segments
from unmask.media.sound import Sound
from unmask.options import Options
from unmask.report import Evidence
from unmask.voices.words import Stretch, Transcriber, WordsError, quotes, transcriber

TITLE = "Words spoken"
HOW = "pip install 'unmask-media[words]' and unmask models get whisper-base"


def quoted(
    sound: Sound,
    stretches: Sequence[Stretch],
    parameters: Mapping[str, float],
    options: Options,
    recogniser: Transcriber | None = None,
) -> list[Evidence]:
    """What is said in suspicious stretches (seconds, the gravest first); nothing where there is none.

    Args:
        sound: at 16 kHz.
        stretches: where the voice sounds like a machine's.
        parameters: of the card: ``words_seconds`` of sound at most, ``words_limit`` seconds by the clock.
        options: a recogniser may take a fifth of the time that a subject may.
        recogniser: another than the installed one.
    """
    if not stretches:
        return []
    recogniser = recogniser or transcriber()
    if recogniser is None:
        text = f"With the words spoken here a reader finds the place sooner. To have them: {HOW}."
        return [fact(TITLE, "not read", "extra [words], not installed", text)]
    limit = min(parameters["words_limit"], options.limits.wall_seconds / 5)
    try:
        found = quotes(sound, stretches, parameters["words_seconds"], limit, recogniser)
    except WordsError as error:
        return [fact(TITLE, "not read", "extra [words]", str(error))]
    items = [(q.start, q.end, f"“{q.text}”" if q.text else "no words were recognised") for q in found]
    text = (
        "Written down by a speech recogniser (Whisper base), which mishears and invents words: listen before you quote."
    )
    return [segments(TITLE, text, items)] if items else []
