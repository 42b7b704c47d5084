"""``voice.synthetic``: does a machine speak here, all the time or for some seconds?"""

from __future__ import annotations

import numpy as np

from unmask.card import own_card
from unmask.detectors.voice_synthetic.quoted import quoted
from unmask.detectors.voice_synthetic.turns import lanes, strongest, turns, whose
from unmask.detectors.voice_synthetic.windows import HOP, SECONDS, Heard, by_second, listen, places, strongest_run
from unmask.errors import UnsupportedMedia
from unmask.evidence import fact, plot, segments
from unmask.options import Options
from unmask.report import Evidence, Finding
from unmask.subject import Subject
from unmask.voices.speakers import Turn
from unmask.voices.speech import RATE, SEARCHED_SECONDS, STEP, Speech

CARD = own_card(__file__)
P = CARD.parameters


def examine(subject: Subject, options: Options) -> Finding:
    """Ask the network about two-second windows over the speech; see the card for the papers.

    ``raw_score`` is log-odds of a machine's voice, roughly -8 to 8: the mean of the windows, or of the strongest run
    of windows less a margin where only a part sounds so.

    Raises:
        MediaError: the sound cannot be decoded. ModelError: a model cannot be used on this machine.
    """
    try:
        sound = subject.audio.sound.first(SEARCHED_SECONDS)
    except UnsupportedMedia as error:
        if error.code == "media.no_sound":
            return CARD.not_applicable("audio.none", "There is no sound in this file.")
        raise
    if sound.seconds < CARD.min_seconds:
        return CARD.declined(
            "voice.too_short",
            f"The sound lasts {sound.seconds:.1f} s; at least {CARD.min_seconds:.1f} s of speech are needed.",
        )
    if sound.level.peak < P["silence_level"]:
        return CARD.declined("voice.silent", "The recording is silent.")
    speech = subject.speech
    refusal = _not_speech(speech)
    if refusal:
        return CARD.declined(*refusal)
    heard = listen(sound, places(speech, P["least_speech"]), int(P["most_windows"]))
    found = turns(heard, speech, P)
    finding = _answer(heard, speech, found, subject.audio.duration)
    words = quoted(sound, _suspicious(heard, speech, finding), P, options)
    return finding.model_copy(update={"evidence": (*finding.evidence, *words)}) if words else finding


def _not_speech(speech: Speech) -> tuple[str, str] | None:
    """Why there is nothing to judge, as a code and a sentence; None where somebody speaks."""
    if speech.seconds < P["no_speech_below"]:
        return (
            "voice.no_speech",
            "No speech was found: this may be music, noise or nature. Only voices are judged here.",
        )
    if speech.seconds < CARD.min_seconds:
        return (
            "voice.too_little_speech",
            f"Somebody speaks for {speech.seconds:.1f} s only; at least {CARD.min_seconds:.1f} s are needed.",
        )
    clear = float((speech.probability >= P["clear_speech"]).sum()) * STEP / RATE
    if clear < P["least_clear_share"] * speech.seconds:
        return (
            "voice.not_clear",
            "What sounds like speech here is hardly clear anywhere: it may be music, noise or voices far away.",
        )
    return None


def _answer(heard: Heard, speech: Speech, found: tuple[Turn, ...], duration: float) -> Finding:
    whole, part = pooled(heard)
    raw = max(whole, part)
    times, values = by_second(heard)
    evidence = [*_stretches(times, values), *lanes(found, heard, P["report_above"])]
    evidence += [_curve(times, values), *_facts(heard, speech, duration)]
    if float(np.median(heard.distance)) > P["drift_limit"]:
        return CARD.declined(
            "drift.unlike_training",
            "The voice is unlike everything that the network was trained and measured on, so no score is given.",
            evidence,
        )
    if raw < P["report_above"]:
        return CARD.ok("voice.none", "The speech does not sound like a machine's.", raw_score=raw, evidence=evidence)
    if part > whole:
        first, last = _strongest_place(heard)
        who = f" ({whose(found, first, last)})" if whose(found, first, last) else ""
        text = f"From {first:.0f} to {last:.0f} s the speech{who} sounds like a machine's; the rest less so."
        return CARD.ok("voice.partly", text, raw_score=raw, evidence=evidence)
    text = "The speech sounds like a machine's."
    if most := strongest(found, heard):
        text = f"The speech sounds like a machine's, most of all {most[0]} (as from {most[1]:.0f} to {most[2]:.0f} s)."
    return CARD.ok("voice.signs", text, raw_score=raw, evidence=evidence)


def _suspicious(heard: Heard, speech: Speech, finding: Finding) -> list[tuple[float, float]]:
    """Stretches whose words are worth reading, the gravest first; none where the finding gives no score."""
    if finding.status != "ok":
        return []
    runs = sorted(_runs(*by_second(heard)), key=lambda run: -run[2] * (run[1] - run[0]))
    found = [(start, end) for start, end, _ in runs if end - start >= P["words_shortest"]]
    if not found and finding.reason.code != "voice.none":
        found = sorted(speech.segments, key=lambda segment: segment[0] - segment[1])
    return found


def pooled(heard: Heard) -> tuple[float, float]:
    """Raw scores of the whole and of the strongest part; the latter is lowered, since the strongest of many is high."""
    length = int(P["part_windows"])
    whole = float(heard.score.mean())
    if heard.score.size < 2 * length:
        return whole, -np.inf
    return whole, strongest_run(heard.score, length) - P["part_margin"]


def _strongest_place(heard: Heard) -> tuple[float, float]:
    length = int(P["part_windows"])
    first = int(np.argmax(np.convolve(heard.score, np.ones(length) / length, "valid")))
    return float(heard.starts[first]), float(heard.starts[first + length - 1] + SECONDS)


def _runs(times: np.ndarray, values: np.ndarray) -> list[tuple[float, float, float]]:
    """Runs of seconds that sound synthetic: start, end, mean log-odds."""
    found: list[tuple[float, float, float]] = []
    run: list[tuple[float, float]] = []
    for second, value in [*zip(times.tolist(), values.tolist(), strict=True), (np.inf, -np.inf)]:
        if run and (value < P["report_above"] or second > run[-1][0] + HOP):
            found.append((run[0][0], run[-1][0] + 1.0, float(np.mean([v for _, v in run]))))
            run = []
        if value >= P["report_above"]:
            run.append((second, value))
    return found


def _stretches(times: np.ndarray, values: np.ndarray) -> list[Evidence]:
    """Runs of seconds that sound synthetic, as segments."""
    items = [(a, b, f"sounds synthetic (log-odds {strength:.1f})") for a, b, strength in _runs(times, values)]
    if not items:
        return []
    text = "Here the speech sounds more like a machine's than like a person's. Single seconds are often wrong."
    return [segments("Seconds that sound synthetic", text, items)]


def _curve(times: np.ndarray, values: np.ndarray) -> Evidence:
    return plot(
        "Synthetic speech over time",
        "Log-odds of a machine's voice for each second of speech; what matters is the course, not a single second.",
        times.tolist(),
        [("log-odds", values.tolist())],
        "seconds",
        "log-odds",
    )


def _facts(heard: Heard, speech: Speech, duration: float) -> list[Evidence]:
    text = "Where somebody speaks, as found by a voice activity detector."
    out = [fact("Speech", f"{speech.seconds:.1f} s", "voice activity", text)]
    if heard.asked > heard.starts.size:
        text = f"{heard.starts.size} windows of two seconds were judged, evenly spaced over the speech."
        out.append(fact("Windows", f"{heard.starts.size} of {heard.asked}", "limit of this detector", text))
    if duration > speech.duration + 1:
        text = "Speech was looked for in this first part only."
        out.append(fact("Searched", f"{speech.duration:.0f} s", "limit of this detector", text))
    return out
