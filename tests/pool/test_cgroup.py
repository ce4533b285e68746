"""Control groups, in a folder that looks like the kernel's: what is found, divided and written.

The kernel of the machine that these were written on has no memory controller in version 2, so none
of it has run against a real one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.pool import cgroup
from wassette_supervisor.pool.cgroup import Room, UnavailableError
from wassette_supervisor.pool.process import Process

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A delegated group with this process alone in it."""
    group = tmp_path / "mount" / "user.slice" / "ours"
    group.mkdir(parents=True)
    (group / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
    (group / "cgroup.subtree_control").write_text("")
    (tmp_path / "own").write_text("1:cpu:/\n0::/user.slice/ours\n")
    if os.geteuid() == 0:
        os.setxattr(group, "user.delegate", b"1")
    return tmp_path / "mount"


def find(mount: Path) -> Path:
    return cgroup.find(mount.parent / "own", mount)


def ours(mount: Path) -> Path:
    return mount / "user.slice" / "ours"


def test_a_delegated_group_is_found(mount: Path) -> None:
    assert find(mount) == ours(mount)


def test_a_system_without_version_2_has_none(mount: Path) -> None:
    (mount.parent / "own").write_text("1:cpu:/\n")
    with pytest.raises(UnavailableError, match="there is no cgroup v2"):
        find(mount)


def test_a_group_without_a_memory_controller_is_none(mount: Path) -> None:
    (ours(mount) / "cgroup.controllers").write_text("pids hugetlb\n")
    with pytest.raises(UnavailableError, match="no controller of memory"):
        find(mount)


def test_a_group_with_other_processes_is_not_divided(mount: Path) -> None:
    (ours(mount) / "cgroup.procs").write_text(f"{os.getpid()}\n1\n")
    with pytest.raises(UnavailableError, match="has other processes"):
        find(mount)


def test_a_group_that_its_manager_did_not_leave_to_us_is_not_divided(mount: Path) -> None:
    if os.geteuid() == 0:
        os.removexattr(ours(mount), "user.delegate")
    else:
        (ours(mount) / "cgroup.subtree_control").chmod(0o444)
    with pytest.raises(UnavailableError, match="not delegated"):
        find(mount)


def test_a_template_has_a_group_of_its_own_with_its_workers_room(mount: Path) -> None:
    groups = cgroup.enter(find(mount))
    assert (ours(mount) / "server" / "cgroup.procs").read_text() == str(os.getpid())
    assert (ours(mount) / "cgroup.subtree_control").read_text() == "+memory +pids"
    room = Room.of(256 << 20, calls=4)
    groups.make(7, room).add(4711)
    [made] = ours(mount).glob("template-*")
    assert (made / "memory.max").read_text() == str((256 + 384) * 5 + 384 << 20)
    assert (made / "pids.max").read_text() == str(128 * 5)
    assert (made / "cgroup.procs").read_text() == "4711"


def test_a_group_that_is_in_use_stays_and_others_are_removed(mount: Path) -> None:
    groups = cgroup.enter(find(mount))
    (ours(mount) / "template-1").mkdir()
    groups.make(2, Room(1, 1))  # its files keep it, as a process would
    groups.clear()
    assert len(list(ours(mount).glob("template-*"))) == 1


def test_a_process_is_known_by_its_number_while_it_lives() -> None:
    process = Process(os.pidfd_open(os.getpid()))
    try:
        assert process.pid() == os.getpid()
    finally:
        os.close(process._pidfd)
