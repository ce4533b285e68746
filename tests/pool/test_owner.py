"""Below a supervisor of root, a worker with directories is their owner, and no more than that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import anyio
import pytest

from support.pools import component, directory, granting, settings_for
from support.processes import Seen, namespace_of, running_worker
from wassette_protocol.capabilities import Limits
from wassette_supervisor.errors import IsolationUnavailableError
from wassette_supervisor.pool.grants import Grants
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
# One that no machine has, and the one that most granted trees of root belong to.
OWNERS = {"an owner": 0x6FFF_1234, "root": 0}


@pytest.fixture(params=OWNERS)
def owner(request: pytest.FixtureRequest) -> int:
    return OWNERS[str(request.param)]


@pytest.fixture
def owned(tmp_path: Path, owner: int) -> Path:
    """A directory of the owner's, closed to others, with somebody else's secret in it."""
    folder = tmp_path / "owned"
    folder.mkdir(mode=0o700)
    secret = folder / "secret"
    secret.write_text("of another")
    secret.chmod(0o600)
    os.chown(secret, 4321, 4321)
    os.chown(folder, owner, owner)
    return folder


@pytest.fixture
async def spinning(isolation: str, owned: Path) -> AsyncIterator[Seen]:
    """A worker of the owner's in the middle of a call."""
    spin = await component("spin")
    given = granting(directory(owned, "d", writable=True))
    grants = Grants(Limits(fuel=10**15), (), given.directories, given.uid)
    async with open_pool(settings_for(isolation)) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(spin.call, pool, "spin", "{}", grants)
        yield await running_worker()
        tasks.cancel_scope.cancel()


@ROOT
async def test_a_worker_is_the_owner_of_its_directories_and_has_nothing_else_of_root(
    spinning: Seen, owner: int
) -> None:
    assert {int(word) for word in spinning.status("Uid").split()} == {owner}
    assert spinning.status("Groups") == ""
    groups = {int(word) for word in spinning.status("Gid").split()}
    assert groups == {0} if owner == 0 else min(groups) >= 0x7000_0000
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(spinning.status(kind), 16) == 0, kind
    assert spinning.status("NoNewPrivs") == "1"
    assert spinning.owner_of("mem") == 0


@ROOT
async def test_the_namespaces_of_a_worker_know_its_owner_alone(
    spinning: Seen, owner: int, isolation: str
) -> None:
    for kind in ("user", "pid", "net", "ipc", "uts"):
        assert spinning.namespace(kind) != namespace_of(os.getpid(), kind), kind
    maps = [line.split() for line in spinning.read("uid_map").splitlines()]
    # A fresh interpreter is root of its namespace until it has read its library.
    ids = {owner} if isolation == "fork" else {0, owner}
    assert maps == [[str(number), str(number), "1"] for number in sorted(ids)]


@ROOT
async def test_what_a_guest_creates_is_its_owner_s_and_others_files_stay_closed(
    isolation: str, owned: Path, owner: int
) -> None:
    tested = await component("granted")
    grants = granting(directory(owned, "d", writable=True))
    async with open_pool(settings_for(isolation)) as pool:

        async def ask(what: str, **arguments: str) -> object:
            export = f"test:granted/attempts@0.1.0#{what}"
            given = json.dumps({"directory": "d", **arguments})
            return (await tested.call(pool, export, given, grants)).value.get("result")

        assert await ask("write", path="new", text="x") is None
        assert await ask("read", path="secret") == "access"
    assert (owned / "new").stat().st_uid == owner


@ROOT
async def test_calls_of_two_owners_have_two_users(isolation: str, tmp_path: Path) -> None:
    tested = await component("granted")
    async with open_pool(settings_for(isolation)) as pool:
        for owner in (0x6FFF_1234, 0x6FFF_1235, 0x6FFF_1234):
            folder = tmp_path / f"{owner}"
            make_owned(folder, owner)
            grants = granting(directory(folder, "d", writable=True))
            given = json.dumps({"directory": "d", "path": "new", "text": "x"})
            await tested.call(pool, "test:granted/attempts@0.1.0#write", given, grants)
            assert (folder / "new").stat().st_uid == owner


def make_owned(folder: Path, owner: int) -> None:
    folder.mkdir(exist_ok=True)
    os.chown(folder, owner, owner)


@pytest.mark.skipif(os.geteuid() == 0, reason="root becomes anybody")
async def test_an_ordinary_user_runs_nothing_as_somebody_else() -> None:
    add = await component("add")
    async with open_pool(settings_for()) as pool:
        with pytest.raises(IsolationUnavailableError, match="can become user 0"):
            await add.call(pool, "add", '{"a": 1, "b": 1}', Grants(Limits(), uid=0))
