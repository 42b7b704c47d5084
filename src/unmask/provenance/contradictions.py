"""Facts in the metadata that do not go together. Each has innocent causes too; none is a proof."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from unmask.provenance.source import Notes

# Local times may differ from UTC by -12 to +14 hours, so two honest clocks differ by at most 26.
_ZONES = timedelta(hours=26)
_TIME = re.compile(r"(\d{4})[:\-/](\d\d)[:\-/](\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?")
_TRACK_GAP_SECONDS = 1.0
_TRACK_GAP_SHARE = 0.05
_FIRST_YEAR = 1990


def read_time(text: str) -> datetime | None:
    """A date and time as EXIF, XMP or ISO 8601 write it, without its time zone; None where there is none."""
    match = _TIME.search(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in match.groups())
    if year < _FIRST_YEAR:
        return None  # an unset clock
    try:
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def check_times(notes: Notes) -> None:
    """Moments that cannot all be true, whatever the time zone."""
    taken = read_time(_tag(notes, "DateTimeOriginal", "EXIF"))
    changed = read_time(_tag(notes, "DateTime", "EXIF"))
    digitised = read_time(_tag(notes, "DateTimeDigitized", "EXIF"))
    if taken and changed and taken - changed > _ZONES:
        notes.contradiction(
            "time.changed_before_taken",
            f"The picture was last changed ({changed:%Y-%m-%d %H:%M}) before it was taken ({taken:%Y-%m-%d %H:%M}), "
            "the file says.",
            "EXIF DateTime and DateTimeOriginal",
        )
    if taken and digitised and taken - digitised > _ZONES:
        notes.contradiction(
            "time.stored_before_taken",
            "The picture was stored before it was taken, the file says.",
            "EXIF DateTimeDigitized and DateTimeOriginal",
        )
    satellite = _gps_time(notes)
    if taken and satellite and abs(taken - satellite) > _ZONES:
        notes.contradiction(
            "time.gps",
            f"The satellite time ({satellite:%Y-%m-%d %H:%M} UTC) and the camera's time ({taken:%Y-%m-%d %H:%M}) "
            "are further apart than any time zone explains.",
            "EXIF GPSDate, GPSTimeStamp and DateTimeOriginal",
        )
    _check_apple_time(notes)


def _check_apple_time(notes: Notes) -> None:
    recorded = read_time(notes.get("com.apple.quicktime.creationdate"))
    header = read_time(_tag(notes, "CreateDate", "box mvhd"))
    if recorded and header and header - recorded > _ZONES:
        notes.fact("written_anew", f"recorded {recorded:%Y-%m-%d}, this file written {header:%Y-%m-%d}")
    if recorded and header and recorded - header > _ZONES:
        notes.contradiction(
            "time.recorded_after_written",
            "The film was recorded after this file was written, it says.",
            "QuickTime tags",
        )


def _tag(notes: Notes, name: str, source: str) -> str:
    return next((t["value"] for t in notes.tags if t["name"] == name and t["source"].startswith(source)), "")


def _gps_time(notes: Notes) -> datetime | None:
    date = _tag(notes, "GPSDate", "EXIF GPS") or _tag(notes, "GPSDateStamp", "EXIF GPS")
    numbers = re.findall(r"(\d+)(?:/(\d+))?", _tag(notes, "GPSTimeStamp", "EXIF GPS"))
    if not date or len(numbers) < 2:
        return None
    values = [int(a) // int(b or 1) if int(b or 1) else 0 for a, b in numbers[:3]]
    clock = ":".join(f"{min(v, 59):02d}" for v in values)
    return read_time(f"{date} {clock}")


def check_size(notes: Notes, width: int, height: int) -> None:
    """The size that the camera noted against the size stored: a fact (resized or cropped since), not a sign."""
    noted = [_number(_tag(notes, name, "EXIF")) for name in ("ExifImageWidth", "ExifImageLength")]
    if not all(noted) or {noted[0], noted[1]} == {width, height}:
        return
    if noted[0] * height == noted[1] * width or abs(noted[0] / noted[1] - width / height) < 0.01:
        how = "was made smaller or larger"
    elif noted[0] / noted[1] == height / width:
        how = "was turned and resized"
    else:
        how = "was cropped or reshaped"
    notes.fact("size_noted", noted)
    notes.fact(
        "size_change", f"The camera noted {noted[0]}x{noted[1]} pixels, the file has {width}x{height}: it {how}."
    )


def _number(text: str) -> int:
    match = re.match(r"\d+", text)
    return int(match.group()) if match else 0


def check_place(notes: Notes) -> None:
    """Coordinates outside the globe."""
    for name, limit in (("GPSLatitude", 90), ("GPSLongitude", 180)):
        match = re.match(r"\[(\d+)", _tag(notes, name, "EXIF GPS"))
        if match and int(match.group(1)) > limit:
            notes.contradiction("place.impossible", f"{name} is {match.group(1)} degrees: no such place.", "EXIF GPS")


def check_tracks(notes: Notes) -> None:
    """Durations of picture, sound and film that disagree; edit lists that hide a part."""
    tracks = [t for t in _as_list(notes.facts.get("tracks")) if isinstance(t, dict)]
    by_kind = {str(t.get("kind")): t for t in reversed(tracks)}
    picture, sound = (_float(by_kind.get(k, {}).get("duration")) for k in ("vide", "soun"))
    if picture and sound and abs(picture - sound) > max(_TRACK_GAP_SECONDS, _TRACK_GAP_SHARE * max(picture, sound)):
        notes.contradiction(
            "duration.tracks",
            f"The picture lasts {picture:.1f} s, the sound {sound:.1f} s.",
            "boxes mdhd of the tracks",
        )
    for track in tracks:
        edits = [e for e in _as_list(track.get("edits")) if isinstance(e, list) and len(e) == 2]
        starts = [_float(e[1]) for e in edits if _float(e[1]) >= 0]
        if starts and starts[0] > _TRACK_GAP_SECONDS:
            notes.fact("hidden_start", f"The first {starts[0]:.1f} s stored in the file are not played (an edit list).")
        if len(starts) > 1:
            notes.fact("edit_list", f"The film is played from {len(starts)} pieces (an edit list).")


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
