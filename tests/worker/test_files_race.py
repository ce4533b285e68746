"""Another process exchanges files, directories and links at full speed while a guest uses them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.guarded import guarded
from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.patterns import Pattern
from wassette_worker.guards.files.codes import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.guarded import Guarded

SECRET, OPEN = b"SECRET", b"open"
SECONDS = 4
RULES = FileRules(
    (
        Layer(
            (Clause(Pattern((), below=True), read=True, write=True),),
            (Clause(Pattern((b"secret",), below=True), read=True, write=True),),
        ),
    )
)

# Exchanges two entries atomically (renameat2, RENAME_EXCHANGE), again and again.
_EXCHANGER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
print("ready", flush=True)
pairs = [(b"place", b"other-place"), (b"file", b"other-file")]
while True:
    for one, other in pairs:
        libc.syscall(316 if os.uname().machine == "x86_64" else 276, -100, one, -100, other, 2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    for name in ("secret", "place"):
        (made / name).mkdir(parents=True)
    (made / "secret" / "f").write_bytes(SECRET)
    (made / "place" / "f").write_bytes(OPEN)
    (made / "file").write_bytes(OPEN)
    (made / "other-place").symlink_to("secret")
    (made / "other-file").symlink_to("secret/f")
    return made


@contextmanager
def exchanging(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-I", "-c", _EXCHANGER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:  # noqa: S603 - ours
        try:
            assert other.stdout is not None
            other.stdout.readline()
            yield
        finally:
            other.kill()


def _empty_file(guest: Guarded) -> object:
    return guest.open("file", follow=True, truncate=True, read=True, write=True)


def _replace(guest: Guarded) -> object:
    guest.open("new", create=True, write=True)
    guest.rename("new", "place/f")
    return guest.open("place/f", follow=True, create=True, write=True)


ATTEMPTS: dict[str, Callable[[Guarded], object]] = {
    "read below": lambda guest: guest.open("place/f", follow=True, read=True),
    "read by a link": lambda guest: guest.open("file", follow=True, read=True),
    "list": lambda guest: guest.names("place"),
    "empty": _empty_file,
    "create below": lambda guest: guest.open("place/new", create=True, write=True),
    "replace": _replace,
    "remove": lambda guest: guest.unlink("place/new"),
}


def test_nothing_denied_is_read_or_changed_while_links_are_exchanged(folder: Path) -> None:
    outcomes = raced(folder)
    # Both happened, many times: what is open was had, what is denied was refused.
    assert outcomes["done"] > 100
    assert outcomes["access"] > 100
    assert outcomes["loop"] < outcomes["done"] / 10


def raced(folder: Path) -> Counter[str]:
    """How often each outcome came; AssertionError if anything that is denied was had."""
    outcomes: Counter[str] = Counter()
    with guarded(folder, RULES) as guest, exchanging(folder):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            for name, attempt in ATTEMPTS.items():
                try:
                    got = attempt(guest)
                except FileError as error:
                    outcomes[error.code] += 1
                    continue
                outcomes["done"] += 1
                assert got != SECRET, f"SECRET by {name}"
    assert (folder / "secret" / "f").read_bytes() == SECRET, "secret changed"
    assert [each.name for each in (folder / "secret").iterdir()] == ["f"], "secret changed"
    return outcomes
