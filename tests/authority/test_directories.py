"""What may be granted at all: never our own folders, the interpreter's, the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wassette_supervisor.authority.directories import (
    Forbidden,
    Found,
    Missing,
    Protected,
    find,
    protected,
)
from wassette_supervisor.authority.workspace import workspace

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "data" / "store" / "components").mkdir(parents=True)
    return tmp_path / "data" / "store"


@pytest.fixture
def keep_out(store: Path, tmp_path: Path) -> list[Protected]:
    return protected([(store, "the store"), (tmp_path / "config", "this program's configuration")])


def test_a_directory_is_found_by_its_canonical_path_and_as_what_it_is(
    tmp_path: Path, keep_out: list[Protected]
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    status = (tmp_path / "real").stat()
    expected = Found(str(tmp_path / "real"), status.st_dev, status.st_ino, os.geteuid())
    assert find(str(tmp_path / "real"), keep_out) == expected


def test_what_is_reached_through_a_link_is_no_grant_and_the_path_that_could_be_is_named(
    tmp_path: Path, keep_out: list[Protected]
) -> None:
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    for path, real in (("link", "real"), ("link/below", "real/below")):
        found = find(str(tmp_path / path), keep_out)
        assert isinstance(found, Forbidden)
        assert found.why.endswith(f"through a link to {tmp_path / real}")


def test_a_link_on_the_way_to_something_of_ours_is_kept_out_as_well(tmp_path: Path) -> None:
    for folder in ("home/share", "home/other", "disk/store", "disk/far"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "home/share/store").symlink_to(tmp_path / "disk/near")
    (tmp_path / "disk/near").symlink_to(tmp_path / "disk/store")
    keep_out = protected([(tmp_path / "home/share/store", "the store")])
    found = {
        folder: type(find(str(tmp_path / folder), keep_out))
        for folder in ("home/share", "disk", "disk/store", "home/other", "disk/far")
    }
    assert found == {
        "home/share": Forbidden,
        "disk": Forbidden,
        "disk/store": Forbidden,
        "home/other": Found,
        "disk/far": Found,
    }


def test_a_chain_of_links_without_end_is_missing(tmp_path: Path, keep_out: list[Protected]) -> None:
    for number in range(1500):
        (tmp_path / f"l{number}").symlink_to(f"l{number + 1}")
    assert isinstance(find(str(tmp_path / "l0"), keep_out), Missing)


@pytest.mark.parametrize("path", ["none", "file/below", "loop", "dangling"])
def test_what_is_not_there_is_missing_and_no_mistake(
    tmp_path: Path, keep_out: list[Protected], path: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert isinstance(find(str(tmp_path / path), keep_out), Missing)


def test_a_single_file_is_found_as_one_and_nothing_else_is(
    tmp_path: Path, store: Path, keep_out: list[Protected]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (store / "secret").write_bytes(b"")
    os.mkfifo(tmp_path / "fifo")
    found = find(str(tmp_path / "file"), keep_out)
    assert isinstance(found, Found)
    assert found.is_file
    for path, why in (
        (tmp_path / "fifo", "no regular file"),
        (store / "secret", "the store"),
        (Path("/dev/null"), "no regular file"),
        (Path("/etc/mtab"), "overlaps the kernel's own files"),
    ):
        refused = find(str(path), keep_out)
        assert isinstance(refused, (Forbidden, Missing)), path
        assert why in refused.why or not path.exists()


def test_what_holds_lies_in_or_is_the_store_is_refused(
    tmp_path: Path, store: Path, keep_out: list[Protected]
) -> None:
    (tmp_path / "into").symlink_to(store / "components")
    for path in (store, store.parent, store / "components", tmp_path, "/", tmp_path / "into"):
        found = find(str(path), keep_out)
        assert isinstance(found, Forbidden), path
    assert isinstance(find(str(store.parent / "storefront"), keep_out), Missing)  # no prefix


def test_a_folder_of_ours_that_does_not_exist_yet_is_kept_out_too(
    tmp_path: Path, keep_out: list[Protected]
) -> None:
    (tmp_path / "config" / "below").mkdir(parents=True)
    assert isinstance(find(str(tmp_path / "config" / "below"), keep_out), Forbidden)


@pytest.mark.parametrize("path", ["/proc", "/proc/self", "/sys/kernel", "/dev", "/dev/pts", "/run"])
def test_the_kernels_own_files_are_refused(keep_out: list[Protected], path: str) -> None:
    assert isinstance(find(path, keep_out), Forbidden)


def test_the_interpreter_and_this_programs_code_are_refused(keep_out: list[Protected]) -> None:
    for path in (sys.prefix, sys.base_prefix, REPOSITORY / "supervisor" / "wassette_supervisor"):
        assert isinstance(find(str(path), keep_out), Forbidden), path


MOUNTS = """
import os, subprocess, sys
from pathlib import Path
from wassette_supervisor.authority.directories import find, protected

root = Path(sys.argv[1])
for name in ("store/components", "whole", "part", "outer/inner", "innocent", "other"):
    (root / name).mkdir(parents=True)
def bind(source, target):
    subprocess.run(["mount", "--bind", root / source, root / target], check=True)
bind("store", "whole")  # the store under another name
bind("store/components", "part")  # a part of it
bind("store", "outer/inner")  # a folder in which it is mounted
bind("other", "innocent")
keep_out = protected([(root / "store", "the store")])
for name in ("whole", "part", "outer", "innocent", "whole/components"):
    print(name, type(find(str(root / name), keep_out)).__name__)
"""


def test_a_mount_of_the_store_under_another_name_is_refused(tmp_path: Path) -> None:
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
    told = subprocess.run(  # noqa: S603 - our own words
        ["unshare", *namespaces, sys.executable, "-c", MOUNTS, tmp_path],  # noqa: S607 - of the system
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert told[:5] == [
        "whole Forbidden",
        "part Forbidden",
        "outer Forbidden",
        "innocent Found",
        "whole/components Forbidden",
    ]


def test_the_workspace_is_the_current_directory_only_where_that_is_harmless(
    tmp_path: Path, store: Path, keep_out: list[Protected], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    project = home / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    found = {}
    for place in (project, home, Path("/"), store.parent, store / "components", Path("/home/any")):
        if place.is_dir():
            monkeypatch.chdir(place)
            found[place] = workspace(None, keep_out)
    assert found.pop(project) == str(project)
    assert set(found.values()) == {None}
    assert workspace(tmp_path, keep_out) == str(tmp_path)
