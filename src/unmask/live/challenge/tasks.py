"""What may be asked of a person, and how one is chosen so that nobody can know it beforehand."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass
from typing import Literal

from unmask.live.settings import Challenging

Name = Literal["turn", "nod", "closer", "cover", "mouth", "words"]
NAMES: tuple[Name, ...] = ("turn", "nod", "closer", "cover", "mouth", "words")

# Short, common, easy to tell apart, none of them offensive.
_WORDS = """
apple bridge candle dragon engine forest garden hammer island jacket kettle ladder marble needle orange pencil rabbit
silver tunnel violin window yellow basket camera dolphin eleven feather guitar helmet insect jungle kitchen lemon
mountain number ocean pepper quarter ribbon summer table umbrella valley winter butter carpet diamond elbow
"""
_TIMES = {1: "once", 2: "twice", 3: "three times", 4: "four times", 5: "five times"}
WORDS = tuple(_WORDS.split())


@dataclass(frozen=True)
class Task:
    """One challenge. ``side``: ``left``/``right`` of the person, or ``up``/``down``; ``amount``: degrees, a ratio or a
    count, by ``name``; ``words``: to be read; ``seconds``: time for the answer.
    """

    name: Name
    seconds: float
    side: str = ""
    amount: float = 0.0
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What the person is told."""
        return {
            "turn": f"Turn your head to your {self.side}, then look at the camera again.",
            "nod": f"Look {self.side}, then at the camera again.",
            "closer": "Come closer to the camera.",
            "cover": f"Cover the {self.side} half of your face with your hand (your {self.side}).",
            "mouth": f"Open your mouth wide and close it, {_TIMES.get(int(self.amount), '')}.",
            "words": f"Read aloud: {' '.join(self.words)}.",
        }[self.name]


def source_of_chance(seed: int | None) -> random.Random:
    """The system's own randomness; repeatable where a seed is given (tests only)."""
    return secrets.SystemRandom() if seed is None else random.Random(seed)


def draw(count: int, chance: random.Random, p: Challenging, sound: bool) -> list[Task]:
    """``count`` tasks in random order, each kind once before any comes again.

    Args:
        count: how many.
        chance: from `source_of_chance`.
        p: ranges of angles, counts and times.
        sound: whether words can be judged.
    """
    out: list[Task] = []
    while len(out) < count:
        names = [name for name in NAMES if sound or name != "words"]
        chance.shuffle(names)
        out += [_task(name, chance, p) for name in names]
    return out[:count]


def _task(name: Name, chance: random.Random, p: Challenging) -> Task:
    side = chance.choice(("left", "right"))
    if name == "turn":
        return Task(name, p.answer_seconds, side, round(chance.uniform(*p.turn), 1))
    if name == "nod":
        return Task(name, p.answer_seconds, chance.choice(("up", "down")), round(chance.uniform(*p.nod), 1))
    if name == "closer":
        return Task(name, p.answer_seconds, amount=round(chance.uniform(*p.closer), 2))
    if name == "cover":
        return Task(name, p.answer_seconds, side)
    if name == "mouth":
        return Task(name, p.answer_seconds, amount=float(chance.randint(*p.mouths)))
    words = tuple(chance.sample(WORDS, chance.randint(*p.words))) if name == "words" else ()
    return Task(name, p.answer_seconds, words=words)
