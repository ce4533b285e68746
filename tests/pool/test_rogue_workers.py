"""Workers that were broken out of: each deed ends the call with its cause, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest

from support import rogue
from support.pools import component, directory, granting, limited, settings_for
from support.processes import descendants, named, open_descriptors, until
from wassette_supervisor.errors import (
    CallError,
    LimitExceededError,
    WorkerDiedError,
    WorkerViolatedError,
)
from wassette_supervisor.pool import worker
from wassette_supervisor.pool.pool import open_pool
from wassette_worker.sandbox import namespaces

if TYPE_CHECKING:
    from pathlib import Path

VIOLATIONS = {
    "omits-a-step": "no-new-privileges",
    "grants-itself-more": "not a frame of this direction",
    "asks-for-a-second-grant": "Echoed while given its grants",
    "echoes-something-else": "echo",
    "sends-descriptors": "descriptors",
    "is-ready-before-it-started": "Instantiated while starting",
    "closes-and-goes-on": "closed its socket",
    "claims-4-gib": "4294967295 bytes",
    "claims-nothing": "0 bytes",
    "speaks-the-other-direction": "not a frame of this direction",
    "starts-again": "Started while running",
    "sends-a-million-values": "values",
    "sends-no-msgpack": "msgpack never uses",
    "sends-bad-utf8": "not a frame of this direction",
    "answers-no-json": "no JSON",
    "answers-a-list": "no JSON",
    "asks-at-once": "HttpRequested that nobody waits for",
    "asks-after-it-was-refused-for-good": "refused for good",
    "answers-too-much": "bytes",
}
DEATHS = {
    "ends-before-its-first-word": "exit status 0",
    "ends-without-an-answer": "exit status 0",
    "ends-with-status-3": "exit status 3",
}
LIMITS = {
    "is-silent": "wall_time",
    "sends-half-a-frame-and-waits": "wall_time",
    "reads-no-run": "wall_time",
    "answers-a-deep-value": "result_nodes",
    "answers-too-many-values": "result_nodes",
}


async def error_of(deed: str, folder: Path) -> CallError:
    add = await component("add")
    before = len(open_descriptors())
    async with open_pool(settings_for(), rogue.program(folder, deed)) as pool:
        with anyio.fail_after(20), pytest.raises(CallError) as caught:
            await add.call(pool, "add", '{"a": 2, "b": 3}', limited(wall_time_ms=500))
    await until(lambda: not descendants(), "no process left")
    assert len(open_descriptors()) <= before + 4  # the event loop's own
    return caught.value


@pytest.mark.parametrize(("deed", "cause"), VIOLATIONS.items(), ids=VIOLATIONS)
async def test_a_worker_that_misbehaves_is_killed_and_its_deed_is_named(
    deed: str, cause: str, tmp_path: Path
) -> None:
    error = await error_of(deed, tmp_path)
    assert isinstance(error, WorkerViolatedError)
    assert cause in error.detail


@pytest.mark.parametrize(("deed", "cause"), DEATHS.items(), ids=DEATHS)
async def test_a_worker_that_ends_without_an_answer_is_told_by_its_status(
    deed: str, cause: str, tmp_path: Path
) -> None:
    error = await error_of(deed, tmp_path)
    assert isinstance(error, WorkerDiedError)
    assert cause in str(error)
    assert "no answer" in str(error)


@pytest.mark.parametrize(("deed", "limit"), LIMITS.items(), ids=LIMITS)
async def test_a_worker_beyond_a_limit_that_the_supervisor_keeps_is_told_the_limit(
    deed: str, limit: str, tmp_path: Path
) -> None:
    error = await error_of(deed, tmp_path)
    assert isinstance(error, LimitExceededError)
    assert error.limit == limit


async def test_a_worker_that_keeps_capabilities_where_it_had_some_is_killed(tmp_path: Path) -> None:
    if os.geteuid() != 0 and namespaces.refusal():
        pytest.skip("NOT RUN: there are no capabilities to keep without root or namespaces")
    error = await error_of("keeps-its-capabilities", tmp_path)
    assert isinstance(error, WorkerViolatedError)
    assert "capabilities" in error.detail


async def test_a_worker_that_does_not_read_its_grant_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HANDSHAKE_S", 0.5)
    add = await component("add")
    before = len(open_descriptors())
    large = granting(directory(tmp_path, "d"), LARGE="v" * 1_000_000)
    async with open_pool(settings_for(), rogue.program(tmp_path, "reads-no-grant")) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerDiedError):
            await add.call(pool, "add", '{"a": 2, "b": 3}', large)
        await until(lambda: not named("wassette-worker"), "no worker left")
    assert len(open_descriptors()) <= before + 4
    assert str(tmp_path) not in open_descriptors().values()


SINGLE = {"keeps-its-capabilities", "reads-no-grant"}


def test_every_deed_has_its_test() -> None:
    assert {*VIOLATIONS, *DEATHS, *LIMITS, *SINGLE} == {*rogue.HANDSHAKES, *rogue.ANSWERS}
