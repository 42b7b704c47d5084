"""``video.lipsync``: do a mouth and the sound of a film go together, and with what offset? Facts only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmask.card import own_card
from unmask.detectors.video_lipsync import shown
from unmask.detectors.video_lipsync.agreement import Agreement, compare
from unmask.detectors.video_lipsync.mouth import turned
from unmask.detectors.video_lipsync.prepare import Prepared, prepared
from unmask.detectors.video_lipsync.sound import STEPS
from unmask.films.closeup import CloseLook
from unmask.media.video import SmallFrames
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject
from unmask.voices.speech import RATE, STEP, Speech

CARD = own_card(__file__)
P = CARD.parameters
Refusal = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Judged:
    """One face that could be compared with the sound."""

    look: CloseLook
    made: Prepared
    found: Agreement


def examine(subject: Subject, options: Options) -> Finding:  # noqa: ARG001 - the common signature
    """Compare the most visible mouths with the sound, up to eight seconds each; see the card for the papers.

    Raises:
        MediaError: picture or sound cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    video = subject.video
    if not video.has_audio:
        return CARD.not_applicable("lipsync.no_sound", "The film has no sound that lips could go with.")
    refusal = _frames_refusal(video.small_frames, min(video.width, video.height))
    if refusal:
        return CARD.declined(*refusal)
    speech = subject.speech
    clear = clear_seconds(speech, 0.0, speech.duration)
    if not clear:
        return CARD.not_applicable("lipsync.no_speech", "Nobody speaks in the sound, so there is nothing to compare.")
    if clear < P["least_speech"]:
        text = f"There are {clear:.1f} s of clear speech in the sound; {P['least_speech']:.0f} s are needed."
        return CARD.declined("lipsync.too_little_speech", text)
    if not subject.people.tracks:
        text = "No speaker in view: somebody speaks, but no face was found in the film."
        return CARD.not_applicable("lipsync.no_face", text)
    return _of_looks(subject, speech)


def _frames_refusal(small: SmallFrames, side: int) -> Refusal | None:
    """Why the pictures do not allow an answer."""
    if side < CARD.min_side:
        return "lipsync.too_small", f"The film is smaller than {CARD.min_side} pixels on a side."
    seconds = float(small.times[-1] - small.times[0]) if small.times.size else 0.0
    if seconds < CARD.min_seconds:
        text = f"The pictures last {seconds:.1f} s; lips are compared with sound from {CARD.min_seconds:.0f} s on."
        return "lipsync.too_short", text
    rate = 1.0 / max(1e-3, float(np.median(np.diff(small.times))))
    if rate < P["least_rate"]:
        text = f"{rate:.0f} frames a second show too little of how lips move; {P['least_rate']:.0f} are needed."
        return "lipsync.frame_rate", text
    return None


def clear_seconds(speech: Speech, start: float, end: float) -> float:
    """Seconds of clear speech between two times of the sound."""
    low, high = (max(0, round(t * RATE / STEP)) for t in (start, end))
    return float((speech.probability[low:high] >= P["clear_speech"]).sum()) * STEP / RATE


def _of_looks(subject: Subject, speech: Speech) -> Finding:
    judged: list[Judged] = []
    refusals: list[Refusal] = []
    for look in subject.close_looks:
        one = _judge(subject, look, speech)
        if isinstance(one, Judged):
            judged.append(one)
        else:
            refusals.append(one)
    if judged:
        return _answer(judged)
    if not refusals:
        text = f"No face is {P['least_size']:.0f} pixels wide and in view for a second, so no mouth can be watched."
        return CARD.declined("lipsync.face_too_small", text)
    still = next((r for r in refusals if r[0] == "lipsync.still"), None)
    if still and all(r[0] == "lipsync.still" for r in refusals):
        return CARD.not_applicable(*still)
    return CARD.declined(*refusals[0])


def _judge(subject: Subject, look: CloseLook, speech: Speech) -> Judged | Refusal:
    """One face, or why it cannot be judged."""
    if look.size < P["least_size"]:
        return "lipsync.face_too_small", f"The faces are less than {P['least_size']:.0f} pixels wide."
    if look.seen.mean() < P["least_seen"] or look.rate < P["least_rate"]:
        return "lipsync.lost", "The face cannot be followed from frame to frame: turned away, covered or blurred."
    made = prepared(subject, look, P)
    if made is None or len(made.mouth) < P["least_stretch"] * STEPS or len(made.sound) < P["least_sound"] * STEPS:
        text = f"No face is in view for {P['least_stretch']:.1f} s together with enough sound to compare with."
        return "lipsync.too_short", text
    return _silent_or_still(look, made, speech) or Judged(look, made, compare(made.mouth, made.sound, made.first, P))


def _silent_or_still(look: CloseLook, made: Prepared, speech: Speech) -> Refusal | None:
    if clear_seconds(speech, look.times[0] - made.begun, look.times[-1] - made.begun) < P["least_speech"]:
        return "lipsync.too_little_speech", "Hardly anybody speaks clearly while a face is in view long enough."
    if made.motion < P["least_motion"]:
        return "lipsync.still", "No speaker in view: somebody speaks, but no mouth in view moves as if it spoke."
    return None


def _answer(judged: list[Judged]) -> Finding:
    """The face that agrees best speaks for the film; many faces have many chances."""
    best = min(judged, key=lambda one: one.found.chance)
    chance = 1.0 - (1.0 - best.found.chance) ** len(judged)
    evidence = shown.evidence([(j.look, j.made, j.found) for j in judged], P)
    face = f"face {best.look.track}"
    if chance <= P["agree_below"]:
        offset = best.found.offset
        when = shown.in_words(offset)
        if P["noticed_early"] <= offset <= P["noticed_late"]:
            text = f"The sound and the mouth of {face} go together, {when}."
            return CARD.ok("lipsync.agrees", text, evidence=evidence)
        text = f"The sound and the mouth of {face} go together only {when}: more than goes unnoticed."
        return CARD.ok("lipsync.offset", text, evidence=evidence)
    weak = _weak(best.look) or ("it is too weak to tell from accident" if chance < P["none_above"] else "")
    if weak:
        text = f"Whether the sound goes with the mouth of {face} cannot be told: {weak}."
        return CARD.declined("lipsync.unclear", text, evidence)
    text = (
        "The sound does not go with any mouth in view at an offset of up to "
        f"{P['most_offset']:.1f} s: the voice may be dubbed, replaced, or somebody's out of view. "
        "True recordings fail this now and then, too."
    )
    return CARD.ok("lipsync.no_agreement", text, evidence=evidence)


def _weak(look: CloseLook) -> str:
    """Why a missing agreement means nothing with this face."""
    if turned(look.mesh) > P["most_turned"]:
        return "the face is turned aside"
    return "the face is small" if look.size < P["clear_size"] else ""
