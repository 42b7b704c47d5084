"""The frozen result document: what was examined, what was found, and how sure that is.

Everything that shows a result (terminal, JSON, HTML, a case file) reads a `Report` and nothing else, so
a report written today can be rendered again in ten years. Reports are plain JSON; unknown fields are
refused, and ``schema_version`` changes when a field changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

SCHEMA_VERSION: Literal["1"] = "1"

Kind = Literal["image", "video", "audio", "unknown"]
Status = Literal["ok", "not_applicable", "declined", "failed"]
Label = Literal["likely_manipulated", "suspicious", "no_sign_found", "inconclusive", "declared_synthetic"]
EvidenceKind = Literal["heatmap", "boxes", "segments", "plot", "frames", "fact"]


class Frozen(BaseModel):
    """Base of all parts of a report: immutable, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reason(Frozen):
    """Why: a stable ``code`` for machines and a sentence for people."""

    code: str
    text: str


class Box(Frozen):
    """A rectangle in pixels of the upright picture (EXIF orientation applied), origin top left."""

    x: float
    y: float
    w: float = Field(ge=0)
    h: float = Field(ge=0)


class Evidence(Frozen):
    """Something a person can look at.

    ``data`` by ``kind`` (see `unmask.evidence`, which builds them):

    - ``heatmap``: ``{"png": base64 of an 8-bit grey PNG, "width", "height", "low", "high"}``: 0 means
      ``low`` and 255 means ``high``; the map covers the whole upright picture.
    - ``boxes``: ``{"boxes": [{"x","y","w","h","label"}], "lines": [[x1,y1,x2,y2]]}`` in pixels of the upright
      picture.
    - ``segments``: ``{"segments": [{"start","end","label"}]}`` in seconds. Optional: ``lane``, whose stretch it is
      (``Face 1``; a finding's stretches of one lane are drawn in one row), ``sign`` true where it speaks for a change,
      ``score``, the detector's raw score of the stretch.
    - ``plot``: ``{"x": [...], "series": [{"name","y": [...]}], "x_label","y_label", "marks": [{"x","label"}],
      "levels": [{"y","label"}]}``; a plot over ``seconds`` is drawn on the time line, too.
    - ``frames``: ``{"frames": [{"time","label","jpeg", "map", "box"}], "low", "high"}``: small upright pictures of
      moments (seconds). ``jpeg`` is base64; ``map``, where there is one, is base64 of an 8-bit grey PNG over the whole
      picture, as of a heatmap; ``box`` is [x, y, w, h] in 0..1 of the picture.
    - ``fact``: ``{"name","value","source"}``.
    """

    kind: EvidenceKind
    title: str
    text: str = ""
    path: str | None = None
    data: dict[str, JsonValue] | None = None
    region: Box | None = None
    start: float | None = None
    end: float | None = None


class About(Frozen):
    """What a reader must know to weigh a finding; copied from the card, so that the report stands alone."""

    title: str
    question: str
    why: str
    innocent_causes: str


class Finding(Frozen):
    """What one detector says about one subject.

    ``raw_score`` is the detector's own number (larger means more manipulated); ``score`` is its calibrated
    probability in 0..1 at even prior odds, or None. Both are None unless ``status`` is ``ok``: no answer is
    never written as 0.5. ``stratum`` names the calibration that the score comes from, where a detector has several:
    one for each quality of subject, or for each model that may answer.
    """

    detector: str
    version: str
    question: str
    about: About
    status: Status
    raw_score: float | None = Field(default=None, allow_inf_nan=False)
    score: float | None = Field(default=None, ge=0, le=1)
    stratum: str | None = None
    reason: Reason
    evidence: tuple[Evidence, ...] = ()
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _no_score_without_ok(self) -> Finding:
        if self.status != "ok" and (self.score is not None or self.raw_score is not None):
            raise ValueError("only a finding with status 'ok' may carry a score")
        return self


class Verdict(Frozen):
    """The fused answer.

    ``probability`` (0..1) is at even prior odds, ``likelihood_ratio`` is P(findings | manipulated) over
    P(findings | bona fide), ``false_alarm_rate`` (0..1) is the share of bona fide media that would show signs at
    least this strong. All three are None where nothing calibrated could speak. ``decided_by`` names the questions
    whose signs reached a label, gravest first: a trained detector, or ``<kind>.edits`` for the traces of local edits.
    """

    label: Label
    probability: float | None = Field(default=None, ge=0, le=1)
    likelihood_ratio: float | None = Field(default=None, ge=0)
    false_alarm_rate: float | None = Field(default=None, ge=0, le=1)
    reasons: tuple[Reason, ...] = ()
    abstained: tuple[Reason, ...] = ()
    decided_by: tuple[str, ...] = ()


class SubjectInfo(Frozen):
    """What is known of the file itself. ``facts`` are container facts; ``preview`` is a small JPEG (base64), ``strip``
    evidence of kind ``frames`` evenly over a film: both only where previews were asked for.
    """

    name: str
    sha256: str | None = None
    bytes: int | None = Field(default=None, ge=0)
    kind: Kind = "unknown"
    format: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    preview: str | None = None
    strip: Evidence | None = None


class ModelInfo(Frozen):
    """A model that took part."""

    id: str
    version: str
    sha256: str


class Tool(Frozen):
    """Which Unmask made the report, with which models, and what differed from the default options."""

    name: str = "unmask"
    version: str
    models: tuple[ModelInfo, ...] = ()
    options: dict[str, JsonValue] = Field(default_factory=dict)


class Provenance(Frozen):
    """What the file proves about its origin: facts, never a score."""

    c2pa: dict[str, JsonValue] = Field(default_factory=dict)
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    watermarks: tuple[dict[str, JsonValue], ...] = ()


class Report(Frozen):
    """The whole result for one subject."""

    schema_version: Literal["1"] = SCHEMA_VERSION
    tool: Tool
    created: str
    subject: SubjectInfo
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    provenance: Provenance = Provenance()
    seconds: float = Field(default=0.0, ge=0)

    def finding(self, detector: str) -> Finding | None:
        """The finding of the detector with this id, or None where it did not run."""
        return next((f for f in self.findings if f.detector == detector), None)

    @property
    def examined(self) -> bool:
        """False where a part of the examination failed, so that the result is incomplete."""
        return not any(f.status == "failed" for f in self.findings)

    def to_json(self, **kwargs: Any) -> str:
        """One line of JSON."""
        return self.model_dump_json(**kwargs)
