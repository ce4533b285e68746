"""Sizes, times and numbers as people write them: in policies, settings and on the command line.

Each parser raises ValueError with what it expects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wassette_protocol.capabilities import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SIZE = re.compile(r"([0-9]{1,19})(|Ki|Mi|Gi)")
_SIZE_UNITS = {"": 1, "Ki": 1 << 10, "Mi": MIB, "Gi": 1 << 30}
_DURATION = re.compile(r"([0-9]{1,19})(ms|s|m|h)")
_DURATION_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_WHOLE = re.compile(r"([0-9]{1,19})()")


def _quantity(
    pattern: re.Pattern[str], units: Mapping[str, int], expected: str, low: int, high: int
) -> Callable[[object], int]:
    def parse(value: object) -> int:
        # A boolean is an int to Python, and its text is no number.
        found = pattern.fullmatch(str(value)) if isinstance(value, int | str) else None
        number = int(found[1]) * units[found[2]] if found else -1
        if not low <= number <= high:
            raise ValueError(expected)
        return number

    return parse


def whole(low: int, high: int) -> Callable[[object], int]:
    return _quantity(_WHOLE, {"": 1}, f"a whole number from {low} to {high}", low, high)


def size(high: int) -> Callable[[object], int]:
    expected = f"a size in bytes from 1 to {size_text(high)}, as 65536, 64Ki or 1Mi"
    return _quantity(_SIZE, _SIZE_UNITS, expected, 1, high)


def duration() -> Callable[[object], int]:
    expected = "a time from 1ms to 1h, as 500ms, 30s or 2m"
    return _quantity(_DURATION, _DURATION_UNITS, expected, 1, 3_600_000)


def size_text(size: int) -> str:
    """Write a size as `--limit` takes it."""
    for unit in ("Gi", "Mi", "Ki"):
        if size >= _SIZE_UNITS[unit] and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return str(size)


def duration_text(milliseconds: int) -> str:
    """Write a time as `--limit` takes it."""
    whole_seconds = milliseconds % 1000 == 0
    return f"{milliseconds // 1000}s" if whole_seconds else f"{milliseconds}ms"
