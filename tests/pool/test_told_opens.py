"""What a guest opens is told before it has it, and waits for its record; however many there are."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import rogue
from support.pools import component, directory, granting, judged, limited, settings_for
from support.processes import descendants, until
from wassette_protocol.frames import ComponentId, Digest
from wassette_protocol.patterns import Pattern
from wassette_supervisor.audit.entry import Entry
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import entries
from wassette_supervisor.components.calls import Call
from wassette_supervisor.errors import (
    AuditError,
    LimitExceededError,
    WorkerDiedError,
    WorkerViolatedError,
)
from wassette_supervisor.pool.grants import GrantError
from wassette_supervisor.pool.opened import OpenedFile
from wassette_supervisor.pool.pool import Pool, open_pool
from wassette_supervisor.pool.worker import GRACE_S
from wassette_supervisor.store.record import Record

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.pool.grants import Grants

ENV = Pattern((b"**", b".env"), below=True)


class Records:
    """Opens as they are told; from `refuses_from` on none can be recorded."""

    def __init__(self, refuses_from: int | None = None) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.ahead = 0
        self._refuses_from = refuses_from

    def opened(self, file: OpenedFile, *, ahead: bool) -> None:
        if len(self.told) == self._refuses_from:
            raise AuditError("the disk is full")
        self.ahead += ahead
        self.told.append((file.path, ", ".join(file.access), file.outcome))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    for name, text in {"file": "inside", ".env": "denied", "sub/other": "below"}.items():
        (made / name).write_text(text)
    (made / "link").symlink_to("sub/other")
    (made / "round").symlink_to("round")
    (made / "out").symlink_to("/etc/passwd")
    return made


def audited(folder: Path) -> Grants:
    return replace(granting(judged(directory(folder, "d", writable=True), ENV)), audited=True)


async def does(
    pool: Pool, what: str, grants: Grants, records: Records | None, **arguments: object
) -> Any:
    export = f"test:granted/attempts@0.1.0#{what}"
    given = json.dumps({"directory": "d", **arguments})
    guest = await component("granted")
    outcome = await guest.call(pool, export, given, grants, records)
    return outcome.value.get("result")


async def test_each_open_is_told_with_what_it_led_to_and_what_came_of_it(
    folder: Path, isolation: str
) -> None:
    records = Records()
    async with open_pool(settings_for(isolation)) as pool:
        grants = audited(folder)
        for path in ("file", "link", ".env", "sub/../.env", "none", "sub/none/deeper", "round"):
            await does(pool, "read", grants, records, path=path)
        for path in ("out", "/etc/passwd", "../up", "sub", ""):
            await does(pool, "read", grants, records, path=path)
        await does(pool, "names", grants, records, path="sub")
        await does(pool, "write", grants, records, path="new", text="x")
        await does(pool, "write", grants, records, path=".env", text="x")
    assert records.told == [
        ("file", "read", "opened"),
        ("sub/other", "read", "opened"),
        (".env", "read", "access"),
        (".env", "read", "access"),
        ("none", "read", "no-entry"),
        ("sub/none", "read", "no-entry"),
        ("round", "read", "loop"),
        ("out", "read", "not-permitted"),
        ("", "read", "not-permitted"),
        ("", "read", "not-permitted"),
        ("sub", "read", "opened"),
        ("", "read", "no-entry"),
        ("sub", "read", "opened"),
        ("new", "write", "opened"),
        (".env", "write", "access"),
    ]
    assert records.ahead == 0


async def test_a_thousand_opens_are_a_thousand_records(folder: Path) -> None:
    records = Records()
    async with open_pool(settings_for()) as pool:
        grants = audited(folder)
        assert await does(pool, "open-often", grants, records, path="file", times=1000) == 1000
        assert await does(pool, "open-often", grants, records, path=".env", times=500) == 0
    assert records.told == [("file", "read", "opened")] * 1000 + [(".env", "read", "access")] * 500


async def test_a_guest_is_given_nothing_whose_record_can_not_be_written(folder: Path) -> None:
    async with open_pool(settings_for()) as pool:
        with pytest.raises(AuditError, match="disk is full"):
            await does(pool, "read", audited(folder), Records(refuses_from=0), path="file")
        many = Records(refuses_from=7)
        with pytest.raises(AuditError, match="disk is full"):
            await does(pool, "open-often", audited(folder), many, path="file", times=1000)
        assert len(many.told) == 7
        # Not the component's fault: it is called as before.
        assert await does(pool, "read", audited(folder), Records(), path="file") == "inside"


class Watching(Records):
    """Looks, while it records an open to write, whether anything is written meanwhile."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.seen = b""
        self._file = file

    def opened(self, file: OpenedFile, *, ahead: bool) -> None:
        end = time.monotonic() + 0.3
        while not self.seen and time.monotonic() < end:
            self.seen = self._file.read_bytes()
        super().opened(file, ahead=ahead)


async def test_a_guest_does_nothing_with_a_file_before_its_open_is_on_record(
    folder: Path,
) -> None:
    records = Watching(folder / "new")
    async with open_pool(settings_for()) as pool:
        assert await does(pool, "write", audited(folder), records, path="new", text="x") is None
    assert records.seen == b""
    assert (folder / "new").read_bytes() == b"x"


async def test_nothing_is_told_where_nobody_asked(folder: Path) -> None:
    records = Records()
    async with open_pool(settings_for()) as pool:
        grants = replace(audited(folder), audited=False)
        assert await does(pool, "read", grants, records, path="file") == "inside"
    assert records.told == []


async def test_a_call_that_opens_for_too_long_ends_in_time_and_others_go_on(folder: Path) -> None:
    records = Records()
    async with open_pool(settings_for()) as pool, anyio.create_task_group() as tasks:
        grants = replace(audited(folder), limits=limited(wall_time_ms=1500).limits)
        add = await component("add")

        answered = 0

        async def others() -> None:
            nonlocal answered
            while True:
                assert (await add.call(pool, "add", '{"a": 2, "b": 3}')).value == {"result": 5}
                answered += 1

        tasks.start_soon(others)
        began = time.monotonic()
        with pytest.raises(LimitExceededError, match="wall_time"):
            await does(pool, "open-often", grants, records, path="none", times=100_000_000)
        assert time.monotonic() - began < 1.5 + GRACE_S + 5
        assert answered > 5
        tasks.cancel_scope.cancel()


def test_opens_are_recorded_only_where_each_path_is_judged(folder: Path) -> None:
    with pytest.raises(GrantError, match="each path is judged"):
        replace(granting(directory(folder, "d")), audited=True)


# --- workers that were broken out of --------------------------------------------------------

VIOLATIONS = {
    "tells-opens-at-once": "nobody waits for",
    "tells-of-another-directory": "no guest was given",
    "tells-of-a-path-that-leads-up": "no guest was given",
    "tells-a-long-path": "not a frame",
    "tells-an-odd-outcome": "not a frame",
}


@pytest.mark.parametrize(("deed", "cause"), VIOLATIONS.items(), ids=VIOLATIONS)
async def test_a_worker_that_tells_what_no_guard_tells_is_killed(
    deed: str, cause: str, folder: Path, tmp_path: Path
) -> None:
    records, add = Records(), await component("add")
    async with open_pool(settings_for(), rogue.program(tmp_path, deed)) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerViolatedError, match=cause):
            await add.call(pool, "add", '{"a": 2, "b": 3}', audited(folder), records)
    await until(lambda: not descendants(), "no process left")
    assert len(records.told) <= 1


def test_every_deed_has_its_test() -> None:
    assert {*VIOLATIONS, "tells-opens-for-ever"} == {*rogue.OPENS}
    assert {"opens-at-its-start"} == {*rogue.OPENS_AHEAD}


async def test_what_is_opened_at_a_components_start_is_of_no_call(
    folder: Path, tmp_path: Path
) -> None:
    records, add = Records(), await component("add")
    async with open_pool(settings_for(), rogue.program(tmp_path, "opens-at-its-start")) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerDiedError):  # it knows no call
            await add.call(pool, "add", '{"a": 2, "b": 3}', audited(folder), records)
    assert records.told[0] == ("ahead", "read", "opened")
    assert records.ahead == len(records.told)


def test_an_open_of_no_call_has_neither_call_nor_tool_nor_client(
    folder: Path, tmp_path: Path
) -> None:
    made = Record(ComponentId("c"), "file:///c", Digest("a" * 64), 1, [], [], [])
    log = AuditLog(tmp_path / "audit")
    call = Call(log, made, "read", "a client")
    file = OpenedFile(directory(folder, "d"), "file", ("read",), "opened")
    for ahead in (True, False):
        call.opened(file, ahead=ahead)
    log.close()
    ahead_of_it, of_it = (each for each in entries(log.directory) if isinstance(each, Entry))
    assert ahead_of_it.detail is not None
    assert of_it.detail is not None
    assert (ahead_of_it.call, ahead_of_it.client, ahead_of_it.detail["tool"]) == (None, None, None)
    assert (of_it.call, of_it.client, of_it.detail["tool"]) == (call.id, "a client", "read")


async def test_an_open_that_nobody_asked_for_is_a_violation(tmp_path: Path) -> None:
    records, add = Records(), await component("add")
    async with open_pool(settings_for(), rogue.program(tmp_path, "tells-opens-for-ever")) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerViolatedError, match="nobody waits for"):
            await add.call(pool, "add", '{"a": 2, "b": 3}', limited(wall_time_ms=500), records)
    assert records.told == []


async def test_a_worker_that_tells_opens_for_ever_is_ended_at_its_time(
    folder: Path, tmp_path: Path
) -> None:
    records, add = Records(), await component("add")
    grants = replace(audited(folder), limits=limited(wall_time_ms=500).limits)
    async with open_pool(settings_for(), rogue.program(tmp_path, "tells-opens-for-ever")) as pool:
        with anyio.fail_after(20), pytest.raises(LimitExceededError, match="wall_time"):
            await add.call(pool, "add", '{"a": 2, "b": 3}', grants, records)
    assert len(records.told) > 10
