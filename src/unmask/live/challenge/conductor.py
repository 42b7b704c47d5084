"""The course of the challenges: wait for a face at rest, issue one task after the other, judge each answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.card import Card
from unmask.faces.align import crop
from unmask.faces.face import Face
from unmask.live.challenge import geometry
from unmask.live.challenge.judge import Answer, Judgement, Rest, Sample, done, judge
from unmask.live.challenge.tasks import Task, draw, source_of_chance
from unmask.live.challenge.voice import Voice
from unmask.live.events import ChallengeEvent
from unmask.live.looks import Seen, SeenFace, largest
from unmask.live.settings import Challenging
from unmask.media import sound as media_sound
from unmask.report import Reason
from unmask.voices.speech import RATE, STEP, speech_probability

Sound = Callable[[float], tuple[NDArray[np.float32], int]]
CROP = 64
MOST_SAMPLES = 400
_LINGER = 0.4
_NO_PROOF = (
    "This shows that the face before the camera did what was asked just now. It is no proof: a face swap that follows "
    "the head well may pass, and how often was not measured."
)


@dataclass(frozen=True, eq=False)
class _Moment:
    """A look at rest, without the picture: 64 of them would be large."""

    time: float
    face: SeenFace


class Conductor:
    """Runs ``count`` challenges.

    Args:
        count: how many; 0 none.
        seed: for tests; None for the system's randomness.
        p: settings.
        card: of face.swap, for the level of its small network.
        mirrored: the picture is a mirror image.
    """

    def __init__(self, count: int, seed: int | None, p: Challenging, card: Card, mirrored: bool = False) -> None:
        self._count, self._chance, self._p, self._mirrored = count, source_of_chance(seed), p, mirrored
        self._report_above = card.parameters["report_above_small"]
        self._tasks: list[Task] | None = None
        self._rest: Rest | None = None
        self._calm: deque[_Moment] = deque(maxlen=64)
        self._samples: deque[Sample] = deque(maxlen=MOST_SAMPLES)
        self._last_face: Face | None = None
        self._begun: float | None = None
        self._waiting_since: float | None = None
        self._complete: float | None = None
        self._free = -1e9
        self._sound: Sound | None = None
        self.judged: list[tuple[Task, Judgement]] = []

    @property
    def active(self) -> bool:
        """Whether challenges are still to be issued or answered, so that looks must be frequent."""
        return len(self.judged) < self._count

    def feed(self, seen: Seen, sound: Sound | None) -> list[ChallengeEvent]:
        """Take in a look; ``sound`` gives the last seconds of sound and how many samples came."""
        if not self.active:
            return []
        self._sound = sound
        if self._tasks is None:
            self._tasks = draw(self._count, self._chance, self._p, sound is not None)
            self._waiting_since = seen.time
        if self._begun is not None:
            return self._answering(seen)
        return self._resting(seen) if seen.time >= self._free else []

    # At rest -------------------------------------------------------------------------------------------

    def _resting(self, seen: Seen) -> list[ChallengeEvent]:
        assert self._waiting_since is not None
        face = largest(seen)
        if face is None or face.mesh is None or not self._calm_face(face):
            self._calm.clear()
            if seen.time - self._waiting_since > self._p.rest_wait:
                return self._give_up(seen.time)
            return []
        self._calm.append(_Moment(seen.time, face))
        if seen.time - self._calm[0].time < self._p.rest_seconds or len(self._calm) < 4:
            return []
        if self._rest is None:
            self._rest = self._reference(seen)
        return self._issue(seen.time)

    def _calm_face(self, face: SeenFace) -> bool:
        yaw, pitch, _ = face.face.pose
        if face.mesh is None or geometry.mouth_opening(face.mesh) > self._p.mouth_closed:
            return False
        return abs(yaw) <= self._p.rest_yaw and abs(pitch) <= self._p.rest_pitch

    def _reference(self, seen: Seen) -> Rest:
        meshes = [m.face.mesh for m in self._calm if m.face.mesh is not None]
        scores = [m.face.score.score for m in self._calm if m.face.score is not None]
        return Rest(
            geometry.middle_mesh(meshes),
            float(np.median(scores)) if scores else None,
            crop(seen.rgb, self._calm[-1].face.face, CROP),
        )

    def _give_up(self, time: float) -> list[ChallengeEvent]:
        text = f"No face looked at the camera calmly within {self._p.rest_wait:.0f} s."
        judgement = Judgement("not_judged", Reason(code="challenge.no_face", text=text))
        self._waiting_since = time
        return [self._judged(time, judgement)]

    def _issue(self, time: float) -> list[ChallengeEvent]:
        task = self._task()
        self._begun, self._complete = time, None
        self._last_face = self._calm[-1].face.face
        self._samples.clear()
        self._calm.clear()
        return [self._event(time, "issued", task, text=task.text, seconds=task.seconds)]

    def _task(self) -> Task:
        assert self._tasks is not None
        return self._tasks[len(self.judged)]

    # An answer -----------------------------------------------------------------------------------------

    def _answering(self, seen: Seen) -> list[ChallengeEvent]:
        assert self._begun is not None and self._rest is not None
        self._samples.append(self._sample(seen))
        task = self._task()
        answer = self._answer(None)
        if self._complete is None and done(answer):
            self._complete = seen.time
        over = seen.time - self._begun >= task.seconds
        if not over and (self._complete is None or seen.time - self._complete < _LINGER):
            return []
        if task.name == "words":
            answer = self._answer(self._voice(seen.time))
        return [self._judged(seen.time, judge(answer))]

    def _answer(self, voice: Voice | None) -> Answer:
        assert self._rest is not None
        return Answer(
            self._task(), tuple(self._samples), self._rest, self._p, self._report_above, voice, self._mirrored
        )

    def _sample(self, seen: Seen) -> Sample:
        """Where the face is hidden, its place is looked at as it was seen last."""
        found = largest(seen)
        place = found.face if found is not None else self._last_face
        if self._task().name != "cover" or self._last_face is None:
            self._last_face = place
        else:
            place = self._last_face
        likeness = None
        if self._rest is not None and self._rest.crop is not None and place is not None:
            likeness = geometry.likeness(self._rest.crop, crop(seen.rgb, place, CROP))
        mesh = found.mesh if found is not None else None
        score = found.score.score if found is not None and found.score is not None else None
        return Sample(seen.time, mesh, score, likeness)

    def _voice(self, now: float) -> Voice | None:
        if self._sound is None or self._begun is None:
            return None
        wave, _ = self._sound(now - self._begun)
        if not wave.size:
            return None
        probability = np.asarray(speech_probability(media_sound.Sound.of(wave, RATE)), np.float64)
        times = now - wave.size / RATE + (np.arange(probability.size) + 0.5) * STEP / RATE
        return Voice(times, probability)

    def _judged(self, time: float, judgement: Judgement) -> ChallengeEvent:
        task = self._task()
        event = self._event(
            time,
            "judged",
            task,
            text=task.text,
            outcome=judgement.outcome,
            reason=judgement.reason,
            numbers={name: round(float(value), 4) for name, value in judgement.numbers.items()},
        )
        self.judged.append((task, judgement))
        self._begun = None
        self._free = time + self._p.pause_seconds
        self._waiting_since = self._free
        return event

    def _event(self, time: float, what: str, task: Task, **values: object) -> ChallengeEvent:
        return ChallengeEvent.model_validate(
            {
                "time": round(time, 3),
                "what": what,
                "number": len(self.judged) + 1,
                "of": self._count,
                "name": task.name,
                **values,
            }
        )

    def finish(self, time: float) -> list[ChallengeEvent]:
        """The summary, once; challenges that nobody answered are not judged."""
        if not self._count:
            return []
        counts = {name: sum(j.outcome == name for _, j in self.judged) for name in ("passed", "failed", "not_judged")}
        counts["not_issued"] = self._count - len(self.judged)
        text = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        return [
            ChallengeEvent(
                time=round(time, 3),
                what="summary",
                of=self._count,
                text=f"Challenges: {text}. {_NO_PROOF}",
                numbers={**counts},
            )
        ]
