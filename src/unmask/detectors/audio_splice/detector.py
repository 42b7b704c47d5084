"""``audio.splice``: copied stretches, breaks of the mains hum, changes of bandwidth; silence and history as facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmask.card import own_card
from unmask.detectors.audio_splice.copies import Copy, find_copies
from unmask.detectors.audio_splice.hum import RATE as HUM_RATE
from unmask.detectors.audio_splice.hum import Hum, find_hum
from unmask.detectors.audio_splice.traces import (
    Bandwidth,
    bandwidth,
    bandwidth_story,
    loudness_blocks,
    mute_edges,
    silent_runs,
)
from unmask.detectors.audio_splice.width import Width, follow_width
from unmask.errors import UnsupportedMedia
from unmask.evidence import fact, plot, segments
from unmask.media.audio import AudioView
from unmask.media.sound import Sound
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters
RATE = 16000
ADAPTIVE_CODECS = ("opus", "silk", "evs", "amrnb", "amrwb")  # they change their bandwidth while they run


@dataclass(frozen=True)
class _Heard:
    """Everything found in one recording."""

    copies: list[Copy]
    loops: list[Copy]
    hum: Hum | None
    width: Width | None
    adaptive: bool
    mutes: list[float]
    silent: list[tuple[float, float]]

    @property
    def hum_breaks(self) -> tuple[tuple[float, float], ...]:
        """Breaks of the hum; so many that it is no clock are none."""
        if self.hum is None or len(self.hum.breaks) > P["hum_max_breaks"]:
            return ()
        return self.hum.breaks

    @property
    def width_joins(self) -> tuple[float, ...]:
        """Changes between two steady bandwidths."""
        return self.width.joins if self.width is not None else ()


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001
    """Joins in a recording, or in the sound of a film; see the card for the papers.

    ``raw_score`` 0..10: 0 nothing; copies count from 4, hum breaks from 3, changes of bandwidth 2.5; two cues at
    one instant count more.

    Raises:
        MediaError: the sound cannot be decoded.
    """
    try:
        audio = subject.audio
    except UnsupportedMedia as error:
        if error.code == "media.no_sound":
            return CARD.not_applicable("audio.none", "There is no sound in this file.")
        raise
    sound = audio.sound
    if sound.seconds < CARD.min_seconds:
        text = f"The sound lasts {sound.seconds:.1f} s; at least two seconds are needed."
        return CARD.declined("audio.too_short", text)
    if sound.level.peak < P["silence_level"]:
        return CARD.declined("audio.silent", "The recording is silent.")
    heard = _listen(audio)
    evidence = [*_evidence(heard, sound), *_facts(heard, audio, bandwidth(audio.own))]
    return CARD.ok(*_reason(heard), raw_score=_raw(heard), evidence=evidence)


def _listen(audio: AudioView) -> _Heard:
    sound = audio.sound
    copies = find_copies(sound.head(int(P["copy_max_seconds"] * RATE)), P)
    strong = [c for c in copies if c.match >= P["copy_match"]]
    loops = strong if _loops(strong, copies, sound.seconds) else []
    silent = silent_runs(audio.survey.constant, audio.rate, P["silent_min_seconds"])
    return _Heard(
        copies=[c for c in strong if c not in loops],
        loops=loops,
        hum=find_hum(audio.mono(HUM_RATE), P),
        width=follow_width(sound, P),
        adaptive=audio.codec.startswith(ADAPTIVE_CODECS),
        mutes=mute_edges(silent, audio.blocks(), audio.rate, P),
        silent=silent,
    )


def _loops(strong: list[Copy], copies: list[Copy], seconds: float) -> bool:
    """Music made of samples, and rhythms, repeat in many ways at once, well or less well; an edit repeats once."""
    lags = {round(c.second - c.first, 1) for c in copies}
    known = {round(c.second - c.first, 1) for c in strong}
    others = [x for x in lags if all(abs(x - k) > 0.15 for k in known)]
    return (
        len(others) + len(known) > P["copy_loop_lags"]
        or max((c.lags for c in copies), default=0) >= P["copy_loop_lags"]
        or 2 * sum(c.length for c in strong) > P["copy_loop_share"] * seconds
    )


def _raw(heard: _Heard) -> float:
    """The strongest cue, and more where another cue falls on the same instant."""
    parts = [0.0]
    if heard.copies:
        best = max(c.match for c in heard.copies)
        longest = max(c.length for c in heard.copies)
        parts.append(P["raw_copy"] + 4 * (best - P["copy_match"]) + 0.5 * float(np.log2(longest / 0.25)))
    if heard.hum_breaks:
        largest = max(abs(step) for _, step in heard.hum_breaks)
        parts.append(P["raw_hum"] + 1.5 * (largest - P["hum_step"]))
    if heard.width_joins:
        parts.append(P["raw_width_adaptive" if heard.adaptive else "raw_width"])
    raw = max(parts)
    return float(min(P["raw_max"], raw + P["raw_together"])) if raw and _coincide(heard) else float(raw)


def _coincide(heard: _Heard) -> bool:
    """Whether two different cues point at one instant."""
    groups = [
        [t for c in heard.copies for t in (c.second, c.second + c.length)],
        [t for t, _ in heard.hum_breaks],
        list(heard.width_joins),
        heard.mutes if len(heard.mutes) <= P["mutes_max"] else [],
    ]
    near = P["together_seconds"]
    pairs = ((a, b) for i, first in enumerate(groups) for second in groups[i + 1 :] for a in first for b in second)
    return any(abs(a - b) <= near for a, b in pairs)


def _reason(heard: _Heard) -> tuple[str, str]:
    if heard.copies:
        c = heard.copies[0]
        return "audio.copied", f"{c.length:.1f} s of sound at {c.first:.1f} s occur again at {c.second:.1f} s."
    if heard.hum_breaks:
        where = ", ".join(f"{t:.1f} s" for t, _ in heard.hum_breaks[:5])
        return "audio.hum_break", f"The mains hum jumps in phase at {where}, as where a piece was cut out or put in."
    if heard.width_joins and not heard.adaptive:
        where = ", ".join(f"{t:.1f} s" for t in heard.width_joins)
        return "audio.bandwidth_change", f"The bandwidth of the sound changes at {where}, as between two recordings."
    if heard.loops:
        return "audio.loops", "The sound is built from repeating pieces, as music is; no other join was seen."
    return "audio.no_join", "No copied stretch, no break of hum and no change of bandwidth was found."


def _evidence(heard: _Heard, sound: Sound) -> list[Evidence]:
    out: list[Evidence] = []
    if heard.copies:
        items = []
        for c in heard.copies:
            items.append((c.first, c.first + c.length, f"again at {c.second:.2f} s ({c.match:.0%} alike)"))
            items.append((c.second, c.second + c.length, f"same as at {c.first:.2f} s"))
        text = "The waveforms agree in detail. Spoken words never do; copied sound, jingles and samples do."
        out.append(segments("Copied stretches", text, items, sign=True))
    if heard.hum is not None:
        out.append(_hum_plot(heard.hum))
    if heard.hum_breaks:
        breaks = [(t, t, f"phase step of {abs(s):.1f} rad") for t, s in heard.hum_breaks]
        out.append(
            segments("Breaks of the mains hum", "Suspected joins: the hum does not run on here.", breaks, sign=True)
        )
    if heard.width is not None and heard.width_joins:
        out += _width_evidence(heard.width)
    if heard.copies or heard.hum_breaks or heard.width_joins:
        out.append(_level_plot(heard, sound))
    return out


def _width_evidence(width: Width) -> list[Evidence]:
    label = f"between {width.low / 1000:.1f} and {width.high / 1000:.1f} kHz"
    text = "Suspected joins: the highest frequency that carries sound switches between two steady limits."
    known = np.isfinite(width.limit)
    return [
        segments("Changes of bandwidth", text, [(t, t, label) for t in width.joins], sign=True),
        plot(
            "Upper limit of the sound",
            "A recording made in one piece keeps one limit.",
            width.times[known].tolist(),
            [("limit", width.limit[known].tolist())],
            "seconds",
            "Hz",
            [(t, "join") for t in width.joins],
        ),
    ]


def _hum_plot(hum: Hum) -> Evidence:
    return plot(
        f"Phase of the mains hum at {hum.frequency:.2f} Hz",
        "The hum of the electric network runs on smoothly; a step is where sound was removed or inserted.",
        hum.times.tolist(),
        [("phase", hum.phase.tolist())],
        "seconds",
        "radians",
        [(t, "join") for t, _ in hum.breaks],
    )


def _level_plot(heard: _Heard, sound: Sound) -> Evidence:
    levels = loudness_blocks(sound)
    marks = [(c.second, "copy") for c in heard.copies] + [(t, "hum") for t, _ in heard.hum_breaks]
    marks += [(t, "bandwidth") for t in heard.width_joins]
    times = (np.arange(levels.size) * 0.05).tolist()
    text = "The recording's level, with the suspected joins."
    return plot("Level over time", text, times, [("level", levels.tolist())], "seconds", "dB of full scale", marks)


def _facts(heard: _Heard, audio: AudioView, spectrum: Bandwidth | None) -> list[Evidence]:
    out: list[Evidence] = []
    seconds = audio.sound.seconds
    if spectrum is not None:
        story = bandwidth_story(spectrum.cut_off, spectrum.steepness, audio.rate, audio.codec) or ""
        out.append(fact("Bandwidth", f"{spectrum.cut_off / 1000:.1f} kHz", "long-term spectrum", story))
    inner = [(a, b) for a, b in heard.silent if a > 0.05 and b < seconds - 0.05]
    if inner:
        text = "Noise gates, editors, codecs and pauses in calls write exact zeros; a microphone does not."
        out.append(segments("Digital silence", text, [(a, b, "exactly constant samples") for a, b in inner]))
    offset = audio.survey.offset
    if offset > 0.005:
        out.append(fact("Offset from zero", f"{offset:.1%} of full scale", "samples", "Cheap converters cause this."))
    if heard.hum is not None:
        text = "The hum of the electric network is audible and was followed."
        out.append(fact("Mains hum", f"{heard.hum.frequency:.2f} Hz", "narrow-band analysis", text))
    if heard.loops:
        items = [(c.first, c.first + c.length, f"again at {c.second:.2f} s") for c in heard.loops]
        out.append(
            segments("Repeating pieces", "Exact repeats at many distances: loops or samples, as in music.", items)
        )
    if audio.damaged:
        items = [(t, t, "damaged") for t in audio.damaged]
        out.append(segments("Damaged stretches", "These stretches could not be decoded and were left out.", items))
    if audio.missing_seconds > 0.5:
        text = "The file ends earlier than it says; it may be cut off."
        out.append(fact("Missing", f"{audio.missing_seconds:.1f} s", "declared and decoded length", text))
    if not audio.complete and audio.duration - seconds > 1:
        text = "Of a recording this long no more of the sound is examined. Cut the rest off and examine it by itself."
        out.append(fact("Examined", f"{seconds / 60:.0f} minutes from the start", "limits", text))
    if seconds > P["copy_max_seconds"]:
        text = "Copied stretches were searched in this first part only."
        out.append(fact("Examined for copies", f"{P['copy_max_seconds'] / 60:.0f} minutes", "limits", text))
    return out
