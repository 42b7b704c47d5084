"""What CLIP's tower adds to the scores of the faces of a film, asked at some of their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from unmask.detectors.face_swap.faces import BOTH, SMALL, tower_scores
from unmask.detectors.face_swap.film_evidence import Course, TrackScore
from unmask.errors import CardError, ModelError
from unmask.models.tower import why_not


def with_tower(scored: Sequence[TrackScore], p: Mapping[str, float]) -> tuple[list[TrackScore], str, str]:
    """The faces with the tower's part in their scores, the stratum, and why the tower does not answer.

    Each face is asked about at ``film_tower_looks`` looks spread over it, fewer where many faces share
    ``film_tower_most``.
    """
    each = max(1, min(int(p["film_tower_looks"]), int(p["film_tower_most"]) // len(scored)))
    out = []
    for one in scored:
        course = _course(one, each, p["tower_weight"])
        if not isinstance(course, Course):
            return list(scored), SMALL, why_not(course)
        out.append(replace(one, scores=one.scores + course.at(one.times), tower=course))
    return out, BOTH, ""


def _course(one: TrackScore, looks: int, weight: float) -> Course | ModelError | CardError:
    count = len(one.moments)
    chosen = np.unique(np.round(np.linspace(0, count - 1, min(looks, count) + 2)[1:-1]).astype(int))
    values = []
    for i in chosen:
        seen = one.moments[int(i)][0]
        said = tower_scores(seen.rgb, [seen.face])
        if not isinstance(said, list):
            return said
        values += said
    return Course(one.times[chosen], weight * np.asarray(values))
