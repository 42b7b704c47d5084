"""video.container and audio.container on containers built here byte by byte, and the kit's hostile ones."""

from __future__ import annotations

import io
import json
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unmask.detectors.audio_container import detector as audio
from unmask.detectors.video_container import detector as video
from unmask.options import Options
from unmask.report import Finding
from unmask.subject import Subject

DAY = 86400
NOW = 3_800_000_000  # seconds since 1904: the year 2024


def box(name: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4, "big") + name.encode("latin-1") + body


def u32(*values: int) -> bytes:
    return b"".join(v.to_bytes(4, "big", signed=v < 0) for v in values)


def track(kind: str, seconds: float, edits: bytes = b"", codec: str = "avc1", rotated: bool = False) -> bytes:
    matrix = (
        u32(0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
        if rotated
        else u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    )
    tkhd = box("tkhd", u32(7, NOW, NOW, 1, 0, int(seconds * 1000)), bytes(16), matrix, u32(0, 0))
    mdhd = box("mdhd", u32(0, NOW, NOW, 1000, int(seconds * 1000), 0))
    hdlr = box("hdlr", u32(0, 0), kind.encode(), bytes(12), b"VideoHandler\x00")
    stsd = box("stsd", u32(0, 1, 16), codec.encode(), bytes(8))
    stts = box("stts", u32(0, 3, 10, 33, 10, 50, 1, 33))
    return box("trak", tkhd, edits, box("mdia", mdhd, hdlr, box("minf", box("stbl", stsd, stts))))


def film(
    *tracks: bytes,
    created: int = NOW,
    modified: int = NOW,
    extra: bytes = b"",
    seconds: float = 10,
    media: bytes = bytes(64),
    brand: bytes = b"isom",
) -> bytes:
    mvhd = box("mvhd", u32(0, created, modified, 1000, int(seconds * 1000)), bytes(80))
    ftyp = box("ftyp", brand, u32(512), b"isommp41")
    return ftyp + box("moov", mvhd, *(tracks or (track("vide", 10),)), extra) + box("mdat", media)


def tool(text: str, key: str = "©too") -> bytes:
    data = box("data", u32(1, 0), text.encode())
    return box("udta", box("meta", u32(0), box("hdlr", u32(0, 0), b"mdir", bytes(13)), box("ilst", box(key, data))))


def look(tmp_path: Path, data: bytes, name: str = "a.mp4", detector: Any = video) -> Finding:
    path = tmp_path / name
    path.write_bytes(data)
    started = time.perf_counter()
    finding: Finding = detector.examine(Subject(path), Options())
    assert time.perf_counter() - started < 2
    assert finding.status == "ok"
    assert finding.raw_score is None
    return finding


def hear(tmp_path: Path, data: bytes, name: str) -> Finding:
    return look(tmp_path, data, name, audio)


def shown(finding: Finding, title: str) -> list[Any]:
    return [e.data["value"] for e in finding.evidence if e.title == title and e.data]


# Films ------------------------------------------------------------------------------------------------------


def test_a_film_that_says_nothing(tmp_path: Path) -> None:
    finding = look(tmp_path, film(created=0, modified=0))
    assert finding.reason.code == "container.none"
    assert shown(finding, "Picture track") == ["avc1, 10.0 s"]
    assert shown(finding, "CreateDate") == []  # an unset clock is no date


def test_times_rotation_and_variable_rate_are_facts(tmp_path: Path) -> None:
    finding = look(tmp_path, film(track("vide", 10, rotated=True)))
    assert shown(finding, "CreateDate") == ["2024-05-31T11:33:20Z"]
    text = next(e.text for e in finding.evidence if e.title == "Picture track")
    assert text == "Shown turned by 90 degrees; variable frame rate"


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("Lavf58.29.100", "container.converted"),
        ("HandBrake 1.8.1 2024", "container.converted"),
        ("CapCut", "container.edited"),
        ("Adobe Premiere Pro 2024", "container.edited"),
        ("DaVinci Resolve Studio", "container.edited"),
        ("Runway", "container.plain"),
        ("Runway Gen", "declared.synthetic"),
        ("Sora 2", "declared.synthetic"),
    ],
)
def test_who_wrote_it(tmp_path: Path, tag: str, code: str) -> None:
    assert look(tmp_path, film(extra=tool(tag))).reason.code == code


def test_quicktime_keys_and_the_aigc_label(tmp_path: Path) -> None:
    value = json.dumps({"Label": "1", "ContentProducer": "001"}).encode()
    keys = box("keys", u32(0, 2), box("mdta", b"com.apple.quicktime.make"), box("mdta", b"AIGC"))
    ilst = box(
        "ilst",
        box("\x00\x00\x00\x01", box("data", u32(1, 0), b"Apple")),
        box("\x00\x00\x00\x02", box("data", u32(1, 0), value)),
    )
    extra = box("meta", u32(0), box("hdlr", u32(0, 0), b"mdta", bytes(13)), keys, ilst)
    finding = look(tmp_path, film(extra=extra))
    assert finding.reason.code == "declared.synthetic"
    assert shown(finding, "com.apple.quicktime.make") == ["Apple"]


def test_the_encoders_note_in_the_pictures(tmp_path: Path) -> None:
    finding = look(tmp_path, film(media=bytes(40) + b"x264 - core 164 r3108 31e19f9 - H.264" + bytes(40)))
    assert finding.reason.code == "container.converted"
    assert shown(finding, "Encoder")[0].startswith("x264 - core 164")


def test_contradictions_between_times_and_tracks(tmp_path: Path) -> None:
    finding = look(tmp_path, film(created=NOW, modified=NOW - DAY))
    assert finding.reason.code == "container.contradiction"
    finding = look(tmp_path, film(track("vide", 10), track("soun", 4, codec="mp4a")))
    assert finding.reason.text == "The picture lasts 10.0 s, the sound 4.0 s."
    finding = look(tmp_path, film(track("vide", 10), track("soun", 10.4, codec="mp4a")))
    assert finding.reason.code == "container.plain"  # sound and picture seldom end together


def test_an_edit_list_hides_a_part(tmp_path: Path) -> None:
    edits = box("edts", box("elst", u32(0, 1, 7000, 3000, 0x10000)))
    finding = look(tmp_path, film(track("vide", 10, edits)))
    assert shown(finding, "Hidden start") == ["The first 3.0 s stored in the file are not played (an edit list)."]


def test_a_missing_end_and_appended_data(tmp_path: Path) -> None:
    data = film(media=bytes(5000))
    finding = look(tmp_path, data[:-1000])
    assert finding.reason.code == "container.contradiction"
    assert "its end is missing" in finding.reason.text
    finding = look(tmp_path, data + b"PK\x03\x04" + bytes(400))
    assert "ZIP" in finding.reason.text


def test_index_before_or_after_the_pictures(tmp_path: Path) -> None:
    data = film()
    at = data.index(b"mdat") - 4
    head = data.index(b"moov") - 4
    assert shown(look(tmp_path, data), "Index before the media data") == [True]
    later = data[:head] + data[at:] + data[head:at]
    assert shown(look(tmp_path, later), "Index before the media data") == []


def test_a_thousand_nested_boxes(tmp_path: Path) -> None:
    inner = b""
    for _ in range(1000):
        inner = box("moov", inner)
    finding = look(tmp_path, box("ftyp", b"isom", u32(0)) + inner)
    assert finding.reason.code == "container.damaged"
    assert "32 deep" in finding.reason.text


def test_a_million_small_boxes(tmp_path: Path) -> None:
    finding = look(tmp_path, box("ftyp", b"isom", u32(0)) + box("free") * 1_000_000)
    assert "More than 20000 boxes" in finding.reason.text


def element(ident: int, body: bytes) -> bytes:
    size = (len(body) | 1 << 56).to_bytes(8, "big")
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + size + body


def test_matroska(tmp_path: Path) -> None:
    info = element(0x4D80, b"Lavf61.7.100") + element(0x5741, b"OBS Studio") + element(0x4461, (0).to_bytes(8, "big"))
    tag = element(0x67C8, element(0x45A3, b"COMMENT") + element(0x4487, b"made with Suno"))
    segment = element(0x1549A966, info) + element(0x1254C367, element(0x7373, tag)) + element(0x1F43B675, bytes(30))
    data = element(0x1A45DFA3, element(0x4282, b"matroska")) + element(0x18538067, segment)
    finding = look(tmp_path, data, "a.mkv")
    assert finding.reason.code == "declared.synthetic"
    assert shown(finding, "MuxingApp") == ["Lavf61.7.100"]
    assert shown(finding, "CreateDate") == ["2001-01-01T00:00:00Z"]
    finding = look(tmp_path, data[:-20], "a.mkv")
    assert "promises" in next(e.data["value"] for e in finding.evidence if e.title == "Contradiction" and e.data)


# Recordings -------------------------------------------------------------------------------------------------


def pcm(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        noise = np.random.default_rng(1).integers(-1000, 1000, int(16000 * seconds)).astype("<i2")
        out.writeframes(noise.tobytes())
    return buffer.getvalue()


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    body = data[8:] + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\x00" * (len(body) % 2)


def info(**tags: str) -> bytes:
    parts = b"".join(chunk(k.encode(), v.encode() + b"\x00") for k, v in tags.items())
    return chunk(b"LIST", b"INFO" + parts)


def test_a_bare_wav_says_nothing(tmp_path: Path) -> None:
    finding = hear(tmp_path, pcm(), "a.wav")
    assert finding.reason.code == "container.none"
    assert shown(finding, "Duration, seconds") == [1.0]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"ISFT": "Lavf58.29.100"}, "container.converted"),
        ({"ISFT": "Audacity 3.4"}, "container.edited"),
        ({"ICMT": "made with suno"}, "declared.synthetic"),
        ({"ISFT": "ElevenLabs"}, "declared.synthetic"),
        ({"AIGC": '{"Label":"1"}'}, "declared.synthetic"),
        ({"INAM": "Interview about ElevenLabs and Suno"}, "container.plain"),
        ({"IART": "Sora"}, "container.plain"),
    ],
)
def test_wav_tags(tmp_path: Path, tags: dict[str, str], code: str) -> None:
    assert hear(tmp_path, with_chunks(pcm(), info(**tags)), "a.wav").reason.code == code


def test_broadcast_wave(tmp_path: Path) -> None:
    bext = b"Interview".ljust(256, b"\x00") + b"Zoom H5".ljust(32, b"\x00") + bytes(32) + b"2024-05-0112:00:00"
    finding = hear(
        tmp_path, with_chunks(pcm(), chunk(b"bext", bext.ljust(602, b"\x00") + b"A=PCM,F=16000\r\n")), "a.wav"
    )
    assert shown(finding, "Originator") == ["Zoom H5"]
    assert shown(finding, "OriginationDate") == ["2024-05-01 12:00:00"]
    assert shown(finding, "CodingHistory") == ["A=PCM,F=16000"]


def test_wav_headers_that_lie(tmp_path: Path) -> None:
    data = pcm()
    assert "end is missing" in hear(tmp_path, data[:-3000], "a.wav").reason.text
    streamed = data[:4] + b"\xff\xff\xff\xff" + data[8:40] + b"\xff\xff\xff\xff" + data[44:]
    finding = hear(tmp_path, streamed, "a.wav")
    assert finding.reason.code == "container.none"  # a live stream leaves its sizes open
    assert shown(finding, "Size left open in the header") == [True]
    wrong = data[:28] + (99).to_bytes(4, "little") + data[32:]
    assert "do not fit" in hear(tmp_path, wrong, "a.wav").reason.text
    joined = with_chunks(data, chunk(b"data", bytes(3200)))
    assert "joined" in hear(tmp_path, joined, "a.wav").reason.text


def id3(*frames: tuple[str, bytes], flags: int = 0) -> bytes:
    body = b"".join(n.encode() + len(b).to_bytes(4, "big") + bytes((0, flags)) + b for n, b in frames)
    size = bytes(len(body) >> s & 0x7F for s in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


FRAME = b"\xff\xfb\x90\x64" + bytes(413)


def test_mp3_tags_and_the_encoders_name(tmp_path: Path) -> None:
    lame = FRAME[:36] + b"Info" + bytes(116) + b"LAME3.100" + bytes(252)
    finding = hear(tmp_path, id3(("TSSE", b"\x00Lavf58.29.100")) + lame + FRAME * 3, "a.mp3")
    assert finding.reason.code == "container.converted"
    assert shown(finding, "Encoder") == ["LAME3.100"]
    assert shown(finding, "Bit rate") == ["constant"]
    comment = b"\x01eng\xff\xfe\x00\x00" + "made with suno".encode("utf-16")
    assert hear(tmp_path, id3(("COMM", comment)) + FRAME * 3, "a.mp3").reason.code == "declared.synthetic"
    text = b"\x03Comment\x00made with Udio"
    assert hear(tmp_path, id3(("TXXX", text)) + FRAME * 3, "a.mp3").reason.code == "declared.synthetic"


def test_mp3_without_sound_and_broken_frames(tmp_path: Path) -> None:
    assert "no sound" in hear(tmp_path, id3(("TIT2", b"\x00x")) + bytes(500), "a.mp3").reason.text
    broken = id3(("TIT2", b"\x00\x01"), flags=0x80) + FRAME * 3
    assert hear(tmp_path, broken, "a.mp3").reason.code == "container.damaged"


def comments(vendor: str, *entries: str) -> bytes:
    out = len(vendor).to_bytes(4, "little") + vendor.encode() + len(entries).to_bytes(4, "little")
    return out + b"".join(len(e.encode()).to_bytes(4, "little") + e.encode() for e in entries)


def page(body: bytes, number: int, serial: int = 1, flags: int = 0) -> bytes:
    lacing = [255] * (len(body) // 255) + [len(body) % 255]
    head = (
        b"OggS\x00" + bytes([flags]) + bytes(8) + serial.to_bytes(4, "little") + number.to_bytes(4, "little") + bytes(4)
    )
    return head + bytes([len(lacing)]) + bytes(lacing) + body


def opus(serial: int = 1, tags: bytes = b"", pages: int = 4, skip: int = -1) -> bytes:
    head = b"OpusHead\x01\x01" + (312).to_bytes(2, "little") + (16000).to_bytes(4, "little") + bytes(3)
    out = page(head, 0, serial, 2) + page(b"OpusTags" + (tags or comments("libopus 1.4")), 1, serial)
    return out + b"".join(page(bytes(100), n, serial) for n in range(2, pages) if n != skip)


def test_ogg_comments_gaps_and_chains(tmp_path: Path) -> None:
    finding = hear(tmp_path, opus(), "a.opus")
    assert finding.reason.code == "container.converted"
    assert shown(finding, "Sampling rate before encoding") == [16000]
    made = opus(tags=comments("Lavf60", "ENCODER=Lavc60 libopus", "COMMENT=made with suno"))
    assert hear(tmp_path, made, "a.opus").reason.code == "declared.synthetic"
    assert "missing" in hear(tmp_path, opus(pages=9, skip=5), "a.opus").reason.text
    assert "several recordings" in hear(tmp_path, opus(1) + opus(2), "a.opus").reason.text


def test_flac(tmp_path: Path) -> None:
    packed = (44100 << 44 | 1 << 41 | 15 << 36 | 88200).to_bytes(8, "big")
    stream = bytes(10) + packed + bytes(16)
    vorbis = comments("reference libFLAC 1.4.3", "ENCODER=Adobe Audition")
    data = b"fLaC\x00" + len(stream).to_bytes(3, "big") + stream + b"\x84" + len(vorbis).to_bytes(3, "big") + vorbis
    finding = hear(tmp_path, data + bytes(100), "a.flac")
    assert finding.reason.code == "container.edited"
    assert shown(finding, "Duration, seconds") == [2.0]
    assert hear(tmp_path, data[:20], "a.flac").reason.code in ("container.damaged", "container.none")


# Hostile and real files -------------------------------------------------------------------------------------


@pytest.mark.kit
@pytest.mark.parametrize(
    ("name", "detector", "words"),
    [
        ("nested_moov_1000.mp4", video, "32 deep"),
        ("riff_bomb_1000.wav", audio, "32 deep"),
        ("id3v23_compression_underflow.mp3", audio, "too short"),
    ],
)
def test_hostile_containers_of_the_kit(kit: Path, name: str, detector: Any, words: str) -> None:
    started = time.perf_counter()
    finding = detector.examine(Subject(kit / "provenance" / name), Options())
    assert time.perf_counter() - started < 0.5
    assert finding.reason.code == "container.damaged"
    assert words in finding.reason.text


@pytest.mark.kit
def test_real_films_of_the_kit_have_no_label(kit: Path) -> None:
    paths = [p for p in sorted((kit / "video" / "real").rglob("*")) if p.is_file()]
    codes = [video.examine(Subject(p), Options()).reason.code for p in paths]
    assert codes
    assert not [c for c in codes if c in video.CARD.labels or c == "container.contradiction"]


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "a.mkv", "a.mp3", "a.opus", "a.avi"])
def test_random_damage_never_raises(tmp_path: Path, name: str) -> None:
    avi = with_chunks(
        b"RIFF\x00\x00\x00\x00AVI ", chunk(b"LIST", b"hdrl" + chunk(b"avih", bytes(56))), info(ISFT="Lavf")
    )
    whole = {
        "a.mp4": film(extra=tool("Lavf58")),
        "a.wav": with_chunks(pcm(0.1), info(ISFT="Lavf58")),
        "a.mkv": element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, element(0x1549A966, bytes(50))),
        "a.mp3": id3(("TIT2", b"\x00x"), ("COMM", b"\x01eng\xff\xfea\x00")) + FRAME * 2,
        "a.opus": opus(),
        "a.avi": avi,
    }[name]
    rng = np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(whole[: int(rng.integers(20, len(whole) + 1))])
        for at in rng.integers(12, len(data), 8):
            data[at] = int(rng.integers(0, 256))
        look(tmp_path, bytes(data), name)
