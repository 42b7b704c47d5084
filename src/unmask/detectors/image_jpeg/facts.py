"""Facts about a JPEG file, and about earlier compressions, in words for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unmask import evidence
from unmask.detectors.image_jpeg import ghosts, tables

if TYPE_CHECKING:
    from unmask.detectors.image_jpeg.history import Comb
    from unmask.media.image import JpegView
    from unmask.report import Evidence

_WHO = {
    "ijg": "Most programs, phones, messengers and web sites use these tables, so they do not tell which one it was.",
    "ijg-mixed": "Standard tables with different strength for brightness and colour.",
    "mozjpeg": "mozjpeg is used by web sites and by image optimisers.",
    "photoshop": "These tables belong to Adobe's programs: one of them, or a program with its presets, saved last.",
    "flat": "Equal steps for all frequencies: the highest or the lowest quality of most programs.",
    "own": "Cameras and some programs use tables of their own.",
}


def luma_quality(jpeg: JpegView) -> int:
    """The nearest IJG quality of the brightness table, 1..100."""
    return tables.nearest_quality(jpeg.tables[0])[0]


def of_file(jpeg: JpegView) -> list[Evidence]:
    """What the file's header says of its last compression."""
    chroma = jpeg.tables[1] if len(jpeg.tables) > 1 else None
    encoder = tables.identify(jpeg.tables[0], chroma)
    quality = f"brightness {encoder.luma_quality}"
    if encoder.chroma_quality is not None:
        quality += f", colour {encoder.chroma_quality}"
    return [
        evidence.fact("Quantisation tables", encoder.name, "JPEG header (DQT)", _WHO[encoder.family]),
        evidence.fact("Quality of the last saving", quality, "nearest IJG tables, 1 to 100"),
        evidence.fact("Colour resolution", tables.sampling_name(jpeg.sampling, not jpeg.chroma), "JPEG header (SOF)"),
        evidence.fact("Scan order", "progressive" if jpeg.progressive else "baseline", "JPEG header (SOF)"),
    ]


def of_history(combs: Sequence[Comb]) -> list[Evidence]:
    """What the coefficients say of the compression before the last."""
    source = "histograms of the DCT coefficients"
    fit = ghosts.earlier_quality(combs)
    if fit is None:
        return [evidence.fact("Earlier compression", "no trace found", source)]
    quality, share = fit
    value = f"about IJG quality {quality}" if share >= 0.7 else "tables unlike the standard ones"
    steps: dict[str, int] = {f"{c.frequency[0]},{c.frequency[1]}": c.earlier for c in combs}
    return [
        evidence.fact(
            "Earlier compression",
            value,
            source,
            "The picture, or most of it, was a JPEG on the same 8x8 grid before. This alone is no sign: messengers, "
            "web sites and every second saving do it.",
        ),
        evidence.fact("Earlier steps by frequency", dict(steps), source, "Frequency (down, across): first step."),
    ]


def ghost_plot(curves: Sequence[tuple[str, Sequence[float]]]) -> Evidence:
    """How much each part would change if it were saved again, for each quality."""
    return evidence.plot(
        "Change when saved again",
        "A dip shows a quality at which this part was once saved. One dip at the quality of the last saving is normal. "
        "Parts with one history have dips at the same places.",
        [float(q) for q in ghosts.QUALITIES],
        curves,
        "IJG quality",
        "change (1 = no history)",
    )
