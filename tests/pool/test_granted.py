"""What a guest finds of what was granted: exactly that, whatever the calls before it had."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support.pools import (
    NOTHING,
    Component,
    component,
    directory,
    granting,
    settings_for,
)
from support.processes import Seen, named, open_descriptors, running_worker, until
from wassette_protocol.capabilities import Limits
from wassette_supervisor.errors import TrappedError
from wassette_supervisor.pool.grants import DirectoryChangedError, Grants
from wassette_supervisor.pool.pool import Pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OUTSIDE = "not-permitted"


class Guest:
    """The component that tries, in a pool of its own."""

    def __init__(self, pool: Pool, compiled: Component) -> None:
        self.pool = pool
        self.compiled = compiled

    async def ask(self, what: str, grants: Grants, **arguments: str) -> Any:
        """What it answers; the name of the host's error if its own result was that."""
        export = f"test:granted/attempts@0.1.0#{what}"
        outcome = await self.compiled.call(self.pool, export, json.dumps(arguments), grants)
        return outcome.value.get("result")

    async def tries(self, what: str, grants: Grants, *arguments: str) -> Any:
        """The same, in the directory called `d`."""
        names = {"write": ["path", "text"], "rename": ["path", "to"], "link": ["path", "target"]}
        given = dict(zip(names.get(what, ["path"]), arguments, strict=True))
        return await self.ask(what, grants, directory="d", **given)


@pytest.fixture
async def guest(isolation: str) -> AsyncIterator[Guest]:
    compiled = await component("granted")
    async with open_pool(settings_for(isolation)) as pool:
        yield Guest(pool, compiled)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file and a directory in it, and things beside and links to them."""
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "file").write_text("inside")
    (tmp_path / "beside").write_text("outside")
    (made / "out").symlink_to(tmp_path / "beside")
    (made / "up").symlink_to("../beside")
    return made


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def replaced(folder: Path) -> Path:
    """Another directory in its place, with another file; return where it is now."""
    moved = folder.rename(folder.parent / "moved")
    folder.mkdir()
    (folder / "file").write_text("new")
    return moved


def swapped(folder: Path) -> Path:
    """A link to it in its place; return where it is now."""
    moved = folder.rename(folder.parent / "moved")
    folder.symlink_to(moved)
    return moved


async def spare_stands(guest: Guest, grants: Grants) -> None:
    """A worker with these grants waits for the next call."""
    held = guest.pool._templates._held.values
    await until(
        lambda: any(one.spare is not None and one.spare.grants == grants for one in held()),
        "a spare",
    )


async def only_worker() -> Seen:
    """The one that is left when the worker of the last call has ended."""
    await until(lambda: len(named("wassette-worker")) == 1, "one worker")
    return named("wassette-worker")[0]


# --- variables ------------------------------------------------------------------------------


async def test_a_guest_has_exactly_the_granted_variables_and_no_argument(guest: Guest) -> None:
    grants = granting(TZ="Europe/Berlin", EMPTY="", UMLAUT="ä=ö")
    expected = [["TZ", "Europe/Berlin"], ["EMPTY", ""], ["UMLAUT", "ä=ö"]]
    assert await guest.ask("variables", grants) == expected
    assert await guest.ask("arguments", grants) == []


async def test_wasi_config_has_exactly_the_granted_variables(guest: Guest) -> None:
    grants = granting(TZ="Europe/Berlin", EMPTY="")
    assert await guest.ask("settings", grants) == [["TZ", "Europe/Berlin"], ["EMPTY", ""]]
    assert await guest.ask("setting", grants, key="TZ") == "Europe/Berlin"
    assert await guest.ask("setting", grants, key="EMPTY") == ""
    assert await guest.ask("setting", grants, key="PATH") is None


async def test_without_a_grant_a_guest_has_nothing(guest: Guest) -> None:
    for what in ("variables", "arguments", "settings", "directories"):
        assert await guest.ask(what, NOTHING) == [], what


async def test_as_many_variables_as_can_be_granted_arrive(guest: Guest) -> None:
    environment = tuple((f"K{number}", "v" * 4000) for number in range(256))
    grants = Grants(Limits(), environment)
    assert await guest.ask("variables", grants) == [list(pair) for pair in environment]


# --- directories ----------------------------------------------------------------------------


async def test_a_directory_to_read_can_be_read_and_listed_and_nothing_else(
    guest: Guest, folder: Path
) -> None:
    grants = granting(directory(folder, "d"))
    assert await guest.ask("directories", grants) == ["d"]
    assert await guest.tries("read", grants, "file") == "inside"
    assert sorted(await guest.tries("names", grants, ".")) == ["file", "out", "sub", "up"]
    for attempt in (
        ("write", "new", "x"),
        ("write", "file", "x"),
        ("make-directory", "made"),
        ("remove", "file"),
        ("remove-directory", "sub"),
        ("rename", "file", "moved"),
        ("link", "linked", "file"),
    ):
        assert await guest.tries(attempt[0], grants, *attempt[1:]) == OUTSIDE, attempt
    assert entries(folder) == ["file", "out", "sub", "up"]
    assert (folder / "file").read_text() == "inside"


async def test_in_a_directory_to_write_a_guest_writes_creates_renames_and_removes(
    guest: Guest, folder: Path
) -> None:
    grants = granting(directory(folder, "d", writable=True))
    assert await guest.tries("write", grants, "sub/new", "text") is None
    assert (folder / "sub" / "new").read_text() == "text"
    assert (folder / "sub" / "new").stat().st_uid == os.geteuid()
    assert await guest.tries("write", grants, "file", "changed") is None
    assert await guest.tries("read", grants, "file") == "changed"
    assert await guest.tries("make-directory", grants, "made") is None
    assert await guest.tries("rename", grants, "file", "made/moved") is None
    assert await guest.tries("link", grants, "linked", "made/moved") is None
    assert await guest.tries("read", grants, "linked") == "changed"
    assert await guest.tries("remove", grants, "made/moved") is None
    assert await guest.tries("remove-directory", grants, "made") is None
    assert entries(folder) == ["linked", "out", "sub", "up"]


@pytest.mark.parametrize("writable", [False, True], ids=["to read", "to write"])
async def test_nothing_outside_of_a_directory_is_reached(
    guest: Guest, folder: Path, *, writable: bool
) -> None:
    grants = granting(directory(folder, "d", writable=writable))
    outside = str(folder.parent / "beside")
    for path in ("../beside", "sub/../../beside", outside, "out", "up", "/etc/passwd"):
        assert await guest.tries("read", grants, path) == OUTSIDE, path
        assert await guest.tries("write", grants, path, "x") == OUTSIDE, path
    for path in ("..", "/", "sub/../.."):
        assert await guest.tries("names", grants, path) == OUTSIDE, path
    assert await guest.tries("rename", grants, "file", "../stolen") == OUTSIDE
    assert await guest.tries("link", grants, "linked", outside) == OUTSIDE
    assert (folder.parent / "beside").read_text() == "outside"
    assert entries(folder.parent) == ["beside", "folder"]


async def test_without_a_grant_there_is_no_directory_to_ask(guest: Guest) -> None:
    with pytest.raises(TrappedError, match="handle"):
        await guest.tries("read", NOTHING, "file")


async def test_each_of_many_directories_has_its_own_right(guest: Guest, tmp_path: Path) -> None:
    made = []
    for number in range(64):
        (tmp_path / f"{number}").mkdir()
        name = "d" if number == 63 else f"d{number}"
        made.append(directory(tmp_path / f"{number}", name, writable=number == 63))
    grants = granting(*made)
    assert await guest.ask("directories", grants) == [one.guest for one in made]
    assert await guest.tries("write", grants, "new", "x") is None
    denied = await guest.ask("write", grants, directory="d62", path="new", text="x")
    assert denied == OUTSIDE


# --- one call after another -----------------------------------------------------------------


async def test_no_call_sees_what_the_one_before_was_granted(guest: Guest, folder: Path) -> None:
    granted: list[tuple[Grants, list[list[str]], list[str]]] = [
        (granting(A="1"), [["A", "1"]], []),
        (granting(A="2"), [["A", "2"]], []),
        (granting(directory(folder, "d"), A="2"), [["A", "2"]], ["d"]),
        (granting(directory(folder, "e"), A="2"), [["A", "2"]], ["e"]),
        (NOTHING, [], []),
    ]
    for grants, variables, directories in [*granted, granted[0]]:
        for _ in range(2):  # the second has the spare of the first
            assert await guest.ask("variables", grants) == variables
            await spare_stands(guest, grants)
            assert await guest.ask("directories", grants) == directories


async def test_a_changed_value_is_in_force_at_the_next_call_whatever_spare_waits(
    guest: Guest,
) -> None:
    assert await guest.ask("variables", granting(KEY="old")) == [["KEY", "old"]]
    await spare_stands(guest, granting(KEY="old"))
    stale = await only_worker()
    assert await guest.ask("variables", granting(KEY="new")) == [["KEY", "new"]]
    await until(
        lambda: stale.pid not in {seen.pid for seen in named("wassette-worker")},
        "the spare of the old value has ended",
    )


@pytest.mark.parametrize("changed", [False, True], ids=["the same grants", "other grants"])
async def test_a_spare_is_the_worker_of_a_call_with_the_same_grants_alone(
    guest: Guest, *, changed: bool
) -> None:
    sleep = await component("sleep")
    await sleep.call(guest.pool, "sleep-ms", '{"milliseconds": 1}', granting(KEY="old"))
    await spare_stands(guest, granting(KEY="old"))
    spare = await only_worker()
    async with anyio.create_task_group() as tasks:
        grants = granting(KEY="new" if changed else "old")
        tasks.start_soon(sleep.call, guest.pool, "sleep-ms", '{"milliseconds": 9000}', grants)
        worker = await running_worker()
        assert (worker.pid != spare.pid) is changed
        tasks.cancel_scope.cancel()


async def test_no_call_finds_the_state_that_another_left(guest: Guest) -> None:
    for _ in range(3):
        assert await guest.ask("count", NOTHING) == 1
        await spare_stands(guest, NOTHING)


async def test_a_directory_that_was_replaced_between_two_calls_is_used_anew(
    guest: Guest, folder: Path
) -> None:
    judged = granting(directory(folder, "d"))
    assert await guest.tries("read", judged, "file") == "inside"
    await spare_stands(guest, judged)
    replaced(folder)
    assert await guest.tries("read", granting(directory(folder, "d")), "file") == "new"


async def test_a_directory_swapped_for_a_link_after_the_decision_refuses_that_call_alone(
    guest: Guest, folder: Path
) -> None:
    judged = granting(directory(folder, "d"))
    moved = swapped(folder)
    before = len(open_descriptors())
    with pytest.raises(DirectoryChangedError, match="call again"):
        await guest.tries("read", judged, "file")
    await until(lambda: not named("wassette-worker"), "no worker is left")
    assert len(open_descriptors()) <= before + 8  # the zygote's and the template's
    assert await guest.tries("read", granting(directory(moved, "d")), "file") == "inside"


async def test_many_calls_with_directories_leave_no_descriptor(
    guest: Guest, folder: Path, isolation: str
) -> None:
    grants = granting(directory(folder, "d", writable=True), directory(folder.parent, "e"))
    await guest.tries("read", grants, "file")
    before = len(open_descriptors())
    for number in range(40 if isolation == "fork" else 6):
        mixed = granting(*grants.directories, N=str(number // 2))
        assert await guest.tries("write", mixed, "file", str(number)) is None
    await until(lambda: len(open_descriptors()) <= before + 8, "descriptors given back")
    assert str(folder) not in open_descriptors().values()


# --- processes ------------------------------------------------------------------------------


@pytest.fixture
async def spinning(isolation: str, folder: Path) -> AsyncIterator[Seen]:
    """A worker in the middle of a call, with a directory to write and a secret."""
    spin = await component("spin")
    given = granting(directory(folder, "d", writable=True), SECRET=_SECRET)
    limits = Limits(fuel=10**15, wall_time_ms=20_000)
    grants = Grants(limits, given.environment, given.directories, given.uid)
    async with open_pool(settings_for(isolation)) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(spin.call, pool, "spin", "{}", grants)
        yield await running_worker()
        tasks.cancel_scope.cancel()


_SECRET = "only-the-worker-knows-" + "fb1c09d2"


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can look")
async def test_a_worker_holds_one_descriptor_of_each_directory_beside_its_own(
    spinning: Seen, folder: Path
) -> None:
    held = list(spinning.descriptors().values())
    assert held.count(str(folder)) == 1
    others = [what for what in held if what != str(folder)]
    own = ("pipe:", "socket:", "/dev/null", "/proc/", "/memfd:artefact")
    assert all(what.startswith(own) for what in others), others


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can look")
async def test_a_value_is_in_the_memory_of_workers_and_of_no_other_process_below(
    spinning: Seen,
) -> None:
    assert _SECRET.encode() in memory_of(spinning)
    parents = [
        seen
        for name in ("wassette-zygote", "wassette-templ", "wassette-init")
        for seen in named(name)
    ]
    assert len(parents) == 2
    for parent in parents:
        assert _SECRET.encode() not in memory_of(parent), parent


def memory_of(seen: Seen) -> bytes:
    """All that a process could have written."""
    content = []
    with open(f"/proc/{seen.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - unbuffered
        for line in seen.read("maps").splitlines():
            span, rights = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if rights.startswith("rw") and end - start < 1 << 28:
                content.append(os.pread(memory.fileno(), end - start, start))
    return b"".join(content)


async def test_a_value_is_in_no_log(
    guest: Guest, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    judged = granting(directory(folder, "d"), SECRET=_SECRET)
    await guest.tries("read", judged, "file")
    with pytest.raises(TrappedError):
        await guest.ask("read", judged, directory="none", path="file")
    await spare_stands(guest, judged)
    replaced(folder)
    os.kill((await only_worker()).pid, 9)
    held = guest.pool._templates._held.values
    await until(lambda: all(one.spare is None for one in held()), "the spare is gone")
    with pytest.raises(DirectoryChangedError):
        await guest.tries("read", judged, "file")
    captured = capfd.readouterr()
    assert _SECRET not in captured.out + captured.err


@pytest.mark.timeout(300)  # a component of 18 MB is compiled
async def test_a_language_runtime_finds_its_variables_and_its_files(folder: Path) -> None:
    python = await component("python")
    grants = granting(directory(folder, "/desk"), TZ="UTC")
    async with open_pool(settings_for()) as pool:

        async def ask(export: str, **arguments: str) -> Any:
            return (await python.call(pool, export, json.dumps(arguments), grants)).value

        assert await ask("fetch-env", name="TZ") == {"result": "UTC"}
        for absent in ("PATH", "HOME"):
            assert await ask("fetch-env", name=absent) == {"result": None}
        assert await ask("read-file", path="/desk/file") == {"result": "inside"}
        assert "Operation not permitted" in str(await ask("read-file", path="/desk/../beside"))
