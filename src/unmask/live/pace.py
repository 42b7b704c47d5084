"""When a frame is due, and whether the reader has fallen behind. No threads, no clocks of its own."""

from __future__ import annotations

from dataclasses import dataclass

# Seconds spent waiting for the next packet that show that the source, not this machine, was slow.
STARVED = 0.05
# A time stamp that jumps by more seconds than this begins a new count.
JUMP = 10.0


@dataclass
class Pace:
    """Compares time stamps with the clock.

    ``paced``: frames that come early wait for their time (files, HLS); otherwise early frames are taken at once and
    later ones are measured against them. ``file``: it never starves. ``late_after``: seconds behind that count as
    late; it is over once half of that is left.
    """

    paced: bool
    file: bool
    late_after: float
    late: bool = False
    behind: float = 0.0
    _anchor: float | None = None

    def restart(self) -> None:
        """The stream begins anew."""
        self._anchor, self.late, self.behind = None, False, 0.0

    def arrived(self, now: float, stamp: float, waited: float) -> float:
        """Take in a packet; returns how many seconds to wait before it is handed out.

        Args:
            now: the clock, seconds.
            stamp: the packet's time stamp, seconds.
            waited: how long reading it took, seconds.
        """
        offset = now - stamp
        if self._anchor is None or self._new_count(offset - self._anchor, waited):
            self._anchor = offset
        self.behind = offset - self._anchor
        if self.behind > self.late_after:
            self.late = True
        elif self.behind < self.late_after / 2:
            self.late = False
        return max(0.0, -self.behind) if self.paced else 0.0

    def _new_count(self, change: float, waited: float) -> bool:
        """Whether times are measured against this packet from now on: a jump, a slow source, an early packet."""
        starved = waited > STARVED and not self.file and change > 0
        early = change < 0 and not self.paced
        return abs(change) > JUMP or starved or early
