"""Whose granted files are, and who the worker is that uses them: from the policy to the guest."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import served
from wassette_protocol.frames import ComponentId
from wassette_supervisor import settings
from wassette_supervisor.app import open_backend
from wassette_supervisor.components.calls import PolicyUnusableError
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wassette_supervisor.components.registry import Registry

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to somebody else")
ONE, OTHER = 0x6FFF_1234, 0x6FFF_1235  # users that no machine has
ID = ComponentId("granted")


@pytest.fixture(scope="session")
def granted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("whose") / "store", ["granted"])


@pytest.fixture
def store(granted_store: Path, tmp_path: Path) -> Path:
    return served.copy_of(granted_store, tmp_path / "store")


def make(folder: Path, owner: int | None = None, mode: int = 0o755) -> Path:
    folder.mkdir()
    if owner is not None:
        os.chown(folder, owner, owner)
    folder.chmod(mode)
    return folder


class Guest:
    """The component that tries, as a server of the store calls it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def grant(self, *folders: Path, access: str = "read,write") -> None:
        for folder in folders:
            rule = rule_from_words("storage", f"fs://{folder}", access.split(","))
            await self._registry.rights.grant(ID, rule, "always")

    async def ask(self, what: str, folder: Path, path: str, **arguments: str) -> Any:
        """What it answers; the name of the host's error if its own result was that."""
        given = {"directory": str(folder), "path": path, **arguments}
        with anyio.fail_after(30):
            return (await self._registry.call(what, given)).value.get("result")

    async def write(self, folder: Path, path: str) -> Any:
        return await self.ask("write", folder, path, text="kept")


@asynccontextmanager
async def guest(store: Path, isolation: str = "fork", **flags: object) -> AsyncIterator[Guest]:
    given = {"component_dir": store, "isolation": isolation} | flags
    async with open_backend(settings.load(given, {"HOME": "/nonexistent"})) as registry:
        yield Guest(registry)


@pytest.fixture(params=["fork", "exec"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def owner(file: Path) -> int:
    return file.stat().st_uid


# --- below a server of root -----------------------------------------------------------------


@ROOT
@pytest.mark.parametrize("of", [ONE, 0], ids=["another user", "root"])
async def test_a_tree_is_used_as_its_owner_who_has_no_power_over_others_files_in_it(
    store: Path, tmp_path: Path, isolation: str, of: int
) -> None:
    tree = make(tmp_path / "tree", of, 0o700)
    inner = make(tree / "inner", of)
    for name, mode in (("shut", 0o600), ("open", 0o644)):
        (inner / name).write_text(name)
        os.chown(inner / name, OTHER, OTHER)
        (inner / name).chmod(mode)
    async with guest(store, isolation) as tool:
        await tool.grant(tree)
        assert await tool.write(tree, "inner/new") is None
        assert await tool.ask("read", tree, "inner/new") == "kept"
        assert await tool.ask("read", tree, "inner/open") == "open"
        assert await tool.ask("read", tree, "inner/shut") == "access"
        assert await tool.write(tree, "inner/open") == "access"
    assert owner(inner / "new") == of


@ROOT
@pytest.mark.parametrize("home_of", [ONE, OTHER, 0], ids=["their own", "another user's", "root's"])
async def test_a_tree_below_a_closed_home_is_used_whoever_the_home_belongs_to(
    store: Path, tmp_path: Path, home_of: int
) -> None:
    home = make(tmp_path / "home", home_of, 0o700)
    tree = make(home / "tree", ONE)
    (home / "private").write_text("private")
    os.chown(home / "private", ONE, ONE)
    async with guest(store) as tool:
        await tool.grant(tree)
        assert await tool.write(tree, "new") is None
        assert await tool.ask("read", tree, "new") == "kept"
        assert await tool.ask("read", tree, "../private") == "not-permitted"
    assert owner(tree / "new") == ONE


@ROOT
async def test_trees_of_two_users_are_refused_with_what_to_do(store: Path, tmp_path: Path) -> None:
    async with guest(store) as tool:
        await tool.grant(make(tmp_path / "one", ONE))
        with pytest.raises(PolicyError, match=rf"several users \({ONE}, {OTHER}\).*--run-as"):
            await tool.grant(make(tmp_path / "other", OTHER))


@ROOT
async def test_trees_that_became_those_of_two_users_hold_calls_back_until_run_as_names_one(
    store: Path, tmp_path: Path
) -> None:
    one, other = make(tmp_path / "one", ONE), make(tmp_path / "other", ONE)
    async with guest(store) as tool:
        await tool.grant(one, other)
        assert await tool.write(one, "before") is None
        os.chown(other, OTHER, OTHER)
        with pytest.raises(PolicyUnusableError, match="policy check granted"):
            await tool.write(one, "new")
    async with guest(store, run_as=str(ONE)) as tool:
        assert await tool.write(one, "new") is None
        assert await tool.write(other, "new") == "access"
        assert await tool.ask("names", other, ".") == []
    assert owner(one / "new") == ONE


@ROOT
async def test_run_as_uses_a_tree_of_another_user_as_far_as_its_mode_goes(
    store: Path, tmp_path: Path, isolation: str
) -> None:
    shared, own = make(tmp_path / "shared", ONE, 0o777), make(tmp_path / "own", ONE)
    async with guest(store, isolation, run_as=str(OTHER)) as tool:
        await tool.grant(shared, own)
        assert await tool.write(shared, "new") is None
        assert await tool.write(own, "new") == "access"
    assert owner(shared / "new") == OTHER


# --- below any server -----------------------------------------------------------------------


async def test_a_tree_that_its_user_may_not_enter_is_the_guests_error_and_no_failure(
    store: Path, tmp_path: Path, isolation: str
) -> None:
    tree = make(tmp_path / "tree")
    async with guest(store, isolation) as tool:
        await tool.grant(tree)
        tree.chmod(0)
        for _ in range(2):
            assert await tool.write(tree, "new") == "access"
        tree.chmod(0o700)
        assert await tool.write(tree, "new") is None
    assert owner(tree / "new") == os.geteuid()


@pytest.mark.skipif(os.geteuid() == 0, reason="root is the owner of what is granted")
async def test_an_ordinary_users_worker_has_of_others_trees_what_that_user_has(
    store: Path, isolation: str
) -> None:
    etc = Path("/etc")
    async with guest(store, isolation) as tool:
        await tool.grant(etc, access="read")
        assert "root" in await tool.ask("read", etc, "passwd")
        shadow = await tool.ask("read", etc, "shadow")
        assert (shadow == "access") == (not os.access("/etc/shadow", os.R_OK))


# --- root of less ---------------------------------------------------------------------------

# How a server is root that can't become everybody, and can't give up every group.
LESSER = {
    "of a namespace": "unshare --map-root-user",
    "without capabilities": "setpriv --bounding-set=-all --inh-caps=-all",
    "of a namespace, with a group": "setpriv --groups=4321 unshare --map-root-user",
}


def invoke(
    prefix: str, store: Path, isolation: str, tree: Path
) -> subprocess.CompletedProcess[str]:
    given = json.dumps({"directory": str(tree), "path": "new", "text": "kept"})
    words = ["tool", "invoke", "write", "--args", given, "--isolation", isolation]
    return subprocess.run(  # noqa: S603 - our own command
        [*prefix.split(), served.COMMAND, *words, "--component-dir", store],
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("lesser", LESSER)
async def test_a_lesser_root_uses_a_tree_of_its_own(
    store: Path, tmp_path: Path, isolation: str, lesser: str
) -> None:
    if os.geteuid() != 0 and lesser != "of a namespace":
        pytest.skip("only root gives up what root has")
    tree = make(tmp_path / "tree", mode=0o700)
    async with guest(store) as tool:
        await tool.grant(tree)
    done = invoke(LESSER[lesser], store, isolation, tree)
    assert (done.returncode, done.stdout) == (0, "null\n"), done.stderr
    assert "isolation.same-user" in done.stderr
    assert (tree / "new").read_text() == "kept"
    assert owner(tree / "new") == os.geteuid()


@ROOT
@pytest.mark.parametrize("lesser", LESSER)
async def test_a_lesser_root_says_whom_it_can_not_become(
    store: Path, tmp_path: Path, lesser: str
) -> None:
    tree = make(tmp_path / "tree", ONE, 0o777)
    async with guest(store) as tool:
        await tool.grant(tree)
    done = invoke(LESSER[lesser], store, "fork", tree)
    assert done.returncode == 1
    assert "no process here can become user" in done.stderr.splitlines()[-1]
    assert not (tree / "new").exists()
