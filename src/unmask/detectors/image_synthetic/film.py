"""image.synthetic on a film: frames spread over it, each examined as a picture; the median is the answer.

Video coding smooths a frame and adds blocks, and bona fide pictures then resemble generated ones a little more
(`unmask_lab.evaluate.coding`). What coding adds beyond the laundering that the calibration was made with is taken off,
so that the thresholds of pictures hold for films.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unmask import evidence
from unmask.films.picked import picked
from unmask.films.plan import spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from unmask.card import Card
    from unmask.detectors.image_synthetic.detector import Answer
    from unmask.detectors.image_synthetic.views import Pixels
    from unmask.report import Evidence, Finding
    from unmask.subject import Subject


def examine_film(
    subject: Subject, card: Card, ask: Callable[[Pixels], Answer], usable: Callable[[Pixels], bool]
) -> Finding:
    """Ask the networks about at most ``film_frames`` frames; ``raw_score`` is the median less what coding adds.

    Args:
        subject: a film.
        card: the detector's.
        ask: the networks' answer to a bounded picture.
        usable: whether a frame holds photographic texture.

    Raises:
        MediaError: the film cannot be decoded. ModelError: no network can be used on this machine.
    """
    p, video = card.parameters, subject.video
    if min(video.width, video.height) < card.min_side:
        return card.declined(
            "synthetic.too_small",
            f"The film is smaller than {card.min_side} pixels on a side: too little is left of how it was made.",
        )
    if max(video.width, video.height) > p["longest_shape"] * min(video.width, video.height):
        return card.declined("synthetic.odd_shape", "The film is so long and narrow that it cannot be compared.")
    wanted = spread(video.small_frames, int(p["film_frames"]))
    times, answers = [], []
    for frame in picked(video, wanted):
        if usable(frame.pixels):
            times.append(frame.time)
            answers.append(ask(frame.pixels))
    if len(answers) < p["film_least_share"] * len(wanted) or not answers:
        return card.declined(
            "synthetic.flat",
            "Most frames are flat, as titles, drawings and screens are: there is no photographic texture to judge.",
        )
    return _answer(card, times, answers)


def _answer(card: Card, times: list[float], answers: list[Answer]) -> Finding:
    p, stratum = card.parameters, answers[0].stratum
    # The calibration is of laundered pictures; strong video coding raises the score of bona fide ones further.
    raws = [one.raw - p[f"film_coding_{stratum}"] for one in answers]
    raw = float(np.median(raws))
    shown = [_curve(times, raws, p[f"report_above_{stratum}"], p[f"film_coding_{stratum}"])]
    if float(np.median([one.distance for one in answers])) > p[f"drift_limit_{stratum}"]:
        return card.declined(
            "drift.unlike_training",
            "The frames are unlike everything that the networks were trained and measured on, so no score is given.",
            shown,
        )
    if raw < p[f"report_above_{stratum}"]:
        text = "The networks see no clear sign that the film's frames were generated. They look at single frames only."
        return card.ok("synthetic.none", text, raw_score=raw, evidence=shown, stratum=stratum)
    text = "The film's frames as a whole resemble generated pictures more than photographs."
    return card.ok("synthetic.signs", text, raw_score=raw, evidence=shown, stratum=stratum)


def _curve(times: list[float], raws: list[float], report_above: float, coding: float) -> Evidence:
    less = f", less {coding:.1f} that strong video coding may add" if coding else ""
    return evidence.plot(
        "Frames that resemble generated pictures",
        f"Log-odds of a generated picture for {len(raws)} frames{less}. The answer is their median; a film is reported "
        f"from {report_above:.1f}.",
        times,
        [("log-odds", raws)],
        "seconds",
        "log-odds",
    )
