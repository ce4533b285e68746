"""A server follows a directory, as its clients, its operator and its person see it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import msgspec
import pytest
from anyio.to_thread import run_sync

from support import guests, served
from support.commands import answered, at_terminal, refused, run
from support.person import Person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio

ADD = {"a": 2, "b": 3}


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    drop = tmp_path / "drop"
    drop.mkdir(mode=0o755)
    return drop


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store that is not there yet."""
    return tmp_path / "store"


def put(drop: Path, guest: str, name: str | None = None) -> Path:
    written = drop / ".being-written"
    written.write_bytes(guests.guest_bytes(guest))
    return written.rename(drop / (name or f"{guest}.wasm"))


def following(drop: Path, *more: str) -> list[str]:
    return ["--local-components", str(drop), *more]


async def tools(connection: Client) -> set[str]:
    return {tool.name for tool in (await connection.list_tools()).tools}


async def until_listed(connection: Client, wanted: Callable[[set[str]], bool]) -> None:
    """List tools, and components for the questions of the newer era, until they are so."""
    with anyio.fail_after(served.ANSWER_S):
        while not wanted(await tools(connection)):
            assert not (await connection.call_tool("list-components", {})).is_error
            await anyio.sleep(0.05)


@asynccontextmanager
async def told(connection: Client, era: Era, heard: anyio.Event) -> AsyncIterator[None]:
    """What is done in the block is followed by a notice that the tools changed."""
    with anyio.fail_after(served.ANSWER_S):
        if era == "legacy":
            yield
            await heard.wait()
            return
        async with connection.listen(tools_list_changed=True) as events:
            yield
            async for _ in events:
                return


def events(place: Path) -> list[tuple[str, str | None, str | None]]:
    """What is on record of components: event, component and who."""
    done = served.operate(place, "audit", "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    entries = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    return [
        (each["event"], each["component"], each["client"])
        for each in entries
        if each["event"] in {"load", "unload", "question", "answer", "refusal"}
    ]


async def test_a_file_is_loaded_when_a_person_allows_it_and_follows_its_file_from_then_on(
    place: Path, drop: Path, era: Era
) -> None:
    heard = [anyio.Event() for _ in range(3)]

    def hear(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            next(event for event in heard if not event.is_set()).set()

    person = Person("always")
    options = following(drop)
    async with served.client(place, *options, era=era, person=person, on_message=hear) as client:
        assert "add" not in await tools(client)
        async with told(client, era, heard[0]):
            path = put(drop, "add")
            await until_listed(client, lambda names: "add" in names)
        assert (await client.call_tool("add", ADD)).structured_content == {"result": 5}
        async with told(client, era, heard[1]):
            path.unlink()
        assert "add" not in await tools(client)
        async with told(client, era, heard[2]):
            put(drop, "add")
        assert (await client.call_tool("add", ADD)).structured_content == {"result": 5}
    [question] = person.messages
    assert path.as_uri() in question
    assert '"add"' in question
    name = "mcp"  # as the library calls itself
    assert events(place) == [
        ("question", "add", name),
        ("answer", "add", name),
        ("load", "add", name),
        ("unload", "add", "local-components"),
        ("load", "add", "local-components"),
    ]


async def test_the_bytes_that_a_person_was_shown_are_loaded_whatever_the_file_is_by_then(
    place: Path, drop: Path, era: Era
) -> None:
    class Slow(Person):
        async def __call__(self, *asked: Any, **more: Any) -> types.ElicitResult:
            if not self.asked:
                put(drop, "say", "add.wasm")
            return await super().__call__(*asked, **more)

    person = Slow("always", "deny")
    async with served.client(place, *following(drop), era=era, person=person) as client:
        put(drop, "add")
        await until_listed(client, lambda names: "add" in names)
        assert (await client.call_tool("add", ADD)).structured_content == {"result": 5}
        await until_listed(client, lambda _: len(person.asked) == 2)
        assert "add" in await tools(client)
    assert "It replaces other bytes" in person.messages[1]


async def test_a_call_outlives_the_file_of_its_component(place: Path, drop: Path) -> None:
    options = following(drop, "--approve", "allow")
    async with served.client(place, *options) as client:
        path = put(drop, "sleep")
        await until_listed(client, lambda names: "sleep-ms" in names)
        results: list[types.CallToolResult] = []

        async def call() -> None:
            results.append(await client.call_tool("sleep-ms", {"milliseconds": 4000}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            server = await served.server_below(os.getpid())
            await served.busy_worker(server)
            path.unlink()
            await until_listed(client, lambda names: "sleep-ms" not in names)
            assert not results
        [result] = results
        assert not result.is_error, served.text(result)


async def test_what_changed_while_no_server_ran_waits_for_the_operator(
    place: Path, drop: Path
) -> None:
    put(drop, "add")
    put(drop, "traps")
    async with served.client(place, *following(drop, "--approve", "allow")) as client:
        await until_listed(client, lambda names: "add" in names and len(names) > 14)
        before = await tools(client)
    put(drop, "say", "add.wasm")
    (drop / "traps.wasm").unlink()
    async with served.client(place, *following(drop)) as client:
        await until_listed(client, lambda names: names < before)
        assert "add" in await tools(client)
        states = await listed_until(place, ("add", "waiting"))
        assert states == {("add", "ready"), ("add", "waiting"), ("traps", "away")}
        refused(
            await run_sync(run, place, "component", "approve", "add"),
            "add --yes if that is meant",
            status=2,
        )
        approved = await run_sync(answered, place, "component", "approve", "add", "--yes")
        assert approved["status"] == "reloaded"
        await until_listed(client, lambda names: "add" not in names)
    refused(run(place, "component", "approve", "add", "--yes"), "no local component waits")


def listed(place: Path) -> set[tuple[str, str]]:
    """Each component with its state."""
    components = answered(place, "component", "list")["components"]
    return {(each["id"], each["state"]) for each in components}


async def listed_until(place: Path, wanted: tuple[str, str]) -> set[tuple[str, str]]:
    with anyio.fail_after(served.ANSWER_S):
        while True:
            found = await run_sync(listed, place)
            if wanted in found:
                return found
            await anyio.sleep(0.05)


async def test_at_a_terminal_an_operator_is_shown_what_would_be_loaded(
    place: Path, drop: Path
) -> None:
    path = put(drop, "add")
    async with served.client(place, *following(drop)):
        await listed_until(place, ("add", "waiting"))
        for answer, loaded in ((b"n\n", False), (b"y\n", True)):
            seen, status = await run_sync(approve_at_terminal, place, answer)
            assert path.as_uri().encode() in b"".join(seen.split())
            assert status == (0 if loaded else 1)
            assert (("add", "ready") in await run_sync(listed, place)) == loaded


def approve_at_terminal(place: Path, answer: bytes) -> tuple[bytes, int]:
    return at_terminal(place, "component", "approve", "add", typed=[(b"[y/N] ", answer)])


async def test_with_startup_what_is_there_at_the_start_is_taken_in(place: Path, drop: Path) -> None:
    put(drop, "add")
    options = following(drop, "--local-mode", "startup", "--approve", "allow")
    async with served.client(place, *options) as client:
        await until_listed(client, lambda names: "add" in names)


# --- what may not be so ---------------------------------------------------------------------


@pytest.mark.parametrize("where", ["within", "around", "itself"])
def test_a_directory_that_overlaps_the_store_is_refused(place: Path, where: str) -> None:
    directory = {"within": place / "drop", "around": place.parent, "itself": place}[where]
    done = run(place, "run", "--local-components", directory)
    refused(done, "--local-components", "overlaps the store", status=2)


async def test_no_grant_reaches_the_directory(place: Path, drop: Path) -> None:
    served.load(place, guests.guest_path("granted"))
    person = Person("always")
    async with served.client(place, *following(drop), person=person) as client:
        for directory in (drop, drop.parent):
            details = {"uri": f"fs://{directory}", "access": ["read", "write"]}
            asked = {"component_id": "granted", "details": details}
            result = await client.call_tool("grant-storage-permission", asked)
            assert result.is_error
            assert "that file or directory can't be granted as it is" in served.text(result)
        # A command line that doesn't know of the directory.
        words = ["permission", "grant", "storage", "granted", f"fs://{drop}", "--access", "read"]
        assert (await run_sync(run, place, *words)).returncode == 0
        assert (await client.call_tool("directories", {})).is_error
    assert person.asked == []
