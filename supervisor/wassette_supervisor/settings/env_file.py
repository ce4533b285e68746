"""Files of `KEY=VALUE` lines, as container engines and dotenv libraries have them.

What these read differently is refused, with what to write.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wassette_supervisor.errors import UsageError
from wassette_supervisor.settings.kinds import ENVIRONMENT_KEY

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 1 << 20

# In single quotes everything stands for itself. Elsewhere `$`, `\` and a backtick do for some
# readers and not for others; so do a quote, a space or a comment without quotes around the value.
_VALUE = re.compile(
    r"""'(?P<single>[^'\x00-\x08\x0a-\x1f\x7f]*)'
    |"(?P<double>[^"$\\`\x00-\x08\x0a-\x1f\x7f]*)"
    |(?P<bare>(?:[^\s'"$\\`\x00-\x1f\x7f#][^\s'"$\\`\x00-\x1f\x7f]*)?)""",
    re.VERBOSE,
)
_EXPORT = re.compile(r"^export[ \t]+")


def read(file: Path) -> dict[str, str]:
    """Read variables from a file of at most 1 MiB.

    Raises:
        UsageError: It can't be read, or a line of it; names the line and never its value.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(file), start=1):
        try:
            entry = _entry(line)
            if entry and entry[0] in found:
                raise ValueError(f"{entry[0]} is there twice; remove one")
        except ValueError as error:
            raise UsageError(f"line {number} of {file}: {error}") from error
        found |= dict([entry]) if entry else {}
    return found


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{file}: can't be read ({error.strerror}); --env-file takes the path of a file of "
            "KEY=VALUE lines"
        ) from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file}: more than 1 MiB; an env-file has KEY=VALUE lines alone")
    try:
        return content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 at byte {error.start}; save it as that") from error


def _entry(line: str) -> tuple[str, str] | None:
    text = line.removesuffix("\r").strip(" \t")
    if not text or text.startswith("#"):
        return None
    key, equals, value = _EXPORT.sub("", text, count=1).partition("=")
    if not equals:
        raise ValueError("should be KEY=VALUE, or a comment that begins with #")
    if not ENVIRONMENT_KEY.fullmatch(key):
        # Not shown: of an address with a password in it this is the first half.
        raise ValueError("before = should be a key of letters, digits and _, no digit first")
    return key, _value(key, value)


def _value(key: str, text: str) -> str:
    found = _VALUE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"the value of {key} can be read in several ways; put it in single quotes, which "
            "may hold anything but a single quote and control characters"
        )
    return next(part for part in found.groups() if part is not None)
