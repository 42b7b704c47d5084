"""Can frames that were computed from their neighbours be told from frames that a camera took? A study, not a detector.

An interpolated frame lies exactly between its neighbours, is predicted by them and is a little softer, and every second
frame is so. Four curves are taken of every film: acceleration of the motion, error of the motion-compensated and of the
plain prediction from both neighbours, and fine detail; each against the mean of the frames around it. How well odd and
even frames are told apart in them is the answer. B-frames behave alike, so each is also held against frames of its own
place between two anchors only. P. Bestagini, S. Battaglia, S. Milani, M. Tagliasacchi, S. Tubaro: Detection of temporal
interpolation in video sequences. ICASSP 2013 (prediction); Y. Yao, G. Yang, X. Sun, L. Li: Detecting video frame-rate
up-conversion based on periodic properties of edge-intensity. J. of Information Security and Applications 26, 2016
(detail); D.-J. Jung, H.-K. Lee: Frame-rate conversion detection based on periodicity of motion artifact. Multimedia
Tools and Applications 77, 2018 (motion).

Run as ``python -m unmask_lab.evaluate.interpolated KIT FOLDER [MORE]``; what was measured is kept in FOLDER.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask_lab.forge.av_io import read_film
from unmask_lab.forge.talking import making
from unmask_lab.forge.talking.interpolate import between

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]
Clip = list[NDArray[np.uint8]]

FRAMES, LONG_SIDE, SMALL = 96, 640, 128
CURVES = {
    "acceleration": "acc",
    "compensated prediction": "mc",
    "plain prediction": "lin",
    "fine detail": "sh",
}
TYPES = {1: "I", 2: "P", 3: "B", 5: "I", 6: "P", 7: "B"}


@dataclass(frozen=True)
class Coding:
    """H.264 at ``crf`` and ``share`` of the size; ``options`` beside x264's preset veryfast."""

    crf: int
    share: float = 1.0
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Variant:
    """What becomes of a film: frames made (or none), then one or two codings."""

    title: str
    make: Callable[[Clip], Clip] | None
    codings: tuple[Coding, ...]


def halved(frames: Clip) -> Clip:
    """Every second frame computed from its neighbours by optical flow."""
    out = list(frames)
    for i in range(1, len(frames) - 1, 2):
        out[i] = between(frames[i - 1], frames[i + 1])
    return out


def doubled(frames: Clip, mode: str) -> Clip:
    """So many frames again between those of the first half, by FFmpeg's ``minterpolate`` (``mci`` or ``blend``)."""
    h, w = frames[0].shape[:2]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=w, height=h, format="yuv420p", time_base=Fraction(1, 25))
    how = "mci:mc_mode=aobmc:vsbmc=0" if mode == "mci" else mode
    step, sink = graph.add("minterpolate", f"fps=50:mi_mode={how}:scd=none"), graph.add("buffersink")
    source.link_to(step)
    step.link_to(sink)
    graph.configure()
    out: Clip = []
    for i, rgb in enumerate(frames[: len(frames) // 2 + 4]):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        graph.push(frame)
        out += _pulled(graph)
    return out[: len(frames)]


def _pulled(graph: av.filter.Graph) -> Iterator[NDArray[np.uint8]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if isinstance(frame, av.VideoFrame):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


_ONE_B = (("bf", "1"), ("b_strategy", "0"))
_NO_B = (("bf", "0"),)
VARIANTS = {
    "h20": Variant("untouched, CRF 20", None, (Coding(20),)),
    "h30": Variant("untouched, CRF 30", None, (Coding(30),)),
    "h38-20": Variant("untouched, CRF 38 at half size, then 20", None, (Coding(38, 0.5), Coding(20))),
    "b1-32-20": Variant("untouched, CRF 32 with single B-frames, then 20", None, (Coding(32, 1.0, _ONE_B), Coding(20))),
    "b1-38-20": Variant(
        "untouched, CRF 38 at half size with single B-frames, then 20", None, (Coding(38, 0.5, _ONE_B), Coding(20))
    ),
    "b1-32-20p": Variant(
        "untouched, CRF 32 with single B-frames, then 20 without any",
        None,
        (Coding(32, 1.0, _ONE_B), Coding(20, 1.0, _NO_B)),
    ),
    "dis2-20p": Variant(
        "every second frame by optical flow, CRF 20 without B-frames", halved, (Coding(20, 1.0, _NO_B),)
    ),
    "dis2-20": Variant("every second frame by optical flow, CRF 20", halved, (Coding(20),)),
    "dis2-30": Variant("every second frame by optical flow, CRF 30", halved, (Coding(30),)),
    "mci2-20": Variant("doubled by motion compensation, CRF 20", lambda c: doubled(c, "mci"), (Coding(20),)),
    "blend2-20": Variant("doubled by blending, CRF 20", lambda c: doubled(c, "blend"), (Coding(20),)),
}
SINGLE = ("h20", "h30")
"""Untouched and coded once here: of these the level is taken."""


def coded(frames: Sequence[NDArray[np.uint8]], how: Coding) -> io.BytesIO:
    """A Matroska file in memory, 25 frames a second."""
    h, w = frames[0].shape[:2]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = (round(v * how.share) // 2 * 2 for v in (w, h))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(how.crf), "preset": "veryfast", "threads": "1", **dict(how.options)}
        for rgb in frames:
            size = (stream.width, stream.height)
            small = rgb if size == (w, h) else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    return buffer


def decoded(buffer: io.BytesIO) -> tuple[Clip, list[str]]:
    """RGB frames and their types, I, P or B."""
    with av.open(buffer) as container:
        found = [
            (f.to_ndarray(format="rgb24"), TYPES.get(int(f.pict_type), "?"))
            for f in container.decode(container.streams.video[0])
        ]
    return [np.asarray(rgb, np.uint8) for rgb, _ in found], [kind for _, kind in found]


def curves(frames: Sequence[NDArray[np.uint8]]) -> dict[str, Floats]:
    """(n,) each, NaN at both ends: the four curves by their short names, in pixels and grey levels."""
    grey = [np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8) for rgb in frames]
    unit = min(1.0, SMALL / max(grey[0].shape))
    size = tuple(max(16, round(v * unit)) for v in grey[0].shape[::-1])
    small = [np.asarray(cv2.resize(g, size, interpolation=cv2.INTER_AREA), np.uint8) for g in grey]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow.setFinestScale(0)
    out = {name: np.full(len(grey), np.nan) for name in CURVES.values()}
    for i in range(1, len(grey) - 1):
        before, now, after = (small[k].astype(np.float32) for k in (i - 1, i, i + 1))
        back, forth = flow.calc(small[i], small[i - 1], None), flow.calc(small[i], small[i + 1], None)
        middle = (_moved(before, back) + _moved(after, forth)) / 2
        out["acc"][i] = np.linalg.norm(back + forth, axis=2).mean()
        out["mc"][i] = np.abs(now - middle).mean()
        out["lin"][i] = np.abs(now - (before + after) / 2).mean()
        out["sh"][i] = cv2.absdiff(grey[i], cv2.GaussianBlur(grey[i], (0, 0), 1.0)).mean()
    return out


def _moved(picture: NDArray[np.float32], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    h, w = picture.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    moved = cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def against_neighbours(values: Floats) -> Floats:
    """(n,) logarithm less the mean of those of both neighbours."""
    logs, out = np.log(values + 1e-3), np.full(len(values), np.nan)
    out[1:-1] = logs[1:-1] - (logs[:-2] + logs[2:]) / 2
    return out


def places(types: Sequence[str]) -> list[str]:
    """Of each frame: an anchor (I or P), or which of how many B-frames between two."""
    anchors = [i for i, kind in enumerate(types) if kind != "B"]
    out = []
    for i, kind in enumerate(types):
        low = max((a for a in anchors if a < i), default=-1)
        high = min((a for a in anchors if a > i), default=len(types))
        out.append(f"{i - low} of {high - low}" if kind == "B" else "anchor")
    return out


def among_alike(values: Floats, types: Sequence[str], least: int = 4) -> Floats:
    """(n,) less the median of the frames at the same place; NaN where there are too few such."""
    alike, out = np.array(places(types)), np.full(len(values), np.nan)
    for place in set(alike.tolist()):
        here = (alike == place) & np.isfinite(values)
        if here.sum() >= least:
            out[here] = values[here] - np.median(values[here])
    return out


def alternation(values: Floats) -> float:
    """-log10 of the chance that odd and even frames differ so much in rank by accident (Kruskal and Wallis 1952)."""
    from scipy.stats import kruskal

    sides = [part[np.isfinite(part)] for part in (values[::2], values[1::2])]
    if min(map(len, sides)) < 4 or not np.ptp(np.concatenate(sides)):
        return 0.0
    return float(-np.log10(max(1e-300, kruskal(*sides).pvalue)))


@dataclass(frozen=True)
class Measured:
    """One film in one variant. ``scores``: by curve and, with ``alike`` in front, among frames at the same place."""

    film: str
    variant: str
    scores: dict[str, float]


def measure(films: Sequence[Path], folder: Path) -> Iterator[Measured]:
    """Every film in every variant; what is kept in ``folder`` is not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    for film in films:
        clip: Clip | None = None
        for name, variant in VARIANTS.items():
            kept = folder / f"{film.stem}--{name}.npz"
            if not kept.is_file():
                clip = _clip(film) if clip is None else clip
                _keep(kept, clip, variant)
            yield _read(film.stem, name, kept)


def _clip(film: Path) -> Clip:
    """The first frames."""
    return list(read_film(film, 0.0, FRAMES / 23, LONG_SIDE)[0][:FRAMES])


def _keep(kept: Path, frames: Clip, variant: Variant) -> None:
    types: list[str] = []
    frames = variant.make(frames) if variant.make else frames
    for how in variant.codings:
        frames, types = decoded(coded(frames, how))
    np.savez(kept, ty=np.array(types), **curves(frames))  # type: ignore[arg-type]


def _read(film: str, name: str, kept: Path) -> Measured:
    scores = {}
    with np.load(kept, allow_pickle=False) as data:
        types = data["ty"].tolist()
        for short in CURVES.values():
            values = against_neighbours(data[short])
            scores[short] = alternation(values)
            scores[f"alike {short}"] = alternation(among_alike(values, types))
    return Measured(film, name, scores)


def table(found: Sequence[Measured]) -> Iterator[str]:
    """Markdown: films of the test half above the level that no single coding in the other half reaches; medians."""
    halves = making.halves_of(sorted({one.film for one in found}))
    heads = [f"{title}{more}" for title in CURVES for more in ("", ", same place")]
    yield "| film | " + " | ".join(heads) + " |"
    yield "|---|" + "---|" * len(heads)
    keys = [f"{begin}{short}" for short in CURVES.values() for begin in ("", "alike ")]
    fitted = [one for one in found if one.variant in SINGLE and halves[one.film] != "test"]
    levels = {key: max((one.scores[key] for one in fitted), default=float("inf")) for key in keys}
    yield "| level (−log10 of chance) | " + " | ".join(f"{levels[key]:.1f}" for key in keys) + " |"
    for name, variant in VARIANTS.items():
        some = [one.scores for one in found if one.variant == name and halves[one.film] == "test"]
        if some:
            cells = [_cell([scores[key] for scores in some], levels[key]) for key in keys]
            yield f"| {variant.title} | " + " | ".join(cells) + " |"


def _cell(values: Sequence[float], level: float) -> str:
    """How many are above the level, and the median."""
    return f"{sum(value > level for value in values)} of {len(values)}; {np.median(values):.1f}"


def _main(arguments: list[str]) -> None:
    cv2.setNumThreads(1)
    films = [f.path for f in making.kit_films(Path(arguments[0])) if f.label == "bona_fide"]
    films += [f.path for f in making.more_films(Path(arguments[2]) if len(arguments) > 2 else None)]
    found = list(measure(films, Path(arguments[1])))
    sys.stdout.write("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
