"""video.temporal: how faces behave from frame to frame, as curves, stretches and facts for a person to judge."""

from __future__ import annotations

from unmask.card import own_card
from unmask.detectors.video_temporal import shown
from unmask.detectors.video_temporal.traces import Traces, traces_of
from unmask.films.closeup import CloseLook
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

CARD = own_card(__file__)
P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Flicker, trembling, blinks and mouth of the faces that are followed frame by frame. No score: see the card.

    Raises:
        MediaError: the film cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    video = subject.video
    if min(video.width, video.height) < CARD.min_side:
        return CARD.declined("temporal.too_small", f"The film is smaller than {CARD.min_side} pixels on a side.")
    if not subject.people.tracks:
        return CARD.not_applicable("temporal.no_face", "No face was found in the film, so there is none to follow.")
    looks = subject.close_looks
    if not looks:
        text = "No face is large enough and in view for long enough to be followed frame by frame."
        return CARD.declined("temporal.no_steady_face", text)
    fast = [look for look in looks if look.rate >= P["least_rate"]]
    if not fast:
        text = (
            f"The film has {looks[0].rate:.0f} frames a second; below {P['least_rate']:.0f} too much happens between "
            "two frames to tell flicker from motion."
        )
        return CARD.declined("temporal.few_frames", text)
    return _told(subject, fast)


def _told(subject: Subject, looks: list[CloseLook]) -> Finding:
    small = subject.video.small_frames
    found = [one for one in (traces_of(look, small, P) for look in looks) if one is not None]
    if not found:
        text = "The face was lost too often to be compared from frame to frame."
        return CARD.declined("temporal.no_steady_face", text)
    stretches = [stretch for one in found for stretch in shown.stretches(one, P)]
    evidence = shown.evidence_of(found, stretches, P)
    if stretches:
        text = (
            f"{_faces(found)} followed frame by frame. In {len(stretches)} stretch{'es' * (len(stretches) > 1)} a face "
            "changes more than in the rest of what was followed: look there. Lips, hands, light and coding do this, "
            "too; no score is given."
        )
        return CARD.ok("temporal.uneven", text, evidence=evidence)
    text = (
        f"{_faces(found)} followed frame by frame, and no stretch stands out from the rest. A face that was changed "
        "throughout does not stand out either; no score is given."
    )
    return CARD.ok("temporal.even", text, evidence=evidence)


def _faces(found: list[Traces]) -> str:
    return "One face was" if len(found) == 1 else f"{len(found)} faces were"
