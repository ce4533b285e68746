"""Two servers and the command line at once, on one store: nothing that was acknowledged is lost."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import guests, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

MEANWHILE = "changed while a person was asked; nothing was done, ask again"
LASTS_S = 6.0  # nothing is begun after that


class Work:
    """What was acknowledged, by whomever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.loaded: set[str] = {"add"}
        self.unloaded: set[str] = set()
        self.variables: set[str] = set()
        self.secrets: set[str] = set()
        self.calls = 0
        self._ends = time.monotonic() + LASTS_S

    def numbers(self) -> Iterator[int]:
        """Two rounds of everybody's at least."""
        for number in itertools.count():
            if number > 1 and time.monotonic() > self._ends:
                return
            yield number

    def file(self, name: str) -> Path:
        """A component of its own digest."""
        file = self.folder / f"{name}.wasm"
        section = b"\x04name" + name.encode()
        file.write_bytes(guests.guest_bytes("add") + bytes([0, len(section)]) + section)
        return file

    async def operate(self, *words: str | Path) -> None:
        done = await anyio.run_process(
            [str(served.COMMAND), *map(str, words), "--component-dir", str(self.store)],
            env=served.environment(),
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)

    async def serve(self, server: served.Raw, name: str) -> None:
        """A server that calls, loads and grants."""
        request = itertools.count(1)

        async def ask(tool: str, **arguments: object) -> None:
            while True:
                number = next(request)
                await server.call(number, tool, **arguments)
                answer = await server.answer(number)
                if MEANWHILE not in answer["content"][0]["text"]:
                    break  # another's change came between what was allowed and its doing
            assert not answer.get("isError"), answer

        for number in self.numbers():
            component, variable = f"{name}{number}", f"{name.upper()}_{number}"
            assert await server.adds(next(request))
            await ask("load-component", path=self.file(component).as_uri())
            self.loaded.add(component)
            assert await server.adds(next(request))
            await ask(
                "grant-environment-variable-permission",
                component_id="add",
                details={"key": variable},
            )
            self.variables.add(variable)
            if number % 2:
                await ask("unload-component", id=component)
                self.unloaded.add(component)
            self.calls += 2

    async def load_and_unload(self) -> None:
        for number in self.numbers():
            component = f"cli{number}"
            await self.operate("component", "load", self.file(component))
            self.loaded.add(component)
            if number % 2:
                await self.operate("component", "unload", component)
                self.unloaded.add(component)

    async def change_rights(self) -> None:
        for number in self.numbers():
            variable = f"CLI_{number}"
            words = ("permission", "grant", "environment-variable", "add", variable)
            await self.operate(*words)
            self.variables.add(variable)
            await self.operate("secret", "set", "add", variable, "--from-env", "PATH")
            self.secrets.add(variable)


async def test_two_servers_and_the_command_line_lose_nothing_of_each_other(tmp_path: Path) -> None:
    served.make_store(tmp_path / "store", ["add"])
    options = ("--approve", "allow")
    async with (
        served.raw(tmp_path / "store", *options) as one,
        served.raw(tmp_path / "store", *options) as other,
    ):
        work = Work(tmp_path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.serve, one, "one")
            tasks.start_soon(work.serve, other, "other")
            tasks.start_soon(work.load_and_unload)
            tasks.start_soon(work.change_rights)
        lists = []
        for server in (one, other):
            assert await server.adds(10_001)
            await server.call(10_002, "list-components")
            listed = (await server.answer(10_002))["structuredContent"]["components"]
            lists.append({each["id"] for each in listed})
    there = work.loaded - work.unloaded
    assert lists == [there, there]
    assert work.unloaded
    assert look(work, "component", "list")["total"] == len(there)
    states = {each["state"] for each in look(work, "component", "list")["components"]}
    assert states == {"ready"}
    rules = look(work, "policy", "get", "add")["rules"]
    assert {rule["key"] for rule in rules} == work.variables
    assert set(look(work, "secret", "list", "add")["names"]) == work.secrets
    assert look(work, "audit", "verify")["whole"]
    assert look(work, "doctor")["ok"]


def look(work: Work, *words: str) -> dict[str, Any]:
    done = served.operate(work.store, *words)
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found
