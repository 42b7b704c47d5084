"""The kit's bona fide films, played as streams: no label may appear, as they are and recompressed.

Stricter than the product: windows of six seconds, each counted by itself instead of three longer ones in a row.
"""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from unmask.live import LiveOptions, watch
from unmask.live.events import Ended, State
from unmask.live.settings import LiveSettings, read_settings

SECONDS = 6.6
FILMS = 11


def strict() -> LiveSettings:
    settings = read_settings()
    windows = {"swap_seconds": 6.0, "synthetic_seconds": 6.0, "synthetic_every": 1.4, "voice_seconds": 3.0}
    counts = {"in_a_row": 1, "voice_least": 2, "voice_every": 1.0}
    return settings.model_copy(
        update={
            "windows": settings.windows.model_copy(update=windows | counts),
            "looking": settings.looking.model_copy(update={"per_second": 2.0}),
        }
    )


def recompressed(film: Path, place: Path) -> Path:
    """The first seconds at 60 % of the size, H.264 at CRF 30, sound as AAC at 48 kbit/s."""
    with av.open(str(film)) as source, av.open(str(place), "w") as out:
        video = source.streams.video[0]
        sound = next(iter(source.streams.audio), None)
        stream = out.add_stream("libx264", rate=video.average_rate, options={"crf": "30", "preset": "veryfast"})
        stream.width, stream.height = (int(side * 0.6) // 2 * 2 for side in (video.width, video.height))
        stream.pix_fmt = "yuv420p"
        voice = out.add_stream("aac", rate=44100, layout="mono", bit_rate=48000) if sound else None
        resampler = av.AudioResampler("fltp", "mono", 44100)
        for frame in source.decode(*(s for s in (video, sound) if s is not None)):
            if frame.time is not None and frame.time > SECONDS + 0.5:
                break
            if isinstance(frame, av.VideoFrame):
                small = frame.reformat(stream.width, stream.height, "yuv420p")
                small.pict_type = 0
                out.mux(stream.encode(small))
            elif voice is not None:
                for part in resampler.resample(frame):
                    out.mux(voice.encode(part))
        out.mux(stream.encode(None))
        if voice is not None:
            out.mux(voice.encode(None))
    return place


@pytest.mark.kit
@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["as it is", "recompressed"])
@pytest.mark.parametrize("number", range(FILMS))
def test_no_label_on_a_bona_fide_film(kit: Path, tmp_path: Path, number: int, again: bool) -> None:
    films = sorted((kit / "video" / "real").rglob("*.mp4"))
    if number >= len(films):
        pytest.skip("the kit has fewer films")
    film = recompressed(films[number], tmp_path / "again.mp4") if again else films[number]
    events = list(watch(str(film), LiveOptions(fast=True, seconds=SECONDS), settings=strict()))
    ended = events[-1]
    assert isinstance(ended, Ended)
    last = [event for event in events if isinstance(event, State)][-1]
    raws = {q.question: q.raw for q in last.questions if q.raw is not None}
    print(film.stem, films[number].stem, raws, ended.gravest, ended.windows)
    assert ended.gravest in ("inconclusive", "no_sign_found"), raws
