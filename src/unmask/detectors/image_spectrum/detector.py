"""``image.spectrum``: periodic traces of resizing and upsampling, as plots and facts, without a score.

The residual's spectrum follows Corvi et al. 2023 and Zhang et al. 2019, the rhythm of the second derivative
Gallagher 2005. It is not scored, because real pictures carry these traces as often as generated ones (the card
has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unmask.card import own_card
from unmask.detectors.image_spectrum.spectrum import TILE, Spectrum, interpolation_rhythm, residual_spectrum
from unmask.evidence import fact, plot

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import JsonValue

    from unmask.options import Options
    from unmask.report import Evidence, Finding
    from unmask.subject import Subject

CARD = own_card(__file__)
_P = CARD.parameters
_JPEG_MARKS = [(k / 8, f"{k}/8 (JPEG)") for k in range(1, 5)]
_SHOWN_PEAKS = 6


@dataclass(frozen=True)
class Rhythm:
    """The strongest line clear of JPEG's own: frequency in cycles a pixel, and -log10 of the expected number of
    chance lines as strong; ``curve`` (n//2+1,) is the whole spectrum, bin i at i/n.
    """

    frequency: float
    strength: float
    curve: NDArray[np.float32]


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Measure both spectra. Raises `MediaError` where the picture cannot be decoded."""
    image = subject.image
    if min(image.width, image.height) < CARD.min_side:
        return CARD.declined("spectrum.too_small", f"The picture is smaller than {CARD.min_side} pixels a side.")
    spectrum = residual_spectrum(image.luma, int(_P["max_tiles"]), _P["least_noise"])
    if spectrum is None:
        return CARD.declined("spectrum.too_flat", "Too little of the picture is textured for a spectrum.")
    across, down = (_rhythm(image.luma, axis) for axis in (1, 0))
    peaks = _peaks(spectrum)
    evidence = [_rhythm_plot(across, down), _spectrum_plot(spectrum)]
    evidence += _resampling_facts(across, down)
    if peaks:
        evidence.append(_peak_fact(peaks))
    code, text = _reason(max(across.strength, down.strength) >= _P["rhythm"], bool(peaks))
    return CARD.ok(code, text, evidence=evidence)


def _reason(resampled: bool, peaks: bool) -> tuple[str, str]:
    if resampled:
        return "spectrum.resampled", (
            "The picture carries the rhythm of a resize. Most pictures on the web do; it says nothing about the "
            "content."
        )
    if peaks:
        return "spectrum.peaks", (
            "The picture carries periodic traces that JPEG does not explain. A resize, a pattern in the scene, a "
            "screen or print that was photographed, and some generators leave such traces."
        )
    return "spectrum.none", "No periodic traces were found besides those of JPEG."


def _rhythm(luma: NDArray[np.uint8], axis: int) -> Rhythm:
    curve = interpolation_rhythm(luma, axis, int(_P["max_lines"]))
    n = 2 * (len(curve) - 1)
    f: NDArray[np.float64] = np.arange(len(curve)) / n
    # JPEG repeats every 8 pixels and cameras interpolate every second one; both lie on multiples of 1/8.
    free = (f > _P["least_frequency"]) & (np.abs(f * 8 - np.rint(f * 8)) > max(0.048, 20 / n))
    best = int(np.argmax(np.where(free, curve, 0)))
    return Rhythm(float(f[best]), float(curve[best] - np.log10(max(1, int(np.count_nonzero(free))))), curve)


def _peaks(spectrum: Spectrum) -> list[tuple[float, float, float]]:
    """(horizontal frequency, vertical frequency, dB) of isolated peaks clear of JPEG's, strongest first."""
    import cv2

    v, u = np.mgrid[:TILE, : TILE // 2 + 1]
    v = np.where(v > TILE // 2, v - TILE, v)
    step = TILE // 8
    jpeg = (np.minimum(v % step, -v % step) <= 1) & (np.minimum(u % step, -u % step) <= 1)
    # Lines through the origin's rows and columns hold the scene's own straight edges.
    axis = (np.abs(v) <= 1) | (u <= 1)
    top = spectrum.z >= cv2.dilate(spectrum.z, np.ones((5, 5), np.uint8))
    strong = (spectrum.z >= _P["peak_z"]) & (spectrum.decibel >= _P["peak_decibel"])
    free = ~jpeg & ~axis & (np.hypot(v, u) > _P["least_frequency"] * TILE)
    rows, cols = np.nonzero(top & strong & free)
    order = np.argsort(-spectrum.z[rows, cols], kind="stable")
    return [
        (float(u[r, c]) / TILE, float(v[r, c]) / TILE, float(spectrum.decibel[r, c]))
        for r, c in zip(rows[order], cols[order], strict=True)
    ]


def _peak_fact(peaks: list[tuple[float, float, float]]) -> Evidence:
    where: list[JsonValue] = [f"({x:.3f}, {y:.3f}): {db:.1f} dB" for x, y, db in peaks[:_SHOWN_PEAKS]]
    return fact(
        "Peaks beside JPEG's",
        where,
        "averaged spectrum of the residual; (across, down) in cycles a pixel",
        f"{len(peaks)} frequencies stand out from their surroundings.",
    )


def _resampling_facts(across: Rhythm, down: Rhythm) -> list[Evidence]:
    facts = []
    for name, rhythm in (("across", across), ("down", down)):
        if rhythm.strength >= _P["rhythm"]:
            f = rhythm.frequency
            facts.append(
                fact(
                    f"Resize rhythm {name}",
                    f"{f:.4f} cycles a pixel: enlarged by about {1 / (1 - f):.2f} or {1 / f:.2f}, if enlarged",
                    "spectrum of the second derivative",
                    f"At most 10^-{rhythm.strength:.0f} such lines are expected by chance. A smaller copy of an "
                    "earlier JPEG picture can give a line, too.",
                )
            )
    if len(facts) == 2 and abs(across.frequency - down.frequency) <= _P["agreement"]:
        text = "Rows and columns show the same rhythm, as after an ordinary resize of the whole picture."
        facts.append(fact("Same rhythm both ways", True, "comparison of both lines", text))
    return facts


def _rhythm_plot(across: Rhythm, down: Rhythm) -> Evidence:
    x = np.linspace(0, 0.5, 513)
    series = [
        (name, np.minimum(_resample(r.curve, x), 30).tolist())
        for name, r in (("along rows", across), ("along columns", down))
    ]
    marks = [
        (r.frequency, f"rhythm {name}")
        for name, r in (("along rows", across), ("along columns", down))
        if r.strength >= _P["rhythm"]
    ]
    return plot(
        "Rhythm of the second derivative",
        "Narrow peaks beside the marked multiples of 1/8, which are JPEG's and the camera's own, come from resizing.",
        x.tolist(),
        series,
        "frequency, cycles a pixel",
        "-log10 of the chance probability",
        _JPEG_MARKS + marks,
    )


def _resample(curve: NDArray[np.float32], x: NDArray[np.float64]) -> NDArray[np.float32]:
    """The curve's largest value around each ``x`` (0..0.5), so that no narrow peak is lost."""
    bins = np.minimum((np.linspace(0, 1, len(curve)) * (len(x) - 1)).round().astype(int), len(x) - 1)
    if len(curve) <= len(x):
        return np.interp(x, np.linspace(0, 0.5, len(curve)), curve).astype(np.float32)
    out = np.zeros(len(x), np.float32)
    np.maximum.at(out, bins, curve)
    return out


def _spectrum_plot(spectrum: Spectrum) -> Evidence:
    half = TILE // 2
    x = np.arange(half + 1) / TILE
    # Three bins around each axis: a peak a little off it still shows.
    rows = spectrum.decibel[[-1, 0, 1]].max(axis=0)
    columns = spectrum.decibel[: half + 1, :2].max(axis=1)
    return plot(
        "Spectrum of the residual",
        f"Mean over {spectrum.tiles} tiles of {TILE}x{TILE} pixels, above its local background. Peaks at the marked "
        "frequencies are JPEG's; generators and enlarging put theirs at 1/2, 1/4, 1/16 and elsewhere.",
        x.tolist(),
        [("along rows", rows.tolist()), ("along columns", columns.tolist())],
        "frequency, cycles a pixel",
        "dB above the surroundings",
        _JPEG_MARKS,
    )
