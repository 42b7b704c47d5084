"""The examination itself, as it runs inside a worker: read, plan, examine, send each result at once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import JsonValue

from unmask.card import Card, find_cards
from unmask.errors import CardError, MediaError, ModelError, SubjectError, UnmaskError
from unmask.execution.contract import Emit, Job, Message
from unmask.media.sniff import EXTENSIONS, IMAGES, name_disagrees
from unmask.memory import give_back
from unmask.models.uses import forget_uses, used
from unmask.options import Options
from unmask.report import Finding, Provenance, SubjectInfo
from unmask.subject import Subject

_PICTURES = frozenset(suffix for image in IMAGES for suffix in EXTENSIONS[image])
_EARLY = ("audio.", "voice.", "provenance.", "video.container", "video.frames")
_LATE = ("video.lipsync", "video.temporal")
_TOWERS = ("face.swap", "video.synthetic")
LONG_SECONDS = 600.0
"""Of a longer film or recording detectors run one by one, whatever the cores: what they hold grows with the length."""


def examine(job: Job, emit: Emit, cards: Sequence[Card] | None = None, *, thrifty: bool = False) -> None:
    """Examine ``job`` and emit what is found. Raises nothing but programming errors outside detectors.

    ``thrifty``: of a film or a recording no model is held longer than the detector that uses it.
    """
    lock = threading.Lock()

    def send(message: Message) -> None:
        with lock:
            emit(message)

    subject = Subject(Path(job.path), job.options, job.name)
    try:
        info = describe(subject)
    except (MediaError, SubjectError) as error:
        send({"type": "unreadable", "code": error.code, "text": error.text})
        return
    send({"type": "subject", "subject": info.model_dump(mode="json")})
    chosen = plan(find_cards() if cards is None else cards, subject, job.options)
    send({"type": "plan", "detectors": [card.id for card in chosen]})
    todo = [card for card in chosen if card.id not in job.done]
    forget_uses()
    run_all(todo, subject, job, send, thrifty=thrifty and subject.kind != "image")
    send({"type": "models", "models": [model.model_dump() for model in used()]})
    if job.options.preview:
        send_preview(subject, send)
    for names in (("metadata",), ("metadata", "c2pa")):
        # Sent twice, so that a credential that kills its reader does not take the metadata with it.
        send({"type": "provenance", "provenance": provenance(subject, names).model_dump(mode="json")})


def plan(cards: Sequence[Card], subject: Subject, options: Options) -> list[Card]:
    """The detectors that accept this subject and that the options ask for, by id."""

    def named(card: Card, names: tuple[str, ...]) -> bool:
        return any(card.id == name or card.id.startswith(name + ".") for name in names)

    return [
        card
        for card in cards
        if card.accepts(subject.kind, subject.format)
        and (not options.only or named(card, options.only))
        and not named(card, options.skip)
    ]


def run_all(cards: Sequence[Card], subject: Subject, job: Job, send: Emit, *, thrifty: bool = False) -> None:
    """Run detectors, ``job.threads`` at a time; of a long film one by one.

    One by one, what needs neither faces nor a large model comes first: it takes its memory before these are there. Side
    by side, what waits for the faces that another detector looks for comes last.
    """
    alone = job.threads <= 1 or _long(subject)

    def run(card: Card) -> None:
        send({"type": "start", "detector": card.id})
        send({"type": "finding", "finding": run_one(card, subject, job.options).model_dump(mode="json")})
        if thrifty and alone:
            let_go()

    if alone:
        if thrifty and any(card.id in _TOWERS for card in cards):
            _open_tower()
        for card in sorted(cards, key=lambda card: not card.id.startswith(_EARLY)):
            run(card)
        return
    with ThreadPoolExecutor(job.threads) as pool:
        for future in [pool.submit(run, card) for card in sorted(cards, key=lambda card: card.id.startswith(_LATE))]:
            future.result()


def _long(subject: Subject) -> bool:
    try:
        seconds = subject.video.duration if subject.kind == "video" else None
        seconds = subject.audio.duration if subject.kind == "audio" else seconds
    except (MediaError, SubjectError):
        return False
    return (seconds or 0.0) > LONG_SECONDS


def _open_tower() -> None:
    """Opening takes 100 MB for a second, which are there as long as nothing else was read."""
    from unmask.models.runtime import open_model
    from unmask.models.tower import TOWER

    with contextlib.suppress(ModelError, CardError):
        open_model(TOWER)  # who needs it says why it cannot be had


def let_go() -> None:
    """Close the models and give back what was freed: a film's detectors use other ones each."""
    from unmask.models.runtime import close_models

    close_models()
    give_back()


def run_one(card: Card, subject: Subject, options: Options) -> Finding:
    """One detector's finding; whatever it raises becomes a ``failed`` finding with a reason."""
    started = time.perf_counter()
    finding = _answer(card, subject, options)
    return finding.model_copy(update={"seconds": round(time.perf_counter() - started, 4)})


def _answer(card: Card, subject: Subject, options: Options) -> Finding:
    try:
        finding = card.load()(subject, options)
    except MemoryError:
        return card.failed("limit.memory", f"{card.title} needed more memory than allowed: raise --memory.")
    except ModelError as error:
        # Nothing is wrong with the file: the model cannot answer on this machine, and the detector says why.
        return card.declined(error.code, error.text)
    except UnmaskError as error:
        return card.failed(error.code, error.text)
    except Exception as error:
        # The reader gets a sentence; the type is enough to find the cause with UNMASK_DEBUG=1.
        debug(error)
        return card.failed("detector.error", f"{card.title} stopped with {type(error).__name__}: please report it.")
    if not isinstance(finding, Finding) or finding.detector != card.id:
        return card.failed("detector.nonsense", f"{card.title} gave no finding of its own: please report it.")
    return finding


def describe(subject: Subject) -> SubjectInfo:
    """Kind, format, size and container facts. Raises `MediaError` where even the kind is unknown."""
    kind, format_ = subject.kind, subject.format
    facts: dict[str, JsonValue] = {"mime": subject.sniffed.mime}
    if name_disagrees(subject.name, format_):
        facts["name_disagrees"] = f"The name ends in {Path(subject.name).suffix}, the content is {format_}."
    info = SubjectInfo(name=subject.name, bytes=subject.size, kind=kind, format=format_)  # type: ignore[arg-type]
    update: dict[str, object] = {}
    try:
        if kind == "image":
            image = subject.image
            update["width"], update["height"] = image.upright_size
            facts |= {"mode": image.mode, "bit_depth": image.bit_depth, "frames": image.frames}
            facts |= {"orientation": image.orientation, "alpha": image.has_alpha}
        elif kind == "video":
            video = subject.video
            update["width"], update["height"] = video.upright_size
            update["duration"] = video.duration
            facts |= video.facts()
        else:
            update["duration"] = subject.audio.duration
            facts |= subject.audio.facts()
    except (MediaError, SubjectError) as error:
        # Metadata and container detectors can still speak; the pixel detectors will fail with this reason.
        facts["unreadable"] = error.text
    return info.model_copy(update={**update, "facts": facts})


def send_preview(subject: Subject, send: Emit) -> None:
    """Send a small copy of the picture, or of a frame and a strip of a film."""
    try:
        if subject.kind == "image":
            send({"type": "preview", "jpeg": subject.image.preview()})
        elif subject.kind == "video":
            from unmask.films.strip import strip_of

            send({"type": "preview", "jpeg": subject.video.preview()})
            strip = strip_of(subject.video)
            if strip is not None:
                send({"type": "strip", "evidence": strip.model_dump(mode="json")})
    except (UnmaskError, MemoryError, ValueError, OSError, StopIteration):
        return  # the findings say already what is wrong with the picture


def provenance(subject: Subject, names: Sequence[str] = ("metadata", "c2pa")) -> Provenance:
    """Facts of origin; a reader that fails leaves its part empty (its detector's finding says why)."""
    parts: dict[str, object] = {}
    for name in names:
        try:
            parts[name] = getattr(subject, name)
        except Exception as error:
            debug(error)
    return Provenance.model_validate(parts)


def preload(cards: Sequence[Card] | None = None) -> None:
    """Import the readers and detectors once, before workers are forked from this process."""
    import numpy  # noqa: F401
    import scipy.fft
    import scipy.ndimage  # noqa: F401

    import unmask.faces.view
    import unmask.media.audio
    import unmask.media.image
    import unmask.media.video  # noqa: F401

    try:
        for card in find_cards() if cards is None else cards:
            try:
                card.load()
            except Exception as error:
                debug(error)  # said again, as a finding, for each subject
    except CardError:
        return  # said by the parent, which reads the cards first


def preload_for(name: str) -> None:
    """Import what only sound needs, before the child for a file of this name is forked; not for a picture.

    The name is only a hint: a child imports what is missing by itself.
    """
    if Path(name).suffix.lower() in _PICTURES:
        return
    import scipy.cluster.hierarchy
    import scipy.signal  # noqa: F401


def debug(error: Exception) -> None:
    """Print a traceback where UNMASK_DEBUG is set; people never see one otherwise."""
    import os
    import traceback

    if os.environ.get("UNMASK_DEBUG"):
        traceback.print_exception(error)
