"""What waits in the directory of local components is put to a person, in both eras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec
import pytest
from mcp import Client

from support.fake_backend import FakeBackend, component, returned, tool
from support.person import Person
from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor import settings
from wassette_supervisor.consent.book import MAX_UNWANTED
from wassette_supervisor.front import offers
from wassette_supervisor.front.server import make_server
from wassette_supervisor.store.noticed import Noticed, Stamp

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.client.session import ElicitationFnT

pytestmark = pytest.mark.anyio

Era = Literal["auto", "legacy"]
DIRECTORY = "/drop"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    era: Era = request.param
    return era


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "LOOK_S", 0.01)


def dropped(*names: str, directory: str = DIRECTORY) -> FakeBackend:
    """A backend in whose directory these wait."""
    backend = FakeBackend(component("old", tool("older")))
    for number, name in enumerate(names):
        source = f"file://{directory}/{name}.wasm"
        made = component(name, tool(f"of-{name}"))
        backend.files[source] = msgspec.structs.replace(made, source=source)
        digest = Digest("ab" * 32)
        stamp = Stamp(1, number, 1, 1, 1)
        backend.dropped.append(Noticed(source, "waiting", ComponentId(name), digest, stamp))
    return backend


def client(
    backend: FakeBackend, era: Era, person: ElicitationFnT | None, **flags: object
) -> Client:
    flags = {"local_components": DIRECTORY} | flags
    server = make_server(settings.load(flags, {"HOME": "/home/op"}), backend)
    return Client(server, mode=era, elicitation_callback=person)


async def listed(connection: Client) -> dict[str, Any]:
    result = await connection.call_tool("list-components", {})
    assert not result.is_error, result
    found: dict[str, Any] = result.structured_content
    return found


async def listed_until(connection: Client, done: Any) -> dict[str, Any]:
    """List again and again: the newer era's questions come with it, the older's come meanwhile."""
    with anyio.fail_after(10):
        while True:
            found = await listed(connection)
            if done(found):
                return found
            await anyio.sleep(0.01)


def is_there(*names: str) -> Any:
    return lambda found: {each["id"] for each in found["components"]} == {"old", *names}


def all_closed(backend: FakeBackend) -> bool:
    return all(draft.closed for draft in backend.drafts)


async def test_what_waits_is_put_to_a_person_with_what_was_found_and_then_loaded(era: Era) -> None:
    backend, person = dropped("new"), Person("always")
    async with client(backend, era, person) as connection:
        await listed_until(connection, is_there("new"))
        names = {each.name for each in (await connection.list_tools()).tools}
    [question] = person.messages
    assert question.startswith("A file is in the directory of local components. Keep the component")
    assert '"file:///drop/new.wasm"' in question
    assert '"of-new"' in question
    assert "of-new" in names
    assert backend.records()[ComponentId("new")].local
    assert all_closed(backend)


async def test_a_refusal_is_not_asked_again_and_the_list_is_given_all_the_same(era: Era) -> None:
    backend, person = dropped("bad", "good"), Person("deny", "always")
    async with client(backend, era, person) as connection:
        found = await listed_until(connection, is_there("good"))
        for _ in range(5):
            await listed(connection)
    assert len(person.asked) == 2
    assert found["local"] == [{"id": "bad", "source": "file:///drop/bad.wasm", "state": "waiting"}]
    assert all_closed(backend)


async def test_after_some_noes_nobody_is_asked_any_more(era: Era) -> None:
    backend, person = dropped(*(f"c{number}" for number in range(20))), Person("deny")
    async with client(backend, era, person) as connection:
        await listed_until(connection, lambda _: len(person.asked) >= MAX_UNWANTED)
        for _ in range(5):
            await listed(connection)
    assert len(person.asked) == MAX_UNWANTED
    assert set(backend.records()) == {"old"}
    assert all_closed(backend)


@pytest.mark.parametrize(
    "flags",
    [{"approve": "deny"}, {"approve": "allow"}, {"local_mode": "off"}, {"local_components": None}],
    ids=lambda flags: "-".join(map(str, *flags.items())),
)
async def test_nobody_is_asked_where_the_operator_has_settled_it(
    era: Era, flags: dict[str, Any]
) -> None:
    backend, person = dropped("new"), Person("always")
    async with client(backend, era, person, **flags) as connection:
        found = [await listed(connection) for _ in range(5)][-1]
    assert person.asked == []
    assert [each["state"] for each in found["local"]] == ["waiting"]
    assert backend.drafts == []


async def test_a_client_that_can_not_ask_sees_what_waits(era: Era) -> None:
    backend = dropped("new")
    async with client(backend, era, None) as connection:
        found = await listed(connection)
    assert [each["id"] for each in found["local"]] == ["new"]
    assert backend.drafts == []


async def test_what_waits_in_the_directory_of_another_server_is_not_asked_about(era: Era) -> None:
    backend, person = dropped("new", directory="/drop/below"), Person("always")
    async with client(backend, era, person) as connection:
        for _ in range(5):
            await listed(connection)
    assert person.asked == []


async def test_what_is_too_long_to_be_judged_is_not_asked_and_not_compiled(era: Era) -> None:
    backend, person = dropped("new"), Person("always")
    [short] = backend.dropped
    backend.dropped = [
        Noticed(f"file:///drop/{'x' * 300}.wasm", "waiting", short.id, short.digest, short.stamp)
    ]
    async with client(backend, era, person) as connection:
        for _ in range(5):
            await listed(connection)
    assert person.asked == []
    assert backend.drafts == []


async def test_a_call_of_a_tool_is_not_held_up_by_what_waits() -> None:
    backend, person = dropped("new"), Person("always")

    async def answer(_: object) -> Any:
        return returned({"result": "yes"})

    backend.functions["older"] = answer
    async with client(backend, "auto", person) as connection:
        result = await connection.call_tool("older", {})
    assert not result.is_error
    assert person.asked == []


async def test_a_person_who_does_not_answer_does_not_hold_up_calls() -> None:
    asked = anyio.Event()

    class Absent(Person):
        async def __call__(self, *_: Any, **__: Any) -> types.ElicitResult:
            asked.set()
            await anyio.sleep_forever()
            raise AssertionError

    backend = dropped("new")
    async with client(backend, "legacy", Absent("always")) as connection:
        with anyio.fail_after(10):
            await asked.wait()
            assert is_there()(await listed(connection))
    assert set(backend.records()) == {"old"}
    assert all_closed(backend)
