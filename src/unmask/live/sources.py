"""What can be watched: files, cameras, screens and network streams; how each is opened, and what went wrong."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import av

from unmask.errors import MediaError, SubjectError, UnmaskError, UsageError
from unmask.media.container import DEMUXERS, open_container
from unmask.media.sniff import sniff
from unmask.scanner import check_regular

Kind = Literal["file", "camera", "screen", "microphone", "stream"]
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "tcp", "udp", "rtp", "srt")
# What may come over the network, so that a script of FFmpeg's own (concat, lavfi) is never obeyed.
_FORMATS = "hls,mpegts,mov,matroska,flv,live_flv,rtsp,rtp,sdp,ogg,mp3,aac,wav,h264,hevc,mjpeg,mpjpeg,nut,dash"
_PROTOCOLS = "http,https,tls,tcp,udp,rtp,rtsp,rtsps,rtmp,rtmps,srt,crypto,data,httpproxy"
# Streams that deliver in bursts are shown at their own pace; the others at once.
_BURSTS = re.compile(r"\.(m3u8|mpd)$", re.IGNORECASE)
_DEVICES = {
    "camera": {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"},
    "screen": {"linux": "x11grab", "darwin": "avfoundation", "win32": "gdigrab"},
    "microphone": {"linux": "alsa", "darwin": "avfoundation", "win32": "dshow"},
}


@dataclass(frozen=True)
class Source:
    """``target``: what FFmpeg opens; ``format``: its demuxer or device, empty to find out. ``paced``: give frames out
    at their own pace. ``again``: whether a break is worth a new attempt. ``device``: its own name, where known.
    """

    kind: Kind
    target: str
    shown: str
    format: str = ""
    options: dict[str, str] = field(default_factory=dict)
    paced: bool = False
    again: bool = False
    device: str = ""


def find_source(text: str, platform: str = sys.platform) -> Source:
    """The source that a person named.

    Args:
        text: a path; ``camera``, ``camera:1``, ``camera:NAME``, ``/dev/video0``; ``screen``; or an address that starts
            with one of `SCHEMES`.
        platform: as `sys.platform`.

    Raises:
        UsageError: an address that Unmask does not know, or a device that must be named otherwise here.
        SubjectError: no such file. UnsupportedMedia: a file that is no film and no recording.
    """
    if text == "screen" or text.startswith("screen:"):
        return _screen(text.partition(":")[2], platform)
    if text == "camera" or text.startswith("camera:"):
        return _camera(text.partition(":")[2], platform)
    if re.fullmatch(r"/dev/video\d+", text):
        return _camera(text, platform)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme in SCHEMES:
        return _stream(text, scheme)
    if scheme:
        raise UsageError("usage.source", f"Unmask does not watch {scheme}:// addresses, but: {', '.join(SCHEMES)}.")
    return _file(Path(text))


def microphone(name: str, platform: str = sys.platform) -> Source:
    """The source of sound called ``name`` (``default`` on Linux). Raises `SubjectError` where FFmpeg lacks it."""
    device = _device("microphone", platform)
    target = {"avfoundation": f":{name}", "dshow": f"audio={name}"}.get(device, name)
    return Source("microphone", target, f"microphone {name}", device)


def _file(path: Path) -> Source:
    check_regular(path)
    found = sniff(path)
    if found.kind == "image" or found.format not in DEMUXERS:
        raise UsageError("usage.source", f"{path.name} is no film and no recording: use `unmask scan` for it.")
    return Source("file", str(path), path.name, found.format, paced=True)


def _stream(text: str, scheme: str) -> Source:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": _PROTOCOLS}
    if scheme in ("rtsp", "rtsps"):
        # Over TCP a lost packet is sent again: holes in the picture would look like manipulation.
        options["rtsp_transport"] = "tcp"
    burst = bool(_BURSTS.search(urlsplit(text).path))
    return Source("stream", text, redacted(text), options=options, paced=burst, again=True)


def _camera(name: str, platform: str) -> Source:
    device = _device("camera", platform)
    if device == "v4l2":
        target = name if name.startswith("/dev/") else f"/dev/video{_number(name)}"
        return Source("camera", target, target, device, again=True, device=_linux_name(target))
    if device == "dshow":
        if not name or name.isdigit():
            raise UsageError("usage.source", "On Windows name the camera: camera:NAME, as the device manager calls it.")
        return Source("camera", f"video={name}", name, device, again=True, device=name)
    return Source("camera", name or "0", f"camera {name or 0}", device, {"framerate": "30"}, again=True)


def _screen(name: str, platform: str) -> Source:
    device = _device("screen", platform)
    rate = {"framerate": "10"}
    if device == "x11grab":
        display = name or os.environ.get("DISPLAY", "")
        if not display:
            raise SubjectError(
                "live.no_screen",
                "There is no X display here (DISPLAY is not set; Wayland shows no screen to FFmpeg): start Unmask in "
                "a desktop session, or name the display: screen::0.",
            )
        return Source("screen", display, f"screen {display}", device, rate)
    target = "desktop" if device == "gdigrab" else name or "Capture screen 0"
    return Source("screen", target, f"screen {name}".strip(), device, rate)


def _number(name: str) -> int:
    if name and not name.isdigit():
        raise UsageError("usage.source", f"There is no camera called {name!r}: use camera, camera:1 or /dev/video1.")
    return int(name or 0)


def _device(kind: str, platform: str) -> str:
    device = _DEVICES[kind].get("linux" if platform.startswith("linux") else platform, "")
    names = {part for name in av.formats_available for part in name.split(",")}
    if device not in names:
        raise SubjectError(
            "live.no_device_support",
            f"The FFmpeg inside PyAV on this machine was built without {device or 'an input'} for a {kind}: install "
            "a PyAV built with it, or send the picture as a network stream (rtsp, rtmp, http).",
        )
    return device


def _linux_name(target: str) -> str:
    try:
        return Path("/sys/class/video4linux", Path(target).name, "name").read_text("utf-8", "replace").strip()[:80]
    except OSError:
        return ""


def redacted(address: str) -> str:
    """The address without user, password and query, which may hold keys."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def open_source(source: Source, open_timeout: float, read_timeout: float) -> Any:
    """An open `av.container.InputContainer`.

    Raises:
        UnmaskError: with a code of its own for each cause, see `explain`.
    """
    if source.kind == "file":
        return open_container(Path(source.target), source.format)
    try:
        return av.open(
            source.target,
            format=source.format or None,
            options=dict(source.options),
            timeout=(open_timeout, read_timeout),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise explain(error, source) from error


def explain(error: BaseException, source: Source) -> UnmaskError:
    """Why a source cannot be opened or read, and what to do."""
    if isinstance(error, UnmaskError):
        return error
    if source.kind in ("camera", "screen", "microphone"):
        return _explain_device(error, source)
    if isinstance(error, av.error.ProtocolNotFoundError):
        scheme = source.target.partition(":")[0]
        text = (
            f"The FFmpeg inside PyAV on this machine does not know {scheme}://. Install a PyAV built with it, or ask "
            "the sender for RTSP, RTMP or HLS."
        )
        return SubjectError("live.no_protocol", text)
    return _explain_stream(error, source)


def _explain_stream(error: BaseException, source: Source) -> UnmaskError:
    if isinstance(error, av.error.ExitError):
        text = "Nothing came within the time allowed. Check the address and the network, or raise --open-timeout."
        return SubjectError("live.timeout", text)
    if isinstance(error, av.error.HTTPError) or "Server returned" in str(error):
        text = f"The server refuses {source.shown}: {_said(error)}. Check the address, the name and the password."
        return SubjectError("live.refused", text)
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError):
        return MediaError(
            "live.no_media", f"What comes from {source.shown} is neither film nor sound that can be decoded."
        )
    text = f"Cannot open {source.shown}: {_said(error)}. Check that it is running and that the address is right."
    return SubjectError("live.cannot_open", text)


def _explain_device(error: BaseException, source: Source) -> UnmaskError:
    if isinstance(error, FileNotFoundError):
        hint = "ls /dev/video*" if source.format == "v4l2" else "the system's settings"
        text = f"There is no {source.kind} at {source.shown}. Plug it in, or look which there are ({hint})."
        return SubjectError(f"live.no_{source.kind}", text)
    if isinstance(error, PermissionError):
        text = f"This user may not use {source.shown}: allow it in the system's settings (Linux: group video or audio)."
        return SubjectError("live.not_allowed", text)
    if getattr(error, "errno", None) == 16:
        return SubjectError("live.busy", f"{source.shown} is in use: close the program that uses it.")
    return SubjectError(f"live.no_{source.kind}", f"Cannot open {source.shown}: {_said(error)}.")


def _said(error: BaseException) -> str:
    """FFmpeg's own words, without the address, which may hold a password."""
    text = getattr(error, "strerror", None) or str(error).partition(":")[0]
    return "".join(c for c in str(text)[:120] if c.isprintable()) or type(error).__name__
