"""What somebody else filled is measured and deleted, whatever it is; nothing outside is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from support.processes import open_descriptors
from wassette_supervisor.store import trees
from wassette_supervisor.store.trees import MAX_DEPTH, Measured, UnmeasurableError, delete, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = 1 << 60
KIB = 1 << 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def counted(folder: Path, most: int = ALL) -> Measured:
    return measure(str(folder), most=most, seconds=30)


def nest(folder: Path, letter: str, levels: int) -> None:
    """Folders in folders, deeper than any path could say."""
    inside = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(letter * 200, dir_fd=inside)
        below = os.open(letter * 200, os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=inside))
    os.close(inside)


# --- measuring ------------------------------------------------------------------------------


def test_an_entry_counts_for_its_length_or_what_it_occupies_and_for_4_kib_at_least(
    folder: Path,
) -> None:
    assert counted(folder) == Measured(0, 0, whole=True)
    (folder / "empty").write_bytes(b"")
    (folder / "sub").mkdir()
    (folder / "sub" / "small").write_bytes(b"x")
    assert counted(folder) == Measured(12 * KIB, 3, whole=True)
    (folder / "large").write_bytes(b"x" * 100_000)
    occupied = (folder / "large").stat().st_blocks * 512
    assert counted(folder).size == 12 * KIB + max(occupied, 100_000)
    os.truncate(folder / "empty", 1 << 40)  # a hole
    assert counted(folder).size == 8 * KIB + max(occupied, 100_000) + (1 << 40)


def test_counting_ends_with_the_first_entry_that_is_too_much(folder: Path) -> None:
    for number in range(100):
        (folder / f"{number}").write_bytes(b"")
    assert counted(folder, 400 * KIB).whole
    assert counted(folder, 400 * KIB - 1) == Measured(400 * KIB, 100, whole=False)
    assert counted(folder, 10 * KIB) == Measured(12 * KIB, 3, whole=False)


def test_counting_ends_when_its_time_is_over(folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    assert measure(str(folder), most=ALL, seconds=0) == Measured(4 * KIB, 1, whole=False)


def test_links_are_counted_and_not_followed(folder: Path) -> None:
    (folder / "out").symlink_to("../beside")
    (folder / "loop").symlink_to(".")
    (folder / "nowhere").symlink_to("nothing")
    assert counted(folder) == Measured(12 * KIB, 3, whole=True)


def test_what_is_no_file_is_counted_and_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")  # opening it would never end
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket"))
    assert counted(folder) == Measured(8 * KIB, 2, whole=True)


def test_a_folder_nested_too_deep_is_not_measured_and_takes_no_descriptors(folder: Path) -> None:
    before = open_descriptors()
    nest(folder, "a", MAX_DEPTH)
    assert counted(folder) == Measured(4 * KIB * (MAX_DEPTH + 1), MAX_DEPTH + 1, whole=True)
    nest(folder, "b", 100)
    with pytest.raises(UnmeasurableError, match="deep") as caught:
        counted(folder)
    assert not caught.value.measured.whole
    assert open_descriptors() == before
    assert delete(str(folder), seconds=60)  # pytest could not


def test_a_folder_that_was_closed_to_everybody_is_not_measured_and_is_deleted(
    folder: Path,
) -> None:
    (folder / "closed" / "below").mkdir(parents=True)
    (folder / "closed" / "below" / "file").write_bytes(b"")
    for path in ("closed/below", "closed", "."):
        (folder / path).chmod(0)
    if os.geteuid() != 0:  # for root nothing is closed
        with pytest.raises(PermissionError):
            counted(folder)
        folder.chmod(0o700)
        with pytest.raises(UnmeasurableError, match="can't be read"):
            counted(folder)
    assert delete(str(folder), seconds=30)
    assert not folder.exists()


# --- deleting -------------------------------------------------------------------------------


def test_all_of_it_goes_and_nothing_beside_it(folder: Path) -> None:
    before = open_descriptors()
    for number in range(60):
        (folder / "many" / f"{number}").mkdir(parents=True)
        (folder / "many" / f"{number}" / "file").write_bytes(b"")
    os.mkfifo(folder / "fifo")
    (folder / "out").symlink_to("../beside")
    (folder / "many" / "out").symlink_to(folder.parent / "beside")
    os.link(folder.parent / "beside" / "file", folder / "hard")
    assert delete(str(folder), seconds=30)
    assert [entry.name for entry in folder.parent.iterdir()] == ["beside"]
    assert (folder.parent / "beside" / "file").stat().st_size == 100_000
    assert open_descriptors() == before


def test_folders_deeper_than_any_path_are_deleted_with_few_descriptors(folder: Path) -> None:
    nest(folder, "a", 500)
    nest(folder / ("a" * 200), "b", 50)
    assert delete(str(folder), seconds=60)
    assert not folder.exists()


def test_what_is_not_there_is_gone_and_what_can_not_go_is_told(folder: Path) -> None:
    assert delete(str(folder / "nothing"), seconds=30)
    (folder / "file").write_bytes(b"")
    assert not delete(str(folder), seconds=0)  # not in no time
    assert (folder / "file").exists()


def test_a_link_in_place_of_a_folder_is_never_followed_while_others_swap_them(
    folder: Path,
) -> None:
    """Whoever works in the folder replaces folders by links to one outside, again and again."""
    outside = folder.parent / "beside"
    stop = threading.Event()
    inside = os.open(folder, os.O_RDONLY)
    rounds: list[None] = []

    def swap() -> None:
        steps: list[Callable[[], object]] = [
            partial(os.mkdir, "x", dir_fd=inside),
            partial(os.symlink, "../beside", "y", dir_fd=inside),
            partial(os.rename, "x", "z", src_dir_fd=inside, dst_dir_fd=inside),
            partial(os.rename, "y", "x", src_dir_fd=inside, dst_dir_fd=inside),
            partial(os.rmdir, "z", dir_fd=inside),
            partial(os.unlink, "x", dir_fd=inside),
        ]
        while not stop.is_set():
            for step in steps:
                with suppress(OSError):
                    step()
            rounds.append(None)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        while len(rounds) < 300 and swapping.is_alive():
            assert counted(folder).size < 50_000  # the file outside has more
        delete(str(folder), seconds=1)
    finally:
        stop.set()
        swapping.join()
        os.close(inside)
    assert (outside / "file").stat().st_size == 100_000


MOUNTED = """
import subprocess, sys
from pathlib import Path
from wassette_supervisor.store.trees import delete, measure

root = Path(sys.argv[1])
(root / "folder" / "mounted").mkdir(parents=True)
subprocess.run(["mount", "-t", "tmpfs", "none", root / "folder" / "mounted"], check=True)
(root / "folder" / "mounted" / "file").write_text("of another file system")
print(measure(str(root / "folder"), most=1 << 40, seconds=10).entries)
print(delete(str(root / "folder"), seconds=10))
print((root / "folder" / "mounted" / "file").read_text())
"""


def test_another_file_system_is_not_entered(tmp_path: Path) -> None:
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
    told = subprocess.run(  # noqa: S603 - our own words
        ["unshare", *namespaces, sys.executable, "-c", MOUNTED, tmp_path],  # noqa: S607 - of the system
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert told[:3] == ["1", "False", "of another file system"]


def test_of_more_entries_than_the_usual_limit_takes_the_rest_is_never_looked_at(
    folder: Path,
) -> None:
    most = 64 << 20
    some = folder / "0"
    some.write_bytes(b"")
    for number in range(1, most // trees.ENTRY_BYTES + 10):
        if number % 10_000 == 0:  # a file has 65,000 names at most
            some = folder / f"new{number}"
            some.write_bytes(b"")
        os.link(some, folder / f"{number}")
    expected = Measured(most + trees.ENTRY_BYTES, most // trees.ENTRY_BYTES + 1, whole=False)
    assert measure(str(folder), most=most, seconds=60) == expected
