"""What a guest finds of directories of which each path is judged: that, and nothing besides."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support.pools import Component, component, directory, granting, judged, settings_for
from wassette_protocol.capabilities import Reach
from wassette_protocol.file_rules import Clause, FileRules, Layer, Shielded
from wassette_protocol.patterns import Pattern
from wassette_supervisor.pool.grants import Grants, Place
from wassette_supervisor.pool.outcome import DeniedFile
from wassette_supervisor.pool.pool import Pool, open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_supervisor.pool.outcome import CallOutcome

ENV = Pattern((b"**", b".env"), below=True)

# A zygote whose guard judges nothing: all that its workers still keep to is the kernel's.
_CARELESS = """
from wassette_worker import zygote
from wassette_worker.guards.files import judge
judge.Judge.rights = lambda *_: judge.Access.READ | judge.Access.WRITE
judge.Judge.reach = judge.Judge.rights
zygote.main()
"""


class Guest:
    def __init__(self, pool: Pool, compiled: Component) -> None:
        self.pool = pool
        self.compiled = compiled

    async def does(self, what: str, grants: Grants, **arguments: object) -> CallOutcome:
        export = f"test:granted/attempts@0.1.0#{what}"
        given = json.dumps({"directory": "d", **arguments})
        return await self.compiled.call(self.pool, export, given, grants)

    async def tries(self, what: str, grants: Grants, **arguments: object) -> Any:
        return (await self.does(what, grants, **arguments)).value.get("result")


@pytest.fixture
async def guest(isolation: str) -> AsyncIterator[Guest]:
    compiled = await component("granted")
    async with open_pool(settings_for(isolation)) as pool:
        yield Guest(pool, compiled)


@pytest.fixture
async def careless(tmp_path: Path) -> AsyncIterator[Guest]:
    (tmp_path / "careless.py").write_text(_CARELESS)
    compiled = await component("granted")
    async with open_pool(settings_for(), str(tmp_path / "careless.py")) as pool:
        yield Guest(pool, compiled)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    for name, text in {"file": "inside", ".env": "denied", "sub/.env": "denied"}.items():
        (made / name).write_text(text)
    (made / "link").symlink_to("sub/.env")
    return made


def single_file(folder: Path, name: str) -> Grants:
    """One file to read and write, in its directory."""
    given = directory(folder, "d", writable=True)
    allow = (Clause(Pattern((name.encode(),), below=False), read=True, write=True),)
    found = (folder / name).stat()
    places = (
        Place(given.path, given.device, given.inode, Reach(read=False, write=False)),
        Place(
            f"{given.path}/{name}",
            found.st_dev,
            found.st_ino,
            Reach(read=True, write=True),
            is_file=True,
        ),
    )
    return granting(replace(given, rules=FileRules((Layer(allow),)), places=places))


async def test_what_is_denied_is_not_read_not_made_not_listed_by_any_path(
    guest: Guest, folder: Path
) -> None:
    grants = granting(judged(directory(folder, "d", writable=True), ENV))
    for path in (".env", "./.env", "sub/.env", "sub//.env", "sub/../.env", "link", "sub/./.env"):
        assert await guest.tries("read", grants, path=path) == "access", path
    assert await guest.tries("write", grants, path=".env", text="x") == "access"
    assert await guest.tries("rename", grants, path="file", to="sub/.env") == "access"
    assert await guest.tries("rename", grants, path=".env", to="open") == "access"
    assert await guest.tries("remove", grants, path=".env") == "access"
    assert await guest.tries("make-directory", grants, path="new/.env") == "no-entry"
    assert sorted(await guest.tries("names", grants, path=".")) == ["file", "link", "sub"]
    assert await guest.tries("names", grants, path="sub") == []
    assert await guest.tries("read", grants, path="file") == "inside"
    assert (folder / ".env").read_text() == "denied"


async def test_what_was_refused_is_told_with_its_path(guest: Guest, folder: Path) -> None:
    grants = granting(judged(directory(folder, "d", writable=True), ENV))
    read = await guest.does("read", grants, path="link")
    assert read.denied == (DeniedFile(f"{folder}/sub/.env", "read"),)
    write = await guest.does("write", grants, path="new/../.env", text="x")
    assert write.denied == ()  # there is no `new`
    write = await guest.does("write", grants, path="sub/.env", text="x")
    assert write.denied == (DeniedFile(f"{folder}/sub/.env", "write"),)


async def test_a_single_file_is_seen_alone_in_its_directory(guest: Guest, folder: Path) -> None:
    grants = single_file(folder, "file")
    assert await guest.tries("names", grants, path=".") == ["file"]
    assert await guest.tries("read", grants, path="file") == "inside"
    assert await guest.tries("write", grants, path="file", text="new") is None
    for path in (".env", "sub", "sub/.env", "none", "link"):
        assert await guest.tries("read", grants, path=path) == "access", path
    assert await guest.tries("write", grants, path="other", text="x") == "access"
    assert (folder / ".env").read_text() == "denied"


async def test_where_no_path_is_judged_the_kernel_still_refuses_what_is_not_granted(
    careless: Guest, folder: Path
) -> None:
    grants = single_file(folder, "file")
    assert await careless.tries("read", grants, path="file") == "inside"
    for path in (".env", "sub/.env"):
        assert await careless.tries("read", grants, path=path) == "access"
        assert await careless.tries("write", grants, path=path, text="x") == "access"
    assert await careless.tries("write", grants, path="other", text="x") == "access"
    assert await careless.tries("remove", grants, path=".env") == "access"
    assert await careless.tries("rename", grants, path="file", to="sub/file") == "access"
    assert sorted(os.listdir(folder)) == [".env", "file", "link", "sub"]  # noqa: PTH208 - names


async def test_what_a_policy_shields_is_read_and_never_written(guest: Guest, folder: Path) -> None:
    given = judged(directory(folder, "d", writable=True))
    assert given.rules is not None
    shields = (Shielded(ENV, (Pattern((b"sub", b".env"), below=False),)),)
    grants = granting(replace(given, rules=FileRules(given.rules.layers, shields)))
    assert await guest.tries("read", grants, path=".env") == "denied"
    assert await guest.tries("write", grants, path=".env", text="x") == "access"
    assert await guest.tries("remove", grants, path=".env") == "access"
    assert await guest.tries("write", grants, path="sub/.env", text="named") is None
    assert (folder / "sub" / ".env").read_text() == "named"


async def test_no_more_files_are_made_than_may_be(guest: Guest, folder: Path) -> None:
    grants = replace(granting(judged(directory(folder, "d", writable=True))), files=1)
    assert await guest.tries("make-directory", grants, path="one") is None
    assert await guest.tries("write", replace(grants, files=2), path="file", text="x") is None
    outcome = await guest.does("the-rest", grants, path="file", writable=True)
    # Two names would be made: the second is refused.
    assert len(set(os.listdir(folder)) & {"second", "third"}) == 1  # noqa: PTH208 - names alone
    assert outcome.value["result"] >= 1


async def test_a_fifo_and_a_file_of_two_names_are_not_opened(guest: Guest, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    os.link(folder / ".env", folder / "innocent")
    grants = granting(judged(directory(folder, "d"), ENV))
    assert await guest.tries("read", grants, path="fifo") == "not-permitted"
    assert await guest.tries("read", grants, path="innocent") == "access"
    without = granting(judged(directory(folder, "d")))
    assert await guest.tries("read", without, path="innocent") == "denied"
