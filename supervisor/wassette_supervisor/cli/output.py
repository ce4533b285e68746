"""What commands print: JSON, YAML or a table; nothing in it can drive a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import msgspec

from wassette_supervisor.errors import SupervisorError, one_line
from wassette_supervisor.settings import NAME

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

MIN_COLUMN = 8
_USUAL_WIDTH = 80
GAP = "  "
# Controls (but for line feed), bidirectional marks and what else JSON may hold as it is but a
# terminal may obey. Unassigned and private characters are left alone: they do nothing.
_ODD = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


def emit(
    options: argparse.Namespace,
    data: dict[str, Any],
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> None:
    """Print `data`, or for people the rows that show the most of it."""
    match getattr(options, "output", None) or ("table" if to_terminal() else "json"):
        case "table":
            write(table(headings, rows, bold=coloured()))
        case "yaml":
            import yaml  # noqa: PLC0415 - 20 ms that only this needs

            write(yaml.safe_dump(data, sort_keys=False))
        case _:
            write(pretty_json(data) + "\n")


class OutputError(SupervisorError):
    """Standard output takes nothing, and it is not that nobody reads it."""


def write(text: str) -> None:
    """Print.

    Raises:
        OutputError: It can't be.
        BrokenPipeError: Nobody reads it.
    """
    if sys.stdout is None:  # Python has none where the shell closed it
        raise OutputError("standard output is closed; open it, or send it to /dev/null")
    try:
        sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forget_stdout()
        raise OutputError(
            f"standard output can't be written: {error.strerror}; what was asked for was done all "
            "the same, send the output elsewhere"
        ) from error


def forget_stdout() -> None:
    """Let the interpreter's own last flush not complain of what can't be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Say on standard error, in one line, why the command failed."""
    _to_stderr(f"{NAME}: {' '.join(visible(text).split())}\n")


def warn(text: str) -> None:
    """Say on standard error, in one line, what should be known and stops nothing."""
    complain(f"warning: {text}")


def guest_output(text: str) -> None:
    """Pass on what a guest wrote, on standard error."""
    if text:
        _to_stderr(visible(text).rstrip("\n") + "\n")


def visible(text: str) -> str:
    """Replace what could drive a terminal; lines stay."""
    return _ODD.sub(lambda found: "\t" if found[0] == "\t" else " ", text)


def pretty_json(value: object) -> str:
    return _harmless(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def json_line(value: object) -> str:
    return _harmless(msgspec.json.encode(value).decode())


def _harmless(text: str) -> str:
    # Such characters stand only in strings, so an escape means the same.
    return _ODD.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, bold: bool = False) -> str:
    """Lay rows out in columns, cut so that each row is one line of the terminal."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    lines = [[heading.upper() for heading in headings], *cells]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    room = columns()
    while sum(widths) + len(GAP) * (len(widths) - 1) > room and max(widths) > MIN_COLUMN:
        widths[widths.index(max(widths))] -= 1
    head, *below = [GAP.join(map(fitted, line, widths)).rstrip() for line in lines]
    return "".join(f"{line}\n" for line in [f"\x1b[1m{head}\x1b[m" if bold else head, *below])


def columns() -> int:
    """How wide a line of a table may be; COLUMNS says it for what is no terminal."""
    return shutil.get_terminal_size((_USUAL_WIDTH, 24)).columns


def to_terminal() -> bool:
    """Tell whether a person sees what is printed; Python has no output that the shell closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def coloured() -> bool:
    """Tell whether what is printed may have escapes in it."""
    # no-color.org: whatever is in it, if anything is.
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and to_terminal()


def fitted(cell: str, width: int) -> str:
    """Make a text exactly so many columns wide."""
    cell = shortened(cell, width)
    return cell + " " * (width - _width(cell))


def shortened(cell: str, width: int) -> str:
    """Cut what is wider."""
    if _width(cell) <= width:
        return cell
    room = width - 1
    kept = ""
    for character in cell:
        room -= _width(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"


def _width(text: str) -> int:
    """Count the columns that a terminal gives a text: an ideograph has two, an accent none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _to_stderr(text: str) -> None:
    # A terminal of another encoding still gets a line.
    stream = sys.stderr
    stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
    stream.flush()
