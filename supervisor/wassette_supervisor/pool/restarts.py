"""How often something may end before it is not started again for a while; pure: no clock, no I/O.

After OTP's supervisors: what fails again and again is not restarted for ever, since each start
costs, and each new process is another try of whoever makes it fail.
"""

from __future__ import annotations

import math
from typing import NamedTuple

FOR_GOOD = math.inf


class Intensity(NamedTuple):
    """So many ends within so many seconds are borne; with one more it rests."""

    ends: int
    within_s: float
    rest_s: float


# A start takes a second of a processor. The system most likely has no memory, or no processes,
# left; that may pass.
ZYGOTE = Intensity(ends=5, within_s=60, rest_s=15)
# The same, for what all tools' requests go through.
BROKER = Intensity(ends=5, within_s=60, rest_s=15)
# However it ended, be it killed from outside: some 20 ms, and what it maps.
TEMPLATE = Intensity(ends=20, within_s=60, rest_s=10)
# What only a fault in the engine or an attack brings about: see `errors.is_crash`. Each is a try
# to find a hole, or to learn an address layout. An operator decides whether there is another one.
CRASHES = Intensity(ends=4, within_s=600, rest_s=FOR_GOOD)


class History(NamedTuple):
    """What is remembered of the ends of one thing; times of one monotonic clock, in seconds."""

    ends: tuple[float, ...] = ()
    resting_until: float = -math.inf

    def after_an_end(self, at: float, intensity: Intensity) -> History:
        """What is remembered when there was an end, not before the earlier ones."""
        # More than that, and of longer ago, never decides anything.
        recent = [end for end in self.ends if at - end < intensity.within_s]
        ends = (*recent[-intensity.ends :], at) if intensity.ends else (at,)
        if len(ends) <= intensity.ends:
            return History(ends, self.resting_until)
        return History(ends, at + intensity.rest_s)

    def rests_s(self, now: float) -> float:
        """Seconds from now for which it is not started; 0 if it may be."""
        return max(0.0, self.resting_until - now)
