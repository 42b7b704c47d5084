"""Whether an answer was given in time, was the movement asked for, and holds together as one head does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unmask.live.challenge import geometry
from unmask.live.challenge.tasks import Name, Task
from unmask.live.challenge.voice import Voice, judge_words
from unmask.live.events import Outcome
from unmask.live.settings import Challenging
from unmask.report import Reason

Numbers = dict[str, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """One look during an answer. ``mesh``: (468, 3), None where no face was found; ``swap``: face.swap's log-odds;
    ``likeness``: of the picture's left and right half of the face with rest.
    """

    time: float
    mesh: NDArray[np.floating] | None
    swap: float | None = None
    likeness: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Rest:
    """The face before the challenges, looking at the camera. ``swap``: face.swap's median."""

    mesh: NDArray[np.floating]
    swap: float | None = None
    crop: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Judgement:
    """``outcome`` with its reason and what was measured."""

    outcome: Outcome
    reason: Reason
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Answer:
    """All that a judge needs. ``report_above``: of face.swap's card; ``mirrored``: the picture is a mirror image."""

    task: Task
    samples: Sequence[Sample]
    rest: Rest
    p: Challenging
    report_above: float
    voice: Voice | None = None
    mirrored: bool = False

    @property
    def meshes(self) -> list[tuple[float, NDArray[np.floating]]]:
        """Time and mesh of the looks that found the face."""
        return [(s.time, s.mesh) for s in self.samples if s.mesh is not None]

    @property
    def sign(self) -> float:
        """+1 where the task's side is the right of the picture: the left of a person who faces the camera."""
        return 1.0 if (self.task.side == "left") != self.mirrored else -1.0


def judge(answer: Answer) -> Judgement:
    """Judge one answer.

    First whether there was enough to see, then the movement, then the consistency: an answer that holds together but
    is not the one asked for has failed, and so has the right one that does not hold together.
    """
    if len(answer.samples) < answer.p.least_samples:
        return _not("challenge.too_few", f"Only {len(answer.samples)} looks at the answer: too few to judge.")
    if answer.task.name == "words":
        moved, why, numbers = judge_words(answer.task, answer.voice, _lips(answer), answer.p)
        if moved is None:
            return Judgement("not_judged", why, numbers)
    else:
        moved, why, numbers = MOVEMENTS[answer.task.name](answer)
    signs, more = consistency(answer)
    numbers |= more
    if not moved:
        return Judgement("failed", why, numbers)
    if signs:
        return Judgement("failed", signs[0], numbers)
    text = "The answer came in time, was the one asked for, and is consistent with one head before one camera."
    return Judgement("passed", Reason(code="challenge.passed", text=text), numbers)


def done(answer: Answer) -> bool:
    """Whether the movement is complete, so that no more time is needed."""
    if answer.task.name == "words" or not answer.meshes:
        return False
    return bool(MOVEMENTS[answer.task.name](answer)[0])


def _not(code: str, text: str) -> Judgement:
    return Judgement("not_judged", Reason(code=code, text=text))


# Movements -----------------------------------------------------------------------------------------------

Movement = tuple[bool, Reason, Numbers]


def _seen(moved: bool, text: str, numbers: Numbers, code: str = "challenge.not_seen") -> Movement:
    return moved, Reason(code=code, text=text), numbers


def turned(answer: Answer) -> Movement:
    """The head turns by the angle to the side asked for, and comes back."""
    yaws = [answer.sign * geometry.pose_against(answer.rest.mesh, m).yaw for _, m in answer.meshes]
    peak = max(yaws, default=0.0)
    other = -min(yaws, default=0.0)
    back = _came_back(yaws, answer.p.back)
    numbers = {"turned_degrees": peak, "asked_degrees": answer.task.amount}
    if peak < answer.task.amount and other >= answer.task.amount:
        text = "The head turned to the other side. If the picture is a mirror image, say --mirrored."
        return _seen(False, text, numbers | {"other_side_degrees": other}, "challenge.other_side")
    if peak < answer.task.amount:
        return _seen(False, f"The head turned by {peak:.0f} degrees; {answer.task.amount:.0f} were needed.", numbers)
    return _seen(back, "The head did not come back to the camera.", numbers)


def nodded(answer: Answer) -> Movement:
    """The head goes up or down by the angle asked for, and comes back."""
    sign = 1.0 if answer.task.side == "up" else -1.0
    pitches = [sign * geometry.pose_against(answer.rest.mesh, m).pitch for _, m in answer.meshes]
    peak = max(pitches, default=0.0)
    numbers = {"nodded_degrees": peak, "asked_degrees": answer.task.amount}
    if peak < answer.task.amount:
        return _seen(False, f"The head moved by {peak:.0f} degrees; {answer.task.amount:.0f} were needed.", numbers)
    return _seen(_came_back(pitches, answer.p.back), "The head did not come back to the camera.", numbers)


def _came_back(angles: Sequence[float], back: float) -> bool:
    return bool(angles) and min(abs(a) for a in angles[int(np.argmax(angles)) :]) <= back


def closer(answer: Answer) -> Movement:
    """The face becomes larger by the ratio asked for."""
    rest = geometry.size(answer.rest.mesh)
    ratio = max((geometry.size(m) / rest for _, m in answer.meshes), default=0.0)
    text = f"The face became {ratio:.2f} times as large; {answer.task.amount:.2f} were needed."
    return _seen(ratio >= answer.task.amount, text, {"size_ratio": ratio, "asked_ratio": answer.task.amount})


def covered(answer: Answer) -> Movement:
    """One half of the face looks like something else for a while, and the other stays as it was."""
    p = answer.p
    # The person's left half lies on the right of a picture that is no mirror image.
    half = 1 if answer.sign > 0 else 0
    lowest, longest, begun = 1.0, 0.0, None
    for sample in answer.samples:
        if sample.likeness is None:
            continue
        mine, other = sample.likeness[half], sample.likeness[1 - half]
        if mine <= p.covered_below and other >= p.uncovered_above:
            begun = sample.time if begun is None else begun
            lowest, longest = min(lowest, mine), max(longest, sample.time - begun)
        else:
            begun = None
    numbers = {"covered_seconds": round(longest, 2), "likeness_covered": round(lowest, 3)}
    text = f"Nothing hid the {answer.task.side} half of the face, alone, for {p.covered_seconds:.1f} s."
    return _seen(longest >= p.covered_seconds, text, numbers)


def mouth(answer: Answer) -> Movement:
    """The mouth opens wide and closes so many times."""
    count, opened, widest = 0, False, 0.0
    for _, mesh in answer.meshes:
        opening = geometry.mouth_opening(mesh)
        widest = max(widest, opening)
        if opening >= answer.p.mouth_open:
            opened = True
        elif opened and opening <= answer.p.mouth_closed:
            count, opened = count + 1, False
    text = f"The mouth opened wide and closed {count} times; {answer.task.amount:.0f} were asked for."
    numbers = {"opened": float(count), "asked": answer.task.amount, "mouth_opening": widest}
    return _seen(count >= answer.task.amount, text, numbers)


MOVEMENTS: dict[Name, Callable[[Answer], Movement]] = {
    "turn": turned,
    "nod": nodded,
    "closer": closer,
    "cover": covered,
    "mouth": mouth,
}


def _lips(answer: Answer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and mouth openings."""
    return (
        np.array([t for t, _ in answer.meshes]),
        np.array([geometry.mouth_opening(m) for _, m in answer.meshes]),
    )


# Consistency ---------------------------------------------------------------------------------------------


def consistency(answer: Answer) -> tuple[list[Reason], Numbers]:
    """What does not fit one head before one camera, gravest first, and the numbers behind it."""
    hidden = answer.task.name == "cover"
    checks = (_blended(answer), *(() if hidden else (_shape(answer), _lost(answer), _jumps(answer))))
    numbers: Numbers = {}
    signs = []
    for bad, code, text, values in checks:
        numbers |= {name: round(value, 4) for name, value in values.items()}
        if bad:
            signs.append(Reason(code=code, text=text))
    return signs, numbers


Check = tuple[bool, str, str, Numbers]


def _shape(answer: Answer) -> Check:
    """The bony points keep the shape that they have at rest, once turn and size are taken out."""
    values = [geometry.shape_difference(answer.rest.mesh, m) for _, m in answer.meshes]
    middle = float(np.median(values)) if values else 0.0
    far = max(
        (m for _, m in answer.meshes), key=lambda m: abs(geometry.pose_against(answer.rest.mesh, m).yaw), default=None
    )
    flat = 0.0 if far is None else geometry.flat_residual(answer.rest.mesh, far)
    text = "The shape of the face is another than at rest."
    return middle > answer.p.shape_most, "challenge.shape", text, {"shape_difference": middle, "flat_residual": flat}


def _lost(answer: Answer) -> Check:
    """The face stays in sight."""
    times = [s.time for s in answer.samples]
    seen = [times[0], *(t for t, _ in answer.meshes), times[-1]]
    longest = max(b - a for a, b in itertools.pairwise(seen))
    text = f"The face could not be followed for {longest:.1f} s of the answer."
    return longest > answer.p.lost_most, "challenge.lost", text, {"lost_seconds": longest}


def _jumps(answer: Answer) -> Check:
    """The mesh moves on steadily."""
    pairs = itertools.pairwise(answer.meshes)
    most = max((geometry.jump(a, b, tb - ta) for (ta, a), (tb, b) in pairs), default=0.0)
    text = "The face jumped from one place to another between two looks."
    return most > answer.p.jump_most, "challenge.jump", text, {"largest_jump": most}


def _blended(answer: Answer) -> Check:
    """face.swap sees signs during the answer that it did not see at rest."""
    scores = [s.swap for s in answer.samples if s.swap is not None]
    if len(scores) < 3:
        return False, "", "", {}
    share = float(np.mean(np.array(scores) >= answer.report_above))
    quiet = answer.rest.swap is None or answer.rest.swap < answer.report_above
    numbers = {"swap_during": float(np.median(scores)), "swap_signs_share": share}
    if answer.rest.swap is not None:
        numbers["swap_at_rest"] = answer.rest.swap
    text = "While it moved, the face showed signs of blending that it did not show at rest."
    return quiet and share >= answer.p.blended_share, "challenge.blended", text, numbers
