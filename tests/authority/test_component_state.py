"""What `fs://state` is for a call: one component's own folder, reached in no other way."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from authority.test_permissions import ID, Place, storage, variables
from wassette_protocol.frames import ComponentId
from wassette_supervisor.authority.changes import NotGrantableError
from wassette_supervisor.authority.component_state import StateUnusableError
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.pool.grants import Directory

if TYPE_CHECKING:
    from pathlib import Path

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to somebody else")
KEEPS = storage(("fs://state", "read, write"))
RULE = rule_from_words("storage", "fs://state", ["read", "write"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, max_state="1Mi")


def own(place: Place) -> Directory:
    [found] = place.grants().directories
    return found


def state_folder(place: Place) -> Path:
    return place.store.root / "state" / ID


def test_the_first_call_that_has_it_makes_the_folder_and_the_next_has_the_same(
    place: Place,
) -> None:
    place.set_policy(KEEPS)
    assert not state_folder(place).exists()
    assert place.permissions.granted(place.record, "", foreseen=True).grants.directories == ()
    assert not state_folder(place).exists()
    found = own(place)
    status = state_folder(place).stat()
    path = os.path.realpath(state_folder(place))
    assert found == Directory("state", path, status.st_dev, status.st_ino, writable=True)
    assert place.grants() == place.grants()
    assert place.grants().file_size == 1 << 20


def test_without_the_right_there_is_no_folder_and_to_read_it_limits_no_file(place: Place) -> None:
    place.set_policy(variables("{key: TZ, value: UTC}"))
    assert place.grants().directories == ()
    assert not state_folder(place).exists()
    place.set_policy(storage(("fs://state", "read")))
    assert not own(place).writable
    assert place.grants().file_size is None


def test_a_tool_and_a_ceiling_have_less_of_it(tmp_path: Path) -> None:
    (tmp_path / "ceiling.yaml").write_text(
        'version: "1.0"\npermissions:\n' + storage(("fs://state", "read"))
    )
    place = Place(tmp_path, ceiling=tmp_path / "ceiling.yaml")
    place.set_policy(KEEPS)
    assert not own(place).writable
    place = Place(tmp_path)
    place.set_policy(KEEPS, "tools: {forecast: {permissions: {}}}")
    assert place.grants().directories == ()


def test_a_ceiling_without_it_lets_nobody_be_asked_for_it(tmp_path: Path) -> None:
    (tmp_path / "ceiling.yaml").write_text('version: "1.0"\n')
    place = Place(tmp_path, ceiling=tmp_path / "ceiling.yaml")
    with pytest.raises(NotGrantableError):
        place.permissions.meaning(RULE)
    assert Place(tmp_path / "store").permissions.meaning(RULE).text == "fs://state"


def test_it_needs_no_workspace_and_is_not_the_workspaces_state(place: Place) -> None:
    (place.work / "state").mkdir()
    place.set_policy(KEEPS)
    assert own(place).path != str(place.work / "state")


def test_no_other_rule_reaches_what_any_component_keeps(place: Place, tmp_path: Path) -> None:
    place.set_policy(KEEPS)
    mine = own(place).path
    other = place.permissions.states.make(ComponentId("other"), None, None).path
    place.set_policy("")
    (place.work / "into").symlink_to(other)
    written = tmp_path / "written"  # a folder in which the state lies, in the words of a link
    written.symlink_to(place.store.root)
    for path in (mine, other, os.path.dirname(mine), place.work / "into", written / "state"):  # noqa: PTH120 - a string
        for uri in (f"fs://{path}", f"fs://{path}/**"):
            with pytest.raises(PolicyError, match="overlaps"):
                place.permissions.grant(ID, rule_from_words("storage", uri, ["read"]), "always")
    assert place.grants().directories == ()


def test_a_state_outside_of_the_store_is_kept_out_of_every_grant_as_well(tmp_path: Path) -> None:
    place = Place(tmp_path, state_dir=tmp_path / "elsewhere" / "state")
    place.set_policy(KEEPS)
    assert own(place).path == os.path.realpath(tmp_path / "elsewhere/state/weather")
    for path in ("elsewhere", "elsewhere/state", "elsewhere/state/weather"):
        rule = rule_from_words("storage", f"fs://{tmp_path / path}", ["read"])
        with pytest.raises(PolicyError, match="overlaps the files of components"):
            place.permissions.grant(ID, rule, "always")


MOUNTED = """
import subprocess, sys
from pathlib import Path
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.authority.directories import find

root = Path(sys.argv[1])
(root / "view").mkdir()
subprocess.run(["mount", "--bind", sys.argv[2], root / "view"], check=True)
given = settings.load({"component_dir": root / "store"}, {"HOME": str(root)})
print(type(find(str(root / "view"), granter(given).keep_out)).__name__)
"""


def test_a_mount_of_it_under_another_name_is_refused(place: Place, tmp_path: Path) -> None:
    place.set_policy(KEEPS)
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--map-root-user", "--mount"]
    told = subprocess.run(  # noqa: S603 - our own words
        ["unshare", *namespaces, sys.executable, "-c", MOUNTED, tmp_path, own(place).path],  # noqa: S607 - of the system
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told == "Forbidden\n"


def test_what_is_too_much_holds_back_the_calls_that_may_write(place: Place) -> None:
    place.set_policy(KEEPS)
    folder = state_folder(place)
    own(place)
    (folder / "file").write_bytes(b"x" * (1 << 20))
    assert own(place).writable
    (folder / "one more").write_bytes(b"")
    with pytest.raises(StateUnusableError, match="more than --max-state 1Mi") as caught:
        place.grants()
    assert caught.value.words == ("component", "state", ID, "reset")
    place.set_policy(storage(("fs://state", "read")))  # what only reads makes it no more
    assert not own(place).writable


def test_what_can_not_be_counted_holds_back_the_calls_that_may_write(place: Place) -> None:
    place.set_policy(KEEPS)
    own(place)
    deep = state_folder(place)
    for _ in range(70):
        deep /= "d"
    deep.mkdir(parents=True)
    with pytest.raises(StateUnusableError, match="deep"):
        place.grants()


def test_a_part_of_it_is_no_right() -> None:
    for uri in ("fs://state/part", "fs://state/*", "fs://state/**/part"):
        with pytest.raises(PolicyError, match="granted whole"):
            rule_from_words("storage", uri, ["read"])


# --- whose it is, below root ----------------------------------------------------------------


def owned(place: Place, name: str, user: int) -> tuple[str, str]:
    (place.work / name).mkdir()
    os.chown(place.work / name, user, user)
    return f"fs://{name}", "read"


@ROOT
def test_a_component_without_other_folders_is_the_user_that_its_folder_was_given(
    place: Place,
) -> None:
    place.set_policy(KEEPS)
    user = place.grants().uid
    assert user == state_folder(place).stat().st_uid
    assert place.grants().uid == user


@ROOT
def test_with_a_folder_of_somebody_its_own_is_made_for_that_user(place: Place) -> None:
    place.set_policy(storage(owned(place, "notes", 4321), ("fs://state", "read, write")))
    assert place.grants().uid == state_folder(place).stat().st_uid == 4321


@ROOT
def test_run_as_decides_whose_it_is_and_files_of_another_user_hold_calls_back(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.set_policy(KEEPS)
    place.grants()
    place = Place(tmp_path, run_as=4321)
    with pytest.raises(StateUnusableError, match="run as user 4321"):
        place.grants()
    place.permissions.states.set_aside(ID)
    assert place.grants().uid == state_folder(place).stat().st_uid == 4321


@ROOT
def test_a_folder_of_somebody_else_beside_what_was_kept_before_holds_calls_back(
    place: Place,
) -> None:
    place.set_policy(KEEPS)
    place.grants()
    place.set_policy(storage(owned(place, "notes", 4321), ("fs://state", "read, write")))
    with pytest.raises(StateUnusableError, match="would run as user 4321"):
        place.grants()
