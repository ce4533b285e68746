"""A component's bytes as they were at one moment, in memory that nobody can change any more.

Takes what a file URI names, and nothing but a regular file: whoever asks may be a model.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from wassette_protocol.frames import Digest
from wassette_supervisor.errors import LoadError, one_line
from wassette_supervisor.store.files import copy_hashed, new_memory, seal
from wassette_supervisor.store.record import MAX_COMPONENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM = "give it as file:///absolute/path/to/component.wasm"
# O_NONBLOCK: opening a FIFO that took the file's place must not wait for a writer.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Fetched(NamedTuple):
    """A component, not yet looked at; who has it closes the descriptor."""

    descriptor: int  # a sealed memfd
    size: int
    digest: Digest
    stem: str  # of the file's name


def from_argument(text: str, cwd: Path) -> str:
    """The reference that a command line argument means: itself, or the path of a file.

    Raises:
        LoadError: It is empty, or no path.
    """
    if text.lower().startswith("file:") or (_SCHEME.match(text) and "://" in text):
        return text
    if not text or "\0" in text:
        raise LoadError(f"a component can't be loaded from {one_line(text)!r}; give a path of one")
    return (cwd.absolute() / text).as_uri()


def read_component(reference: str) -> Fetched:
    """Copy the file that a reference names into sealed memory.

    Raises:
        LoadError: The reference can't be used, or the file can't be read whole.
    """
    path = _path_of(reference)
    shown = one_line(str(path))
    try:
        with _opened(path) as descriptor:
            return copied(descriptor, path.stem, shown)
    except OSError as error:
        raise LoadError(
            f"the component {shown} could not be read: {error.strerror}; correct the path, "
            "or let this user read the file"
        ) from error


def _path_of(reference: str) -> Path:
    shown = one_line(reference)
    scheme = _SCHEME.match(reference)
    if scheme is None:
        raise LoadError(f"the component reference {shown!r} is no URI; {_FORM}")
    if scheme[1].lower() != "file":
        raise LoadError(
            f"components can't be loaded by {one_line(scheme[1])}: ({shown}), only from a file; "
            f"{_FORM}"
        )
    rest = reference[scheme.end() :]
    if re.search(r"[?#\0]|%00", rest) or _BAD_ESCAPE.search(rest):
        raise LoadError(
            f"the component reference {shown!r} has a query, a fragment, a null or a broken "
            "escape; write '?' as %3F, '#' as %23 and '%' as %25"
        )
    return Path(os.fsdecode(_decoded(_without_host(rest, shown))))


def _without_host(rest: str, shown: str) -> str:
    """What comes after `file:`, without an authority that is this machine (RFC 8089)."""
    host, path = "", rest
    if rest.startswith("//"):
        host, slash, after = rest[2:].partition("/")
        path = slash + after
    if host.lower() not in ("", "localhost"):
        raise LoadError(
            f"the component reference {shown!r} names the host {one_line(host)!r}, and other "
            f"machines' files can't be loaded; {_FORM}"
        )
    if not path.startswith("/"):
        raise LoadError(f"the component reference {shown!r} has no absolute path; {_FORM}")
    return path


def _decoded(path: str) -> bytes:
    try:
        return unquote_to_bytes(path)
    except UnicodeEncodeError as error:  # a lone surrogate
        raise LoadError(f"the component reference is not Unicode text; {_FORM}") from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    shown = one_line(str(path))
    # Before it is opened, for opening a device can do something to it; and again after, because
    # another file may have taken the place meanwhile.
    _require_regular(path.stat(), shown)
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        _require_regular(os.fstat(descriptor), shown)
        yield descriptor
    finally:
        os.close(descriptor)


def _require_regular(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise LoadError(f"{shown} is {kind}; a component is a regular file: give its path")


def copied(descriptor: int, stem: str, shown: str) -> Fetched:
    """Copy an open file into sealed memory.

    Args:
        descriptor: Of the file, which stays the caller's.
        stem: Of its name.
        shown: How messages name it.

    Raises:
        LoadError: It has no bytes or too many, or changed meanwhile.
    """
    before = os.fstat(descriptor)
    if before.st_size == 0:
        raise LoadError(f"{shown} is empty, so it is no component; build it again")
    if before.st_size > MAX_COMPONENT_BYTES:
        raise LoadError(
            f"{shown} has {before.st_size} bytes, and a component may have {MAX_COMPONENT_BYTES} "
            "(100 MiB) at most; build it without debug information"
        )
    with new_memory("component") as memory:
        copied, digest = copy_hashed(descriptor, memory, before.st_size)
        if copied != before.st_size or _moment(os.fstat(descriptor)) != _moment(before):
            raise LoadError(
                f"{shown} changed while it was read; load it again when it is written whole"
            )
        return Fetched(seal(memory), copied, digest, stem)


def _moment(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
