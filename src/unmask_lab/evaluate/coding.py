"""What video coding does to `image.synthetic`: pictures of the kit become short moving clips, are coded, and scored.

There are too few films with a label, so pictures stand in: a slow pan or zoom over each, coded as H.264, H.265 and VP9.
One frame from the middle of a group of pictures is scored beside the same frame before coding, and beside that one
laundered as a picture is; both classes alike.

The shipped heads have seen the kit's pictures, so levels and AUC of this table are better than on unseen ones. What
counts is the change by coding, and that is best read from the bona fide rows.

Run as ``python -m unmask_lab.evaluate.coding KIT FOLDER [ROUNDS]``: each round takes one more picture of every source.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unmask.detectors.image_synthetic.detector import P
from unmask.detectors.image_synthetic.networks import PROBE, ask_small
from unmask.detectors.image_synthetic.views import bounded, whole
from unmask.models.runtime import open_model
from unmask.models.tower import TOWER, class_tokens
from unmask_lab import manifest, scores
from unmask_lab.evaluate import metrics
from unmask_lab.kit import kind_of_source
from unmask_lab.launder.image import launder
from unmask_lab.manifest import Row
from unmask_lab.scores import Score

Pixels = NDArray[np.uint8]

QUESTION = "image.synthetic"
UNCODED, LAUNDERED = "uncoded", "laundered"
RATES = (0, 1, 2)
CODECS: dict[str, tuple[str, tuple[int, ...], dict[str, str]]] = {
    "h264": ("libx264", (18, 26, 34), {"preset": "veryfast"}),
    "h265": ("libx265", (18, 26, 34), {"preset": "veryfast", "x265-params": "log-level=none:pools=1:frame-threads=1"}),
    "vp9": ("libvpx-vp9", (22, 34, 46), {"b": "0", "deadline": "realtime", "cpu-used": "6"}),
}
"""Encoder, its three rates (constant quality, falling) and settings."""

FRAMES, LOOKED, FPS = 12, 7, 25
LONG_SIDES, LEAST_SIDE = (640, 1280), 224
STEP, ZOOM = 2, 1.06


def clip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """(`FRAMES`, h, w, 3): the picture at a film's size under a camera that moves by whole pixels, or comes nearer.

    A picture is reduced, never enlarged, so a small one stays small.
    """
    longest = max(pixels.shape[:2])
    unit = min(1.0, int(rng.integers(LONG_SIDES[0], LONG_SIDES[1] + 1)) / longest)
    if unit < 1:
        size = max(1, round(pixels.shape[1] * unit)), max(1, round(pixels.shape[0] * unit))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _zoomed(pixels) if rng.random() < 1 / 3 else _panned(pixels, rng)


def _panned(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    h, w = (max(2, (side - STEP * FRAMES) // 2 * 2) for side in pixels.shape[:2])
    room = np.array([pixels.shape[0] - h, pixels.shape[1] - w])
    steps = np.minimum(rng.integers(0, STEP + 1, 2), room // FRAMES)
    at = [(int(i * steps[0]), int(i * steps[1])) for i in range(FRAMES)]
    return np.stack([pixels[y : y + h, x : x + w] for y, x in at])


def _zoomed(pixels: Pixels) -> Pixels:
    h, w = (side // 2 * 2 for side in pixels.shape[:2])
    out = []
    for i in range(FRAMES):
        turn = cv2.getRotationMatrix2D((w / 2, h / 2), 0, 1 + (ZOOM - 1) * i / FRAMES)
        out.append(cv2.warpAffine(pixels[:h, :w], turn, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return np.asarray(np.stack(out), np.uint8)


def coded(frames: Pixels, codec: str, rate: int) -> Pixels:
    """(h, w, 3): frame `LOOKED` after coding; ``rate``: 0 (best) to 2 (worst)."""
    name, rates, options = CODECS[codec]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(name, rate=Fraction(FPS))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(rates[rate]), "threads": "1", **options}
        for array in frames:
            one = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as container:
        decoded = [f.to_ndarray(format="rgb24") for f in container.decode(container.streams.video[0])]
    return np.asarray(decoded[LOOKED], np.uint8)


def order(rows: list[Row], rounds: int) -> list[Row]:
    """At most ``rounds`` pictures of each source and class, one of each in turn."""
    by_source: dict[tuple[str, bool], list[Row]] = defaultdict(list)
    for i in np.random.default_rng(7).permutation(len(rows)):
        by_source[rows[i].source, rows[i].positive].append(rows[i])
    groups = [by_source[key] for key in sorted(by_source)]
    return [group[turn] for turn in range(rounds) for group in groups if turn < len(group)]


def variants(number: int) -> list[tuple[str, int]]:
    """Each codec once, each at another rate, so that three pictures in a row give all nine."""
    return [(codec, (number + shift) % len(RATES)) for shift, codec in enumerate(CODECS)]


def measure(kit: Path, folder: Path, rounds: int, part: tuple[int, int] = (0, 1)) -> Iterator[str]:
    """Score what is not in ``folder/scores.csv`` yet; yields a line a picture. Tokens go to ``folder/tokens``.

    ``part``: this process's number and how many share the work.
    """
    rows = [r for r in manifest.from_kit(kit, "image") if not r.positive or r.question == QUESTION]
    table = folder / f"scores-{part[0]}.csv"
    done = {row.path for row in scores.read(table)} if table.is_file() else set()
    for number, row in enumerate(order(rows, rounds)):
        if number % part[1] != part[0] or row.path in done:
            continue
        seed = int(hashlib.sha256(row.path.encode()).hexdigest()[:8], 16)
        pixels = np.asarray(Image.open(kit / row.path).convert("RGB"))
        if min(pixels.shape[:2]) < LEAST_SIDE + STEP * FRAMES:
            continue
        frames = clip(pixels, np.random.default_rng(seed))
        views = {UNCODED: frames[LOOKED]}
        views |= {f"{codec}:{rate}": coded(frames, codec, rate) for codec, rate in variants(number)}
        views |= {f"{LAUNDERED}:{v}": launder(views[UNCODED], np.random.default_rng([seed, v])) for v in (1, 2)}
        found = [said for name, view in views.items() for said in _scored(row, name, view, folder / "tokens")]
        scores.append(table, found)
        yield f"{row.path}: " + ", ".join(f"{r.variant} {r.raw:.2f}" for r in found if r.stratum == "tower")


def _scored(row: Row, variant: str, pixels: Pixels, folder: Path) -> Iterator[Score]:
    """One row for the small network alone, one for both, as the detector puts them together."""
    seen = bounded(pixels)
    small, _ = ask_small(seen, int(P["most_patches"]), P["share_of_whole"])
    tokens = class_tokens(open_model(TOWER), whole(seen))
    said = open_model(PROBE).run({"tokens": tokens})
    both = P["weight_tower"] * float(said["score"][0]) + P["weight_small"] * small.score
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{Path(row.path).stem}-{variant.replace(':', '')}.npy", tokens[0].astype(np.float16))
    told = {"small": (small.score, small.distance), "tower": (both, float(said["distance"][0]))}
    for stratum, (raw, distance) in told.items():
        yield Score(
            path=row.path,
            question=QUESTION,
            detector=QUESTION,
            label=int(row.positive),
            source=row.source,
            generator=row.generator,
            family=row.family,
            kind="" if row.positive else kind_of_source(row.source),
            variant=variant,
            stratum=stratum,
            raw=raw,
            distance=distance,
        )


def table(rows: Sequence[Score]) -> Iterator[str]:
    """A markdown row for each stratum and coding: change of the score by class (mean, 95 % over pictures), AUC, and the
    share of bona fide pictures at the level that a picture is reported from.
    """
    yield "| networks | coding | n bona fide, generated | change, bona fide | change, generated | AUC | reported |"
    yield "|---|---|---|---|---|---|---|"
    for stratum in sorted({row.stratum for row in rows}):
        own = [row for row in rows if row.stratum == stratum]
        before = {row.path: row.raw for row in own if row.variant == UNCODED}
        for group in (UNCODED, LAUNDERED, *(f"{codec}:{rate}" for codec in CODECS for rate in RATES)):
            part = [row for row in own if row.variant.startswith(group)]
            if part:
                yield _line(stratum, group, part, before)


def _line(stratum: str, group: str, part: Sequence[Score], before: dict[str, float]) -> str:
    c = scores.columns(part)
    change = c.raw - np.array([before[path] for path in c.path])
    by_class = [_change(change[c.truth == truth], c.path[c.truth == truth]) for truth in (False, True)]
    reported = float((c.raw[~c.truth] >= P[f"report_above_{stratum}"]).mean()) if (~c.truth).any() else float("nan")
    counts = f"{len(np.unique(c.path[~c.truth]))}, {len(np.unique(c.path[c.truth]))}"
    return (
        f"| {stratum} | {group} | {counts} | {by_class[0]} | {by_class[1]} | {metrics.auc(c.raw, c.truth):.2f} | "
        f"{reported:.0%} |"
    )


def _change(change: NDArray[np.float64], paths: NDArray[np.str_]) -> str:
    if not len(change):
        return "–"
    found = metrics.bootstrap(lambda i: float(change[i].mean()), paths)
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _main(arguments: list[str]) -> None:
    kit, folder = Path(arguments[0]), Path(arguments[1])
    for line in measure(kit, folder, int(arguments[2]) if len(arguments) > 2 else 1):
        sys.stdout.write(line + "\n")
    found = [row for path in sorted(folder.glob("*.csv")) for row in scores.read(path)]
    sys.stdout.write("\n".join(table(found)) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
