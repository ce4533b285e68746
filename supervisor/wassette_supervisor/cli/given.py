"""What a person gives to a command beside its words: files, standard input, an answer."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wassette_supervisor.errors import SupervisorError, one_line

if TYPE_CHECKING:
    from io import BufferedReader

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MOST_OF_AN_ANSWER = 100


class GivenError(SupervisorError):
    """What was named, or piped in, can't be taken."""


class DeclinedError(SupervisorError):
    """The person at the terminal said no."""

    def __init__(self) -> None:
        super().__init__("nothing was changed, because the answer was not yes; answer y to do it")


def from_file(name: str, most: int, what: str) -> bytes:
    """Read a file whole.

    Args:
        name: Its path; links are followed.
        most: How many bytes it may have, a line end at its end not counted.
        what: What it should be, for a message.

    Raises:
        GivenError: It can't be read, is no regular file, or has more.
    """
    shown = one_line(name)
    try:
        # Before it is opened, for opening a device can do something to it; and again after.
        _require_small_file(Path(name).stat(), shown, most, what)
        descriptor = os.open(name, _OPEN)
        with os.fdopen(descriptor, "rb") as file:
            _require_small_file(os.fstat(descriptor), shown, most, what)
            content = file.read(most + 2)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise GivenError(
            f"{what} {shown!r} can't be read: {why}; correct the path, or let this user read it"
        ) from error
    _require_few(len(content.removesuffix(b"\n")), shown, most, what)
    return content


def from_stdin(most: int, what: str) -> bytes:
    """Read standard input to its end; as `from_file`.

    Raises:
        GivenError: It is closed, or has more.
    """
    content = _stdin().read(most + 2)
    _require_few(len(content.removesuffix(b"\n")), "on standard input", most, what)
    return content


def can_ask() -> bool:
    """Whether a person sees a question, and can answer it."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def answers_yes(question: str) -> bool:
    """Ask on standard error; the end of the input, and all but yes, is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return _stdin().readline(_MOST_OF_AN_ANSWER).strip().lower() in {b"y", b"yes"}


def _stdin() -> BufferedReader:
    # Python has none where the shell closed it.
    if sys.stdin is None:
        raise GivenError("standard input is closed; open it, or name a file")
    return sys.stdin.buffer  # type: ignore[return-value]  # typeshed: BinaryIO


def _require_small_file(status: os.stat_result, shown: str, most: int, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise GivenError(f"{shown} is {kind}, and {what} is a regular file; give its path")
    _require_few(status.st_size - 1, shown, most, what)


def _require_few(size: int, shown: str, most: int, what: str) -> None:
    if size > most:
        raise GivenError(
            f"{what} {shown} has more than {most} bytes, which is the most that one may have; "
            "make it shorter"
        )
