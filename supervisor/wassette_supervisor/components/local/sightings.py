"""Which files of a directory stay as they are; pure.

A file that is being written has another stamp each time that it is looked at. One that stayed the
same for a while may still be half written, by a writer that pauses: whoever reads it looks for
that (`files`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wassette_supervisor.store.noticed import Stamp

# How long a file has to stay as it is before it is read.
SETTLE_S = 1.0


class Sightings:
    """What was seen of each file, and since when."""

    def __init__(self, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s
        self._since: dict[str, tuple[Stamp, float]] = {}

    def observe(self, seen: Mapping[str, Stamp], now: float) -> set[str]:
        """Take in one look at the directory, and name the files that have settled.

        Args:
            seen: Every file by name.
            now: Seconds of a clock that never goes back.
        """
        since: dict[str, tuple[Stamp, float]] = {}
        for name, stamp in seen.items():
            earlier = self._since.get(name)
            since[name] = earlier if earlier and earlier[0] == stamp else (stamp, now)
        self._since = since
        return {name for name, (_, first) in since.items() if now - first >= self._settle_s}
