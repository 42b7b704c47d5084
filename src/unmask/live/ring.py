"""The last seconds of packets, as plain copies that outlive their container. Bounded in time and bytes."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

MICRO = Fraction(1, 1_000_000)
_AHEAD = 300_000


@dataclass(frozen=True, eq=False)
class Kept:
    """One packet. ``now``: seconds since the watch began; ``pts``/``dts``: microseconds."""

    now: float
    video: bool
    key: bool
    pts: int
    dts: int
    duration: int
    data: bytes

    def packet(self, stream: Any, base: int) -> Any:
        """As a packet for ``stream`` of an output container, its times less ``base`` microseconds."""
        packet = av.Packet(self.data)
        packet.stream = stream
        packet.time_base = MICRO
        packet.pts, packet.dts, packet.duration = self.pts - base, self.dts - base, self.duration
        packet.is_keyframe = self.key
        return packet


def kept(packet: Any, now: float, video: bool, last: int | None = None) -> Kept | None:
    """A copy of a demuxed packet; None where it has no time.

    Some containers leave out when the first pictures are decoded: they are then decoded right after each other, a
    little before the first is shown. ``last``: ``dts`` of the packet before.
    """
    base = packet.time_base
    if (packet.dts is None and packet.pts is None) or not base or not packet.size:
        return None

    def micro(value: int) -> int:
        return int(value * base * 1_000_000)

    pts = micro(packet.dts if packet.pts is None else packet.pts)
    guessed = pts - _AHEAD if last is None else min(last + 1, pts)
    dts = guessed if packet.dts is None else micro(packet.dts)
    key = bool(packet.is_keyframe) or not video
    return Kept(now, video, key, pts, dts, micro(packet.duration or 0), bytes(packet))


class PacketRing:
    """Packets of the last ``seconds``, at most ``limit`` bytes. Any thread may call.

    What is past the limits is let go from the oldest on; a file must begin with a key frame, see `since`.
    """

    def __init__(self, seconds: float, limit: int) -> None:
        self._seconds, self._limit = seconds, limit
        self._packets: deque[Kept] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def put(self, packet: Kept) -> None:
        """Append one."""
        with self._lock:
            self._packets.append(packet)
            self._bytes += len(packet.data)
            while self._packets and (self._bytes > self._limit or packet.now - self._packets[0].now > self._seconds):
                self._bytes -= len(self._packets.popleft().data)

    def clear(self) -> None:
        """Let all go: another stream begins."""
        with self._lock:
            self._packets.clear()
            self._bytes = 0

    def since(self, start: float) -> list[Kept]:
        """Packets from the last key frame at or before ``start``, or from the first one there is."""
        with self._lock:
            packets = list(self._packets)
        keys = [i for i, p in enumerate(packets) if p.video and p.key]
        if not any(p.video for p in packets):
            return [p for p in packets if p.now >= start]
        if not keys:
            return []
        early = [i for i in keys if packets[i].now <= start]
        return packets[early[-1] if early else keys[0] :]

    @property
    def bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._packets)
