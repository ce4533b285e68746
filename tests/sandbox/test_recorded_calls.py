"""Every row of the filters is there because an honest process needs it: a recorded run used it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.guests import guest_bytes
from support.pools import NOTHING, compile_with, directory, granting, judged, settings_for
from support.recorder import Use, recording
from wassette_supervisor.errors import TrappedError
from wassette_supervisor.pool.pool import open_pool
from wassette_worker.sandbox.profiles import WIDENING, Profile, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.pool import Pool


class Run(NamedTuple):
    """Guests that have this profile, and calls of them that between them use all of it."""

    profile: Profile
    calls: tuple[tuple[str, str, dict[str, object]], ...]  # guest, export, arguments


GRANTED = "test:granted/attempts@0.1.0#"
D: dict[str, object] = {"directory": "d"}
RUNS = (
    Run(
        Profile.COMPUTE,
        (
            ("add", "add", {"a": 1, "b": 2}),
            ("random_bytes", "random-u64", {}),
            ("traps", "trap-unreachable", {}),
            ("ctiny", "test:ctiny/math@0.1.0#upper", {"text": "a" * 1_000_000}),
        ),
    ),
    Run(
        Profile.RUNTIME,
        (("sleep", "sleep-ms", {"milliseconds": 20}), ("say", "say", {"n": 10_000})),
    ),
    Run(
        Profile.FILES,
        (
            ("granted", f"{GRANTED}read", D | {"path": "file"}),
            ("granted", f"{GRANTED}names", D | {"path": "."}),
            ("granted", f"{GRANTED}the-rest", D | {"path": "file", "writable": False}),
        ),
    ),
    Run(
        Profile.CHANGES,
        (
            ("granted", f"{GRANTED}read", D | {"path": "file"}),
            ("granted", f"{GRANTED}names", D | {"path": "."}),
            ("granted", f"{GRANTED}write", D | {"path": "new", "text": "text"}),
            ("granted", f"{GRANTED}make-directory", D | {"path": "made"}),
            ("granted", f"{GRANTED}rename", D | {"path": "new", "to": "made/new"}),
            ("granted", f"{GRANTED}remove", D | {"path": "made/new"}),
            ("granted", f"{GRANTED}remove-directory", D | {"path": "made"}),
            ("granted", f"{GRANTED}the-rest", D | {"path": "file", "writable": True}),
        ),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "file").write_text("inside")
    (made / "link").symlink_to("file")
    return made


def grants_for(profile: Profile, folder: Path) -> list[Grants]:
    """With directories: by the engine alone, and with each path judged."""
    if profile not in Profile.FILES | Profile.CHANGES:
        return [NOTHING]
    writable = profile is Profile.CHANGES
    given = directory(folder, "d", writable=writable)
    size = 1 << 20 if writable else None
    return [replace(granting(each), file_size=size) for each in (given, judged(given))]


async def call(
    pool: Pool, component: Component, export: str, arguments: str, grants: Grants
) -> None:
    try:
        await component.call(pool, export, arguments, grants)
    except TrappedError:
        assert export == "trap-unreachable"


async def carry_out(run: Run, pool: Pool, folder: Path, compiled: dict[str, Component]) -> None:
    for grants in grants_for(run.profile, folder):
        for guest, export, arguments in run.calls:
            if guest not in compiled:
                compiled[guest] = await compile_with(pool, guest_bytes(guest))
            await call(pool, compiled[guest], export, json.dumps(arguments), grants)
        for guest, _, _ in run.calls:  # no spare is left: it would be no worker of the next profile
            await pool.stop(compiled[guest].id, "it is the next one's turn")


@pytest.mark.timeout(240)  # each call waits until it is recorded
async def test_each_row_of_a_filter_was_used_by_an_honest_process(folder: Path) -> None:
    compiled: dict[str, Component] = {}
    with recording() as recorder:
        # What a fresh interpreter does before its filter is long, and after it the same.
        async with open_pool(settings_for("fork"), recorder.program) as pool:
            await pool.warm()
            for run in RUNS:
                recorder.expect(run.profile)
                await carry_out(run, pool, folder, compiled)
            used, without_row = recorder.report()
    assert without_row == []
    unused = [use for use in all_uses() if not is_used(use, used)]
    assert sorted(f"{use.profile.name} {use.row.call} {use.row.tests}" for use in unused) == []


def all_uses() -> list[Use]:
    # The broker is recorded elsewhere. A worker with a network has a listener of its own, and none
    # can be beside it: see tests/pool/test_network_rows.py.
    elsewhere = Profile.BROKER | Profile.NETWORK
    recorded = [profile for profile in Profile if profile not in elsewhere]
    return [Use(row, profile) for profile in recorded for row in rows_of(profile) if not row.idle]


def is_used(wanted: Use, used: set[Use]) -> bool:
    """By a process of this profile, or of one that may do less."""
    wider = WIDENING[: WIDENING.index(wanted.profile) + 1] if wanted.profile in WIDENING else ()
    return any(Use(wanted.row, profile) in used for profile in {wanted.profile, *wider})
