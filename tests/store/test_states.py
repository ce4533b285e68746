"""The folder of each component for files of its own: made once, for one, and taken away whole."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from wassette_protocol.frames import ComponentId
from wassette_supervisor.errors import StoreError
from wassette_supervisor.pool.identities import lasting_ids, spare_ids
from wassette_supervisor.store.states import Folder, States

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Use = Callable[[ComponentId], Any]

ONE = ComponentId("one")
TWO = ComponentId("lock")  # ids that look like our own files
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to somebody else")


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(tmp_path / "home" / "state")


def make(states: States, component: ComponentId = ONE, owner: int | None = None) -> Folder:
    return states.make(component, owner, lasting_ids())


def test_a_folder_is_made_once_for_its_component_alone(states: States) -> None:
    assert states.find(ONE) is None
    one, two = make(states), make(states, TWO)
    assert make(states) == states.find(ONE) == one
    assert one.path == os.path.join(os.path.realpath(states.root), "one")  # noqa: PTH118 - a string
    assert one.inode != two.inode
    for folder in (states.root, states.root / ONE, states.root / TWO):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    if os.geteuid() != 0:
        assert one.owner == two.owner == os.geteuid()


@ROOT
def test_below_root_each_folder_has_an_owner_of_its_own_that_nobody_else_is(
    states: States,
) -> None:
    lasting, spare = lasting_ids(), spare_ids()
    owners = [make(states, ComponentId(f"c{number}")).owner for number in range(20)]
    if lasting is None or spare is None:  # of a namespace with few ids
        assert set(owners) == {0}
        return
    assert len(set(owners)) == 20
    assert all(owner in lasting and owner not in spare for owner in owners)
    assert make(states, ONE, 4321).owner == 4321


@ROOT
def test_no_owner_is_given_twice_and_their_end_is_told(states: States) -> None:
    few = range(5000, 5003)
    owners = {states.make(ComponentId(f"c{number}"), None, few).owner for number in few}
    assert owners == set(few)
    with pytest.raises(StoreError, match="no user is left"):
        states.make(ONE, None, few)


def test_many_that_make_it_at_once_have_the_same(states: States) -> None:
    found: list[Folder] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        found.append(make(States(states.root)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert sorted(entry.name for entry in states.root.iterdir()) == [".lock", "one"]


KILLED = """
import os, sys
from pathlib import Path
from wassette_protocol.frames import ComponentId
from wassette_supervisor.store.states import States

if sys.argv[2] == "make":
    os.rename = lambda *_: os._exit(9)
    States(Path(sys.argv[1])).make(ComponentId("one"), None, None)
else:
    states = States(Path(sys.argv[1]))
    states.set_aside(ComponentId("one"))
    os._exit(9)
"""


@pytest.mark.parametrize("when", ["make", "delete"])
def test_what_a_killed_process_left_is_nobodys_and_goes_with_the_next(
    states: States, when: str
) -> None:
    if when == "delete":
        (states.root / make(states).path / "file").write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", KILLED, states.root, when], check=False)  # noqa: S603 - our own words
    assert done.returncode == 9
    assert len(list(states.root.iterdir())) == 2
    assert states.find(ONE) is None
    made = make(states)
    assert list(os.scandir(made.path)) == []
    states.set_aside(TWO)
    assert states.sweep()
    assert sorted(entry.name for entry in states.root.iterdir()) == [".lock", "one"]


def test_what_was_set_aside_is_found_by_nobody_while_others_still_write_to_it(
    states: States,
) -> None:
    first = make(states)
    inside = os.open(first.path, os.O_RDONLY)
    assert states.set_aside(ONE)
    assert not states.set_aside(ONE)
    assert states.find(ONE) is None
    os.close(os.open("late", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=inside))
    second = make(states)
    assert list(os.scandir(second.path)) == []
    assert states.sweep()
    with pytest.raises(FileNotFoundError):
        os.open("later", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=inside)
    os.close(inside)


@pytest.mark.parametrize("component", ["", ".", "..", "../x", "a/b", ".lock", ".gone-1", "A"])
def test_what_is_no_id_names_no_folder(states: States, component: str) -> None:
    uses: list[Use] = [states.find, states.set_aside, states.is_left_over, partial(make, states)]
    for use in uses:
        with pytest.raises(StoreError, match="no component id"):
            use(ComponentId(component))


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_stands_in_its_place_and_is_no_folder_is_refused_and_can_be_deleted(
    states: States, kind: str
) -> None:
    other = make(states, TWO)
    place = states.root / ONE
    place.symlink_to(other.path) if kind == "link" else place.write_bytes(b"")
    uses: list[Use] = [states.find, partial(make, states), states.counted]
    for use in uses:
        with pytest.raises(StoreError, match="something else"):
            use(ONE)
    assert states.is_left_over(ONE)
    assert states.set_aside(ONE)
    assert states.sweep()
    assert states.find(TWO) == other


def test_a_place_that_others_may_write_to_is_refused(states: States) -> None:
    make(states)
    states.root.chmod(0o777)
    with pytest.raises(StoreError, match="chmod go-w"):
        make(states, TWO)
    with pytest.raises(StoreError, match="chmod go-w"):
        states.set_aside(ONE)


def test_what_is_left_over_is_told_only_where_there_are_files(states: States) -> None:
    assert not states.is_left_over(ONE)
    made = make(states)
    assert not states.is_left_over(ONE)
    assert states.find(ONE) is None  # an empty one went
    made = make(states)
    os.mkdir(f"{made.path}/sub")  # noqa: PTH102 - a string
    assert states.is_left_over(ONE)
    assert states.find(ONE) == made
