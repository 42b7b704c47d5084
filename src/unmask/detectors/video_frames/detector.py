"""``video.frames``: repeated, removed, moved or reversed frames; cuts, freezes and coding as facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.card import own_card
from unmask.detectors.video_frames.coding import Coding, read_coding
from unmask.detectors.video_frames.jumps import Step, continuation, find_steps, local_ceiling, noise_floor
from unmask.detectors.video_frames.repeats import Repeat, find_repeats, motion_of
from unmask.evidence import fact, plot, segments
from unmask.media.video import SmallFrames
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters
MAX_MATCHED = 40_000


@dataclass(frozen=True)
class _Seen:
    """Everything found in one film."""

    repeats: list[Repeat]
    loops: list[Repeat]
    joins: list[Step]
    moved: list[tuple[Step, int]]
    cuts: list[Step]
    gaps: list[int]
    freezes: list[tuple[int, int]]
    still_share: float


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001
    """Repeated, removed or moved frames, by motion; see the card for the papers.

    ``raw_score`` 0..10: 0 nothing; repeats count from 4, moved frames from 3, single steps by the logarithm
    of their size beside the motion around them.

    Raises:
        MediaError: the film cannot be decoded.
    """
    video = subject.video
    small = video.small_frames
    coding = read_coding(video.packet_table, small.times, small.types, P)
    facts = _coding_facts(coding, small)
    n = len(small.luma)
    if n < P["min_frames"] or small.times[-1] - small.times[0] < CARD.min_seconds:
        text = (
            f"The film has {n} frames; its motion cannot be judged below {P['min_frames']:.0f} frames and one second."
        )
        return CARD.declined("video.too_short", text, facts)
    if min(video.width, video.height) < CARD.min_side:
        return CARD.declined("video.too_small", "The picture is too small to follow its motion.", facts)
    motion = motion_of(small.luma[:MAX_MATCHED])
    moving = motion.energy > max(P["moving_levels"], P["moving_share"] * float(np.median(motion.energy[1:])))
    if moving.mean() < P["min_moving"]:
        text = "Almost nothing moves in this film, so missing or repeated frames would leave no trace."
        return CARD.declined("video.still", text, facts)
    rate = 1.0 / max(1e-3, float(np.median(np.diff(small.times))))
    seen = _judge(small, find_repeats(motion, moving, P, rate), rate)
    evidence = [*_evidence(seen, small), *facts]
    return CARD.ok(*_reason(seen), raw_score=_raw(seen), evidence=evidence)


def _judge(small: SmallFrames, repeats: list[Repeat], rate: float) -> _Seen:
    steps = find_steps(small.luma, small.change, small.times, P)
    n = len(small.luma)
    loops = [r for r in repeats if r.lags >= P["repeat_loop_lags"] or 2 * r.length > P["repeat_loop_share"] * n]
    smooth = [s for s in steps if s.moving and not s.stutter and not _guessed(small, s.index)]
    cuts = [s for s in steps if s.likeness < P["cut_likeness"]]
    joins = [s for s in smooth if s not in cuts and s.gap < P["step_gap"] and s.overlap >= P["step_overlap"]]
    moved = continuation(small.luma, smooth, small.change, P["continue_share"])
    freezes, still = _freezes(small, rate)
    return _Seen([r for r in repeats if r not in loops], loops, joins, moved, cuts, _gaps(small.times), freezes, still)


def _guessed(small: SmallFrames, index: int) -> bool:
    """Whether the decoder had to guess frames nearby, so that a step may be its own."""
    return bool(small.corrupt[max(0, index - 30) : index + 30].any())


def _freezes(small: SmallFrames, rate: float) -> tuple[list[tuple[int, int]], float]:
    """Stretches of identical frames of ``freeze_seconds`` or more, and the share of repeated neighbours."""
    same = small.change <= noise_floor(small.change) / 2
    same[0] = False
    edges = np.flatnonzero(np.diff(np.r_[0, same.astype(np.int8), 0]))
    runs = [(int(a) - 1, int(b)) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in runs if b - a >= P["freeze_seconds"] * rate], float(same[1:].mean())


def _gaps(times: NDArray[np.float64]) -> list[int]:
    """Frames that come much later than usual; nothing where the frame rate varies throughout."""
    steps = np.diff(times)
    late = np.flatnonzero(steps > P["gap_steps"] * np.median(steps)) + 1
    return [int(i) for i in late] if late.size <= max(3, P["gap_share"] * len(times)) else []


def _raw(seen: _Seen) -> float:
    """The strongest sign; two kinds together count a little more."""
    parts = [0.0]
    if seen.repeats:
        best = max(r.length * r.match for r in seen.repeats)
        parts.append(P["raw_repeat"] + float(np.log2(max(1.0, best / 8))))
    if seen.moved:
        parts.append(P["raw_order"] + 0.5 * len(seen.moved))
    if seen.joins:
        parts.append(float(np.log2(max(s.ratio for s in seen.joins) / P["step_ratio"])) * 1.5)
    parts.sort(reverse=True)
    return float(min(P["raw_max"], parts[0] + 0.5 * sum(parts[1:2])))


def _reported(seen: _Seen) -> list[Step]:
    return [s for s in seen.joins if s.ratio >= P["step_report"]]


def _reason(seen: _Seen) -> tuple[str, str]:
    if seen.repeats:
        word = "backwards" if seen.repeats[0].reverse else "again"
        return (
            "video.repeated",
            f"A moving stretch of {seen.repeats[0].length} frames plays {word} elsewhere in the film.",
        )
    if seen.moved:
        return (
            "video.reordered",
            "At a sudden step in the motion, the frame that truly follows stands elsewhere in the film.",
        )
    if _reported(seen):
        count = len(_reported(seen))
        return (
            "video.step",
            f"The motion jumps within one scene at {count} place{'s' * (count != 1)}: frames may be missing there.",
        )
    if seen.loops:
        return (
            "video.loop",
            "The film repeats itself as a whole, as loops do. Apart from that its frames follow smoothly.",
        )
    return "video.smooth", "The frames follow each other smoothly; no repeated, moved or missing stretch was seen."


def _evidence(seen: _Seen, small: SmallFrames) -> list[Evidence]:
    t = small.times
    end = len(t) - 1
    out: list[Evidence] = []
    if seen.repeats or seen.loops:
        items = []
        for r in [*seen.repeats, *seen.loops]:
            other = f"{t[r.second]:.2f} s" + (" (backwards)" if r.reverse else "")
            items.append((float(t[r.first]), float(t[min(end, r.first + r.length)]), f"occurs again from {other}"))
            items.append(
                (float(t[r.second]), float(t[min(end, r.second + r.length)]), f"same as from {t[r.first]:.2f} s")
            )
        out.append(segments("Repeated stretches", "These stretches show the same moving pictures.", items, sign=True))
    if seen.moved:
        items = [(float(t[s.index - 1]), float(t[s.index]), f"continues at {t[q]:.2f} s") for s, q in seen.moved]
        text = "The motion breaks here, and the picture that continues it stands elsewhere."
        out.append(segments("Broken order", text, items, sign=True))
    if _reported(seen):
        items = [
            (float(t[s.index - 1]), float(t[s.index]), f"{s.ratio:.1f} times the largest change around")
            for s in _reported(seen)
        ]
        text = "The scene stays the same but jumps in a single frame, as after a removed stretch or a jump cut."
        out.append(segments("Suspected joins", text, items, sign=True))
    if seen.joins or seen.cuts or seen.repeats or seen.moved:
        out.append(_change_plot(seen, small))
    return out + _timing_facts(seen, small)


def _change_plot(seen: _Seen, small: SmallFrames) -> Evidence:
    marks = [(float(small.times[s.index]), "join") for s in _reported(seen)]
    marks += [(float(small.times[s.index]), "cut") for s in seen.cuts]
    ceiling = local_ceiling(small.change, int(P["step_reach"]))
    return plot(
        "Change from frame to frame",
        "Peaks that stand alone are steps; motion by itself rises and falls over several frames.",
        small.times.tolist(),
        [("change", small.change.tolist()), ("largest around", ceiling.tolist())],
        "seconds",
        "grey levels",
        marks,
    )


def _timing_facts(seen: _Seen, small: SmallFrames) -> list[Evidence]:
    t = small.times
    out: list[Evidence] = []
    if seen.cuts:
        items = [(float(t[s.index - 1]), float(t[s.index]), "scene cut") for s in seen.cuts]
        out.append(
            segments("Scene cuts", "The picture changes to another scene. Cuts are normal in edited films.", items)
        )
    if seen.gaps:
        items = [(float(t[i - 1]), float(t[i]), f"{t[i] - t[i - 1]:.2f} s without a frame") for i in seen.gaps]
        text = "Frames are missing here by their own time stamps, as when a device drops frames or pauses."
        out.append(segments("Gaps in time", text, items))
    if seen.freezes:
        items = [(float(t[a]), float(t[min(b, len(t) - 1)]), "picture stands still") for a, b in seen.freezes]
        text = "The picture does not change at all here; slow connections, screen recordings and titles do this."
        out.append(segments("Frozen stretches", text, items))
    if seen.still_share > 0.05:
        text = "Frame-rate conversion, screen recorders and slow cameras repeat single frames."
        out.append(fact("Repeated neighbouring frames", f"{seen.still_share:.0%}", "decoded frames", text))
    return out


def _coding_facts(coding: Coding, small: SmallFrames) -> list[Evidence]:
    out = [fact("Frames by type", ", ".join(f"{n} {t}" for t, n in coding.counts.items()), "decoded frames")]
    if coding.intervals.size:
        low, high = int(coding.intervals.min()), int(coding.intervals.max())
        value = f"every {low} frames" if low == high else f"every {low} to {high} frames"
        out.append(fact("Key frames", value, "packet table"))
    if coding.earlier:
        text = (
            "Frame sizes rise in a rhythm that the present coding does not have: the film was probably coded before "
            "with that key-frame interval. Sharing platforms do this to every upload."
        )
        out.append(fact("Trace of an earlier coding", f"every {coding.earlier.frames} frames", "packet sizes", text))
    # The film's own list is that of the last pass, and other detectors decode meanwhile.
    if small.damaged:
        text = "These stretches could not be decoded; what was lost there is unknown."
        out.append(segments("Damaged stretches", text, [(s, s, "damaged") for s in small.damaged]))
    if not small.complete:
        seen = f"{small.times[-1]:.0f} s" if len(small.times) else "0 s"
        out.append(fact("Examined", seen, "limits", "The film is longer than the limits allow; the rest was not seen."))
    return out + _rhythm(small.times)


def _rhythm(times: NDArray[np.float64]) -> list[Evidence]:
    steps = np.diff(times)
    if steps.size < 10:
        return []
    usual = float(np.median(steps))
    varied = float((np.abs(steps - usual) > 0.2 * usual).mean())
    if varied < 0.02:
        return []
    text = "Phones, screen recorders and video calls record at a varying rate."
    return [fact("Varying frame rate", f"{varied:.0%} of the steps differ", "time stamps", text)]
