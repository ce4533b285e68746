"""Points in time as people write them: `1h`, `2026-01-31`, `2026-01-31T12:00+01:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def text_of(time: datetime) -> str:
    """Write a time as the log does: such texts compare as the times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def since(written: str, now: datetime) -> str:
    """Read a point in time; without a zone it is UTC, as the log is.

    Raises:
        ValueError: With what it should be.
    """
    ago = _AGO.fullmatch(written)
    try:
        if ago:
            return text_of(now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]))
        time = datetime.fromisoformat(written)
        return text_of(time if time.tzinfo else time.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "how long ago, as 30m, 1h or 7d, or a date or time of UTC, as 2026-01-31 or "
            "2026-01-31T12:00"
        ) from error
