"""A second look where the scores of one face waver, so that stretches get sharper ends.

Kept pictures of a face lie seconds apart in a long film. Where two neighbouring scores lie on either side of the level
of a report, or further apart than those of bona fide faces usually do, one more frame between them is examined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unmask.detectors.face_swap.faces import score_faces
from unmask.detectors.face_swap.film_evidence import TrackScore
from unmask.films.between import Gap, looks_between
from unmask.films.people import FaceTrack, Glimpse
from unmask.media.video import VideoView

Wavering = tuple[float, int, Gap]


def looked_again(video: VideoView, known: Sequence[TrackScore], p: Mapping[str, float]) -> list[TrackScore]:
    """The same faces with further looks, at most ``film_more_looks`` of a film, in ``film_more_rounds`` rounds.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    out, left = list(known), int(p["film_more_looks"])
    for _ in range(int(p["film_more_rounds"])):
        wavering = wavers(out, p)[:left]
        if not wavering:
            break
        left -= len(wavering)
        looks = looks_between(video, [gap for _, _, gap in wavering])
        for i in range(len(out)):
            mine = [look for look, (_, one, _) in zip(looks, wavering, strict=True) if one == i and _clear(look, p)]
            out[i] = _with(out[i], [look for look in mine if look is not None])
    return out


def _clear(look: Glimpse | None, p: Mapping[str, float]) -> bool:
    return look is not None and look.size >= p["least_size"] and look.face.sharpness >= p["least_sharpness"]


def wavers(known: Sequence[TrackScore], p: Mapping[str, float]) -> list[Wavering]:
    """(how much, index in ``known``, gap) of neighbouring looks that disagree and have room between them.

    Those on either side of the level come first, then the largest differences.
    """
    found = []
    for i, one in enumerate(known):
        for a in range(one.times.size - 1):
            two, before, after = one.scores[a : a + 2], float(one.times[a]), float(one.times[a + 1])
            across = two.min() < p["report_above"] <= two.max()
            apart = float(abs(one.small[a + 1] - one.small[a]))
            track = _track(one, before, after)
            if track is not None and after - before >= p["film_room"] and (across or apart > p["film_waver"]):
                found.append((apart + (1e3 if across else 0.0), i, Gap(track, before, after)))
    return sorted(found, key=lambda item: (-item[0], item[1], item[2].before))


def _track(one: TrackScore, before: float, after: float) -> FaceTrack | None:
    """The appearance that both looks are of; None where the face was away between them."""
    tracks = (one.track,) if isinstance(one.track, FaceTrack) else one.track.tracks
    return next((track for track in tracks if track.start <= before and after <= track.end), None)


def _with(one: TrackScore, looks: Sequence[Glimpse]) -> TrackScore:
    """With more looks, in the order of time. What the drift is told from stays: the looks that were taken first."""
    if not looks:
        return one
    moments = (*one.moments, *((look, score_faces(look.rgb, [look.face])[0]) for look in looks))
    later = np.zeros(one.times.size, np.bool_) if one.later is None else one.later
    later = np.concatenate([later, np.ones(len(looks), np.bool_)])
    times = np.array([seen.time for seen, _ in moments])
    scores = np.array([said.score for _, said in moments])
    if one.tower is not None:
        scores = scores + one.tower.at(times)
    order = np.argsort(times, kind="stable")
    ordered = tuple(moments[i] for i in order)
    return TrackScore(one.track, times[order], scores[order], one.distance, ordered, later[order], one.tower)
