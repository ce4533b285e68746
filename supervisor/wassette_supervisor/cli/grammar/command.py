"""What a command of the command line is; its words, operands and options as data."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("json", "yaml", "table")


class Operand(NamedTuple):
    """A word that stands for itself; `dest` is its name in the options."""

    dest: str
    placeholder: str
    text: str
    many: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False


class Option(NamedTuple):
    """An option of one command; without a placeholder it is a switch.

    One with the name of a setting takes that one's place behind the command.
    """

    flag: str
    placeholder: str
    text: str
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] = str
    required: bool = False
    short: str = ""
    alias: str = ""
    default: str | None = None

    @property
    def dest(self) -> str:
        return self.flag[2:].replace("-", "_")


class Command(NamedTuple):
    """A command; all that is there to know of it but what it does."""

    words: str
    text: str  # one line of its group's help
    function: str  # module:function of `wassette_supervisor.cli`
    examples: tuple[str, ...]  # what stands behind the program's name
    operands: tuple[Operand, ...] = ()
    options: tuple[Option, ...] = ()
    one_of: tuple[str, ...] = ()  # of these flags at most one
    one_is_needed: bool = False  # of those
    needs: tuple[tuple[str, str], ...] = ()  # a flag, and the other that it makes no sense without
    more: str = ""  # of the help, lines of 80 columns
    limits: bool = False  # shows what the limits are


def access(text: str) -> tuple[str, ...]:
    """Parse what `--access` of a grant takes."""
    if text not in {"read", "write", "read,write"}:
        raise argparse.ArgumentTypeError(f"should be read, write or read,write, not {text!r}")
    return tuple(text.split(","))


OUTPUT = Option(
    "--output",
    "FORMAT",
    "json, yaml or table (default: table on a terminal)",
    choices=FORMATS,
    short="-o",
    alias="--output-format",
)
