"""A set of forged recordings: splice, deletion, insertion and replacement, then real codecs.

The kit's recordings are up to two seconds long; the sound of its films gives longer ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from unmask_lab.forge.av_io import WAV, Codec, Sound, read_sound, write_sound
from unmask_lab.forge.forgery import seeded
from unmask_lab.forge.images import Plan
from unmask_lab.forge.manifest import Row, digest
from unmask_lab.kit import Item, kind_of_source, read_kit

MIN_SECONDS = 1.2
PIECE_SECONDS = 6
CODECS = {
    "clean": WAV,
    "mp3": Codec("mp3", "libmp3lame", None, 64_000),
    "opus": Codec("ogg", "libopus", 48_000, 24_000),
    "aac": Codec("m4a", "aac", 44_100, 96_000),
    "telephone": Codec("wav", "pcm_mulaw", 8_000),
}


@dataclass(frozen=True)
class SoundForgery:
    """A changed recording. ``segments``: seconds (start, end) of what was put in; a join alone has start == end."""

    sound: Sound
    segments: tuple[tuple[float, float], ...]
    text: str


@dataclass(frozen=True)
class Take:
    """A recording of the kit, or ``seconds`` of a film's sound from ``start`` on."""

    item: Item
    start: int = 0
    seconds: int = 0

    @property
    def key(self) -> str:
        """Names it to the random generators."""
        return f"{self.item.path}#{self.start}" if self.seconds else str(self.item.path)

    @property
    def stem(self) -> str:
        """Beginning of its files' names."""
        return f"{self.item.path.stem}-{self.start}" if self.seconds else self.item.path.stem

    def read(self, plan: Plan) -> tuple[Sound, int]:
        """Samples and rate."""
        sound, rate = read_sound(plan.kit / self.item.path)
        end = (self.start + self.seconds) * rate if self.seconds else len(sound)
        return sound[self.start * rate : end], rate


def deletion(rng: np.random.Generator, sound: Sound, rate: int) -> SoundForgery:
    """Cut 10-35 % out of the middle."""
    n = len(sound)
    length = int(n * rng.uniform(0.1, 0.35))
    at = int(rng.uniform(0.2, 0.8) * (n - length))
    joined = join([sound[:at], sound[at + length :]], rate, fade=_fade(rng))
    return SoundForgery(joined, ((at / rate, at / rate),), f"{length / rate:.2f} s cut out")


def splice(rng: np.random.Generator, sound: Sound, rate: int, other: Sound) -> SoundForgery:
    """The first part of one recording, then the second part of another."""
    at = int(rng.uniform(0.35, 0.65) * len(sound))
    rest = _level(rng, other[-(len(sound) - at) :], sound)
    joined = join([sound[:at], rest], rate, fade=_fade(rng))
    return SoundForgery(joined, ((at / rate, len(joined) / rate),), "continued with another recording")


def insertion(rng: np.random.Generator, sound: Sound, rate: int) -> SoundForgery:
    """A piece of the same recording is said again elsewhere."""
    n = len(sound)
    length = int(n * rng.uniform(0.12, 0.3))
    start, at = (int(v) for v in rng.integers(0, n - length, 2))
    joined = join([sound[:at], sound[start : start + length], sound[at:]], rate, fade=_fade(rng))
    return SoundForgery(joined, ((at / rate, (at + length) / rate),), "a piece of the recording inserted again")


def replacement(rng: np.random.Generator, sound: Sound, rate: int, other: Sound) -> SoundForgery:
    """A word's length is replaced by another voice or place."""
    n = len(sound)
    length = min(int(n * rng.uniform(0.15, 0.35)), len(other) - 1)
    at = int(rng.uniform(0.1, 0.9) * (n - length))
    start = int(rng.integers(0, len(other) - length))
    piece = _level(rng, other[start : start + length], sound)
    joined = join([sound[:at], piece, sound[at + length :]], rate, fade=_fade(rng))
    return SoundForgery(joined, ((at / rate, (at + length) / rate),), "a word replaced by another recording")


def join(parts: list[Sound], rate: int, fade: float) -> Sound:
    """Parts one after the other; ``fade`` seconds at each join run down to up, the length stays the sum."""
    n = int(fade * rate)
    ready = []
    for i, part in enumerate(parts):
        part = part.copy()  # noqa: PLW2901
        ramp = np.linspace(0, 1, min(n, len(part) // 2), dtype=np.float32)
        if i and len(ramp):
            part[: len(ramp)] *= ramp
        if i < len(parts) - 1 and len(ramp):
            part[-len(ramp) :] *= ramp[::-1]
        ready.append(part)
    return np.concatenate(ready)


def forge_sounds(plan: Plan) -> Iterator[Row]:
    """Write the sound part of a set; yields the manifest's rows as files are written."""
    sources = read_kit(plan.kit, "audio", plan.half)
    takes = [take for items in sources.values() for take in _choose(plan, items)]
    for films in read_kit(plan.kit, "video", plan.half).values():
        takes += [take for item in films for take in _pieces(plan, item)]
    for take in takes:
        others = [other for other in takes if other.item.source != take.item.source]
        donor = others[int(seeded(plan.seed, "donor", take.key).integers(len(others)))]
        yield from _recording(plan, take, donor)


def _choose(plan: Plan, items: list[Item]) -> list[Take]:
    order = seeded(plan.seed, "choose", items[0].source).permutation(len(items))
    kept: list[Take] = []
    for i in order:
        if len(kept) == plan.per_source:
            break
        take = Take(items[int(i)])
        if _audible(*take.read(plan)):
            kept.append(take)
    return kept


def _pieces(plan: Plan, item: Item) -> list[Take]:
    """A film's sound in pieces of `PIECE_SECONDS`."""
    sound, rate = read_sound(plan.kit / item.path)
    starts = range(0, int(len(sound) / rate - PIECE_SECONDS) + 1, PIECE_SECONDS)
    takes = [Take(item, start, PIECE_SECONDS) for start in starts]
    return [take for take in takes if _audible(*take.read(plan))]


def _audible(sound: Sound, rate: int) -> bool:
    return len(sound) / rate >= MIN_SECONDS and float(np.abs(sound).max()) > 0.01


def _recording(plan: Plan, take: Take, donor: Take) -> Iterator[Row]:
    sound, rate = take.read(plan)
    other, other_rate = donor.read(plan)
    other = np.asarray(soxr.resample(other, other_rate, rate), np.float32)
    key = take.key
    made: dict[str, SoundForgery | None] = {
        "none": None,
        "deletion": deletion(seeded(plan.seed, "deletion", key), sound, rate),
        "splice": splice(seeded(plan.seed, "splice", key), sound, rate, other),
        "insertion": insertion(seeded(plan.seed, "insertion", key), sound, rate),
        "replacement": replacement(seeded(plan.seed, "replacement", key), sound, rate, other),
    }
    for family, forgery in made.items():
        for variant, codec in CODECS.items():
            yield _write(plan, take, family, variant, forgery, forgery.sound if forgery else sound, rate, codec)


def _write(
    plan: Plan,
    take: Take,
    family: str,
    variant: str,
    forgery: SoundForgery | None,
    sound: Sound,
    rate: int,
    codec: Codec,
) -> Row:
    item = take.item
    path = Path("audio") / item.source / f"{take.stem}-{family}-{variant}.{codec.suffix}"
    target = plan.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    write_sound(target, sound, rate, codec)
    return Row(
        path=str(path),
        modality="audio",
        label="manipulated" if forgery else "bona_fide",
        family=family,
        parent=take.key,
        parent_source=item.source,
        kind_of_real_media=kind_of_source(item.source, "audio"),
        mask="",
        sha256=digest(target.read_bytes()),
        half=plan.half,
        variant=variant,
        text=forgery.text if forgery else "",
        segments=";".join(f"{a:.3f}-{b:.3f}" for a, b in forgery.segments) if forgery else "",
    )


def _fade(rng: np.random.Generator) -> float:
    """Half of the joins are hard cuts, the others fade for a few milliseconds, as editors do."""
    return 0.0 if rng.random() < 0.5 else float(rng.uniform(0.003, 0.015))


def _level(rng: np.random.Generator, piece: Sound, like: Sound) -> Sound:
    """Bring ``piece`` to the loudness of ``like`` in two cases of three."""
    if rng.random() < 0.33:
        return piece
    gain = float(np.sqrt((like**2).mean() + 1e-9) / np.sqrt((piece**2).mean() + 1e-9))
    return np.asarray(np.clip(piece * min(gain, 8.0), -1, 1), np.float32)
