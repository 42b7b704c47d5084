"""Detector cards: what a detector asks, of whom, and how its number becomes a probability.

A card is ``card.toml`` in the detector's folder. It is read without importing the detector, so listing and
planning are cheap. A folder below ``unmask/detectors`` is found by walking; another package's detector is
found through the entry-point group ``unmask.detectors``, whose value names a package that holds ``card.toml``
and ``detector.py`` with ``examine(subject, options) -> Finding``.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, model_validator

from unmask.errors import CardError
from unmask.report import About, Evidence, Finding, Frozen, Label, Reason, Status

if TYPE_CHECKING:
    from unmask.options import Options
    from unmask.subject import Subject

DETECTORS = Path(__file__).parent / "detectors"
ENTRY_POINTS = "unmask.detectors"


class Calibration(Frozen):
    """Raw score to log10 likelihood ratio: a non-decreasing piecewise-linear table, flat outside its ends.

    The table is bounded by what the calibration data can support: with n bona fide subjects no ratio
    above about n is claimed (the ELUB idea, Vergeer et al. 2016).
    """

    raw: tuple[float, ...] = Field(min_length=2)
    log10_lr: tuple[float, ...] = Field(min_length=2)
    fitted_on: str
    n_bona_fide: int = Field(ge=1)
    n_manipulated: int = Field(ge=1)

    @model_validator(mode="after")
    def _monotone(self) -> Calibration:
        if len(self.raw) != len(self.log10_lr):
            raise ValueError("raw and log10_lr must have the same length")
        for name, values in (("raw", self.raw), ("log10_lr", self.log10_lr)):
            if any(b < a for a, b in itertools.pairwise(values)):
                raise ValueError(f"{name} must not decrease")
        return self

    def log_ratio(self, raw_score: float) -> float:
        """log10 likelihood ratio of ``raw_score``."""
        return interpolate(self.raw, self.log10_lr, raw_score)

    def probability(self, raw_score: float) -> float:
        """Probability in 0..1 at even prior odds."""
        return ratio_to_probability(self.log_ratio(raw_score))


class FalseAlarms(Frozen):
    """Share of ``n`` bona fide subjects of one kind on which this detector alone reached suspicion."""

    rate: float = Field(ge=0, le=1)
    n: int = Field(ge=1)


class Card(Frozen):
    """A detector's data sheet; see docs/detectors.md for each field."""

    id: str = Field(pattern=r"^[a-z0-9]+(\.[a-z0-9_]+)+$")
    version: str
    title: str
    question: str
    why: str
    innocent_causes: str
    kinds: tuple[Literal["image", "video", "audio"], ...] = Field(min_length=1)
    formats: tuple[str, ...] = ()
    licence: str
    papers: tuple[str, ...] = ()
    min_side: int = 0
    max_pixels: int = 0
    min_seconds: float = 0.0
    scored: bool
    labels: dict[str, Label] = Field(default_factory=dict)
    parameters: dict[str, float] = Field(default_factory=dict)
    calibration: Calibration | None = None
    strata: dict[str, Calibration] = Field(default_factory=dict)
    false_alarms: dict[str, FalseAlarms] = Field(default_factory=dict)
    calibrated_with: str = ""
    trained_on: str = "nothing: no part of it was trained"
    trained_quarters: tuple[int, ...] = ()
    known_misses: tuple[str, ...] = ()
    folder: Path = Field(default=Path(), exclude=True)
    module: str = Field(default="", exclude=True)

    def accepts(self, kind: str, format_: str) -> bool:
        """Whether this detector has anything to ask of such a file."""
        return kind in self.kinds and (not self.formats or format_ in self.formats)

    def load(self) -> Callable[[Subject, Options], Finding]:
        """Import the detector and return its ``examine``."""
        module = importlib.import_module(self.module)
        examine: Callable[[Subject, Options], Finding] = module.examine
        return examine

    def calibration_for(self, stratum: str | None) -> Calibration | None:
        """The table for an answer given in ``stratum`` (a quality, or which model answered); None: not calibrated.

        A card without strata has one table for all.
        """
        if stratum is None or not self.strata:
            return self.calibration
        return self.strata.get(stratum)

    # The four ways a detector may answer ---------------------------------------------------------------

    def ok(
        self,
        code: str,
        text: str,
        raw_score: float | None = None,
        evidence: Sequence[Evidence] = (),
        stratum: str | None = None,
    ) -> Finding:
        """The question was answered.

        Args:
            code: stable word for machines.
            text: a sentence for people.
            raw_score: larger means more manipulated; None for facts only.
            evidence: what a person can look at.
            stratum: the key in the card's ``[strata]`` whose calibration holds for this answer.
        """
        if raw_score is not None and not math.isfinite(raw_score):
            return self.failed("detector.not_finite", f"The detector gave {raw_score} instead of a number.")
        if raw_score is not None:
            # Sums in another order differ in the last digits; a finding must not.
            raw_score = float(f"{raw_score:.9g}")
        if stratum is not None and self.strata and stratum not in self.strata:
            return self.failed("detector.nonsense", f"The detector answered in {stratum!r}, which its card lacks.")
        calibration = self.calibration_for(stratum)
        score = None
        if raw_score is not None and calibration is not None:
            score = calibration.probability(raw_score)
        return self._finding("ok", code, text, raw_score, score, evidence, stratum)

    def declined(self, code: str, text: str, evidence: Sequence[Evidence] = ()) -> Finding:
        """The question applies, but this subject does not allow an answer (too small, too compressed …)."""
        return self._finding("declined", code, text, None, None, evidence)

    def not_applicable(self, code: str, text: str, evidence: Sequence[Evidence] = ()) -> Finding:
        """The question makes no sense here (no JPEG, no sound …)."""
        return self._finding("not_applicable", code, text, None, None, evidence)

    def failed(self, code: str, text: str) -> Finding:
        """Something broke; the rest of the examination goes on."""
        return self._finding("failed", code, text, None, None, ())

    def _finding(
        self,
        status: Status,
        code: str,
        text: str,
        raw_score: float | None,
        score: float | None,
        evidence: Sequence[Evidence],
        stratum: str | None = None,
    ) -> Finding:
        return Finding(
            detector=self.id,
            version=self.version,
            question=self.id,
            about=About(title=self.title, question=self.question, why=self.why, innocent_causes=self.innocent_causes),
            status=status,
            raw_score=raw_score,
            score=score,
            stratum=stratum,
            reason=Reason(code=code, text=text),
            evidence=tuple(evidence),
        )


def interpolate(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Piecewise-linear interpolation, flat outside; ``xs`` must not decrease."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = bisect_right(xs, x)
    x0, x1, y0, y1 = xs[i - 1], xs[i], ys[i - 1], ys[i]
    return y0 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def ratio_to_probability(log10_lr: float) -> float:
    """Posterior probability at even prior odds."""
    return float(1.0 / (1.0 + 10.0 ** (-log10_lr)))


def read_card(folder: Path, module: str) -> Card:
    """Read and check ``folder/card.toml``.

    Raises:
        CardError: missing, not TOML, an unknown key, or a value out of range.
    """
    path = folder / "card.toml"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        return Card(**data, folder=folder, module=module)
    except OSError as error:
        raise CardError("card.missing", f"{path}: no card.toml here ({error.strerror}).") from error
    except tomllib.TOMLDecodeError as error:
        raise CardError("card.broken", f"{path}: not valid TOML: {error}.") from error
    except (ValidationError, TypeError) as error:
        raise CardError("card.invalid", f"{path}: {_first_problem(error)}") from error


def own_card(detector_file: str) -> Card:
    """The card beside a detector's module: ``CARD = own_card(__file__)``."""
    folder = Path(detector_file).parent
    return read_card(folder, f"unmask.detectors.{folder.name}.detector")


@cache
def find_cards() -> tuple[Card, ...]:
    """All installed detectors' cards, by id. Nothing is imported.

    Raises:
        CardError: a card is broken, or two detectors have the same id.
    """
    cards = [
        read_card(path.parent, f"unmask.detectors.{path.parent.name}.detector")
        for path in sorted(DETECTORS.glob("*/card.toml"))
    ]
    for point in entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        if spec is None or not spec.submodule_search_locations:
            raise CardError("card.missing", f"The plug-in {point.name!r} names no package: {point.value!r}.")
        cards.append(read_card(Path(spec.submodule_search_locations[0]), f"{point.value}.detector"))
    by_id: dict[str, Card] = {}
    for card in cards:
        if card.id in by_id:
            raise CardError("card.twice", f"Two detectors are called {card.id}: uninstall one of them.")
        by_id[card.id] = card
    return tuple(by_id[i] for i in sorted(by_id))


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
    return str(error)
