"""A directory that anybody may have filled: only whole, settled, regular files are read."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.components.local import files
from wassette_supervisor.components.local.files import (
    ChangedFileError,
    UnsettledError,
    UnusableDirectoryError,
)
from wassette_supervisor.errors import LoadError
from wassette_supervisor.store.noticed import Noticed, Stamp
from wassette_supervisor.store.record import MAX_COMPONENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BYTES = b"\0asm and what may follow"


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    drop = tmp_path / "drop"
    drop.mkdir(mode=0o755)
    return drop


def stamp(path: Path) -> Stamp:
    return files.stamp_of(path.lstat())


def content(path: Path, of: Stamp | None = None) -> bytes:
    fetched = files.read(path, of or stamp(path))
    try:
        return os.pread(fetched.descriptor, 1000, 0)
    finally:
        os.close(fetched.descriptor)


# --- looking --------------------------------------------------------------------------------


def test_files_of_other_names_are_none_of_ours(drop: Path) -> None:
    for name in ("a.wasm", "b.wasm.part", "c.WASM", ".d.wasm", "wasm", "e.txt"):
        (drop / name).write_bytes(BYTES)
    (drop / "below").mkdir()
    (drop / "below" / "f.wasm").write_bytes(BYTES)
    assert list(files.look(drop).files) == ["a.wasm"]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_COMPONENT_BYTES + 1)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (lambda path: path.symlink_to("/bin/sh"), "symbolic link"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "symbolic link"),
    "directory": (lambda path: path.mkdir(), "no regular file"),
    "fifo": (os.mkfifo, "no regular file"),
    "socket": (make_socket, "no regular file"),
    "empty": (lambda path: path.touch(), "empty"),
    "huge": (make_sparse, "100 MiB"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_can_be_no_component_is_seen_with_the_reason_and_never_opened(
    drop: Path, kind: str
) -> None:
    make, why = ODD[kind]
    make(drop / "odd.wasm")
    seen = files.look(drop).files["odd.wasm"]
    assert why in seen.odd
    assert seen.is_file == (kind in {"empty", "huge"})


def test_a_directory_that_is_not_there_has_no_files(drop: Path) -> None:
    assert files.look(drop / "gone") == files.Look({}, missing=True)


def test_a_file_in_place_of_the_directory_is_no_directory(drop: Path) -> None:
    (drop / "file").touch()
    with pytest.raises(UnusableDirectoryError, match="Not a directory"):
        files.look(drop / "file")


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_directory_that_others_may_write_to_is_refused(drop: Path, mode: int) -> None:
    (drop / "a.wasm").write_bytes(BYTES)
    drop.chmod(mode)
    with pytest.raises(UnusableDirectoryError, match="chmod go-w"):
        files.look(drop)


def test_of_too_many_files_the_first_are_looked_at_and_the_rest_is_counted(drop: Path) -> None:
    for number in range(files.MAX_FILES + 3):
        (drop / f"{number:05}.wasm").write_bytes(BYTES)
    looked = files.look(drop)
    assert (len(looked.files), looked.more) == (1000, 3)
    assert list(looked.files)[-1] == "00999.wasm"


def test_a_directory_with_a_multitude_of_entries_is_refused(
    drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 5)
    for number in range(6):
        (drop / f"{number}.txt").touch()
    with pytest.raises(UnusableDirectoryError, match="more than 5 entries"):
        files.look(drop)


# --- reading --------------------------------------------------------------------------------


def test_a_settled_file_is_read_whole(drop: Path) -> None:
    (drop / "a.wasm").write_bytes(BYTES)
    assert content(drop / "a.wasm") == BYTES


def test_a_file_that_somebody_may_still_write_to_has_not_settled(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    with path.open("r+b"), pytest.raises(UnsettledError, match="open to be written"):
        content(path)
    assert content(path) == BYTES


def test_a_mapping_that_can_be_written_counts_as_writing(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    with pytest.raises(UnsettledError, match="open to be written"):
        content(path)
    mapped.close()
    assert content(path) == BYTES


def test_a_writer_in_another_process_is_noticed(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    code = "import sys; f = open(sys.argv[1], 'ab'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(UnsettledError, match="open to be written"):
            content(path)
        writer.communicate()
    assert content(path) == BYTES


def test_a_reader_does_not_hold_a_file_back(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    with path.open("rb"):
        assert content(path) == BYTES


def test_asking_for_writers_survives_those_that_come_meanwhile(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    code = (
        "import os, sys; from wassette_supervisor.components.local.files import is_written\n"
        "file = os.open(sys.argv[1], os.O_RDONLY)\n"
        "print(sum(is_written(file) for _ in range(20_000)))"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asker:  # noqa: S603 - this interpreter
        disturbed = 0
        while asker.poll() is None:
            try:
                os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            except BlockingIOError:  # in the moment of a lease: its holder is sent a signal
                disturbed += 1
        assert asker.returncode == 0
    assert disturbed


@pytest.mark.parametrize("change", ["replaced", "rewritten", "touched", "gone", "link"])
def test_another_file_than_the_one_that_settled_is_not_read(drop: Path, change: str) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    settled = stamp(path)
    match change:
        case "replaced":
            (drop / "b").write_bytes(BYTES)
            (drop / "b").rename(path)
        case "rewritten":
            path.write_bytes(BYTES[::-1])
        case "touched":
            os.utime(path, ns=(1, 1))
        case "gone":
            path.unlink()
        case "link":
            path.rename(drop / "b")
            path.symlink_to("b")
    with pytest.raises((UnsettledError, LoadError)):
        content(path, settled)


def test_a_fifo_in_the_place_of_a_file_is_not_waited_for(drop: Path) -> None:
    path = drop / "a.wasm"
    path.write_bytes(BYTES)
    settled = stamp(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnsettledError):
        content(path, settled)


def noticed(path: Path, digest: str) -> Noticed:
    return Noticed(path.as_uri(), "waiting", None, digest, stamp(path))  # type: ignore[arg-type] # a NewType


def test_what_was_noticed_is_read_by_its_digest_only(drop: Path) -> None:
    path = drop / "ä b%20c.wasm"
    path.write_bytes(BYTES)
    fetched = files.read(path, stamp(path))
    os.close(fetched.descriptor)
    os.close(files.read_noticed(noticed(path, fetched.digest)).descriptor)
    with pytest.raises(ChangedFileError, match="other bytes"):
        files.read_noticed(noticed(path, "0" * 64))
    before = noticed(path, fetched.digest)
    path.write_bytes(BYTES + b"more")
    with pytest.raises(ChangedFileError, match="list the components again"):
        files.read_noticed(before)
