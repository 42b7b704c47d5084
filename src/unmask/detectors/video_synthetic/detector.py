"""video.synthetic: was this film, or a scene of it, made by a generator instead of a camera?

Frames are asked the question of pictures (image.synthetic's networks), and the answers are put together by scene.
Motion was measured and left out: what changes from frame to frame told generated films from others no better than the
frames themselves, and mostly by what is filmed (docs/evaluation-films.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from unmask import evidence
from unmask.card import own_card
from unmask.detectors.image_synthetic.detector import Answer, ask, flat_share, likely_kind
from unmask.detectors.image_synthetic.detector import P as PICTURES
from unmask.detectors.image_synthetic.views import Pixels, bounded
from unmask.detectors.video_synthetic.scenes import Told, first_looks, further_looks, scenes, told
from unmask.films.picked import picked
from unmask.films.plan import Indexes
from unmask.models.tower import networks_fact
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters
Looks = dict[int, tuple[float, Answer]]
"""Index of a frame: its time in seconds and the networks' answer."""


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Ask the networks about frames of each scene; ``raw_score`` is log-odds of a generated film or scene.

    Raises:
        MediaError: the film cannot be decoded. ModelError: no network can be used on this machine.
    """
    return examine_film(subject, ask, lambda pixels: flat_share(pixels) <= PICTURES["most_flat"])


def examine_film(subject: Subject, ask: Callable[[Pixels], Answer], usable: Callable[[Pixels], bool]) -> Finding:
    """`examine` with the networks given.

    Args:
        subject: a film.
        ask: the networks' answer to a bounded frame.
        usable: whether a bounded frame holds photographic texture.
    """
    video = subject.video
    if min(video.width, video.height) < CARD.min_side:
        return CARD.declined(
            "synthetic.too_small",
            f"The film is smaller than {CARD.min_side} pixels on a side: too little is left of how it was made.",
        )
    if max(video.width, video.height) > PICTURES["longest_shape"] * min(video.width, video.height):
        return CARD.declined("synthetic.odd_shape", "The film is so long and narrow that it cannot be compared.")

    def looked(wanted: Indexes) -> Looks:
        frames = ((one, bounded(one.pixels)) for one in picked(video, wanted))
        return {one.index: (one.time, ask(pixels)) for one, pixels in frames if usable(pixels)}

    small = video.small_frames
    parts = scenes(small)
    even, more = first_looks(small, parts, int(P["even_looks"]), int(P["first_looks"]))
    looks = looked(np.union1d(even, more))
    plain = [int(i) for i in even if int(i) in looks]
    if not plain or len(plain) < P["least_share"] * len(even):
        return CARD.declined(
            "synthetic.flat",
            "Most frames are flat, as titles, drawings and screens are: there is no photographic texture to judge.",
        )
    stratum = looks[plain[0]][1].stratum
    level, least = P[f"report_above_{stratum}"], int(P["scene_looks"])
    further = further_looks(small, parts, _raws(looks), level, least, int(P["most_looks"]) - len(looks))
    looks |= looked(further)
    raws = _raws(looks)
    known = told(parts, raws, plain, least, P["scene_slope"])
    shown = _evidence(looks, raws, known, level)
    if float(np.median([looks[i][1].distance for i in plain])) > P[f"drift_limit_{stratum}"]:
        return CARD.declined(
            "drift.unlike_training",
            "The frames are unlike everything that the networks were trained and measured on, so no score is given.",
            shown,
        )
    found = known.raw >= level
    code = "synthetic.signs" if found else "synthetic.none"
    return CARD.ok(code, _sentence(known, looks, level), raw_score=known.raw, evidence=shown, stratum=stratum)


def _raws(looks: Looks) -> dict[int, float]:
    """The looks' log-odds, in the order of time, less what strong video coding may add: the calibration is that of
    laundered pictures.
    """
    return {i: answer.raw - P[f"coding_{answer.stratum}"] for i, (_, answer) in sorted(looks.items())}


def _sentence(known: Told, looks: Looks, level: float) -> str:
    high = max(known.scenes, key=lambda one: one[1], default=None)
    where = f"the scene from {high[0].start:.1f} to {high[0].end:.1f} s" if high else ""
    if known.raw < level:
        text = "The networks see no clear sign that the film or one of its scenes was generated."
        if high is None or high[1] < level:
            return text
        chance = f"Of {known.asked} scenes one may reach as much by chance."
        return f"{text} They lean that way for {where}: look at it. {chance}"
    if known.whole >= level or high is None:
        kind = _family([answer for _, answer in looks.values()])
        return f"The film's frames as a whole resemble generated pictures more than photographs.{kind}"
    kind = _family([answer for i, (_, answer) in looks.items() if high[0].holds(i)])
    return (
        f"{where.capitalize()} resembles generated pictures more than photographs; the film as a whole does not.{kind}"
    )


def _family(answers: list[Answer]) -> str:
    """Which kind of generator more than half of the frames name."""
    name, count = Counter(answer.family for answer in answers).most_common(1)[0]
    return f" {likely_kind(name, 'a film')}" if name and 2 * count > len(answers) else ""


def _evidence(looks: Looks, raws: dict[int, float], known: Told, level: float) -> list[Evidence]:
    times = [looks[i][0] for i in raws]
    first = next(iter(looks.values()))[1]
    coding = P[f"coding_{first.stratum}"]
    less = f", less {coding:.1f} that strong video coding may add" if coding else ""
    curve = evidence.plot(
        "Frames that resemble generated pictures",
        f"Log-odds of a generated picture for {len(raws)} frames{less}. A film is reported from {level:.1f}.",
        times,
        [("log-odds", list(raws.values()))],
        "seconds",
        "log-odds",
    )
    return [*_scenes(known, level), curve, networks_fact(CARD.id, first.why_no_tower)]


def _scenes(known: Told, level: float) -> list[Evidence]:
    """Scenes at the level of a report; signs only where the film is reported."""
    sign = known.raw >= level
    items = [
        evidence.Stretch(part.start, part.end, f"median score {score:+.1f}", "Generated scenes", sign, score)
        for part, score in known.scenes
        if score >= level
    ]
    if not items:
        return []
    text = (
        f"Scenes of which at least {P['scene_looks']:.0f} frames were examined, with a median of {level:.1f} or more. "
        f"{known.asked} scenes were looked at; a film is reported for one of them only where it stands out that far "
        "beyond what the highest of so many untouched scenes may reach."
    )
    return [evidence.segments("Scenes that resemble generated pictures", text, items)]
