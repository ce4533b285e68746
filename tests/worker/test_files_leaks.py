"""A guest that opens and opens leaves nothing behind in its worker."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from support.guarded import guarded
from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.patterns import Pattern
from wassette_worker.guards.files.codes import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from support.guarded import Guarded

OPENS = 100_000
RULES = FileRules(
    (
        Layer(
            (Clause(Pattern((), below=True), read=True, write=True),),
            (Clause(Pattern((b"**", b"*.key"), below=True), read=True, write=True),),
        ),
    )
)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone


def resident_pages() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - as it is
        return int(file.read().split()[1])


@pytest.mark.timeout(240)
def test_a_hundred_thousand_opens_leave_no_descriptor_and_no_handle(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "id.key").write_text("x")
    (tmp_path / "link").symlink_to("a/b/file")
    ways = ["a/b/file", "link", "a/id.key", "a/b", "none"]
    with guarded(tmp_path, RULES) as guest:
        for text in ways:
            _open(guest, text)
        descriptors, pages = open_descriptors(), resident_pages()
        for number in range(OPENS):
            _open(guest, ways[number % len(ways)])
        assert open_descriptors() == descriptors
        assert guest.scope.open == {}
        assert (resident_pages() - pages) * os.sysconf("SC_PAGE_SIZE") < 8 << 20


def _open(guest: Guarded, text: str) -> None:
    with suppress(FileError):
        guest.open(text, follow=True, read=True)
