"""A server sees what another process took from a component, and ends its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from support.fake_backend import FakeBackend, component, tool
from wassette_protocol.frames import ComponentId
from wassette_supervisor.components import rights
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_supervisor.authority.permissions import Permissions

pytestmark = pytest.mark.anyio

ONE, TWO = ComponentId("one"), ComponentId("two")
TZ = rule_from_words("environment-variable", "TZ")
LANG = rule_from_words("environment-variable", "LANG")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    monkeypatch.setattr(rights, "WATCH_S", 0.01)
    made = FakeBackend(component("one", tool("answer")), component("two", tool("other")))
    for rule in (TZ, LANG):
        made.permissions.grant(ONE, rule, "always")
    made.permissions.secrets.set(ONE, {"TOKEN": "value"})
    return made


async def stopped_after(
    backend: FakeBackend, change: Callable[[Permissions], object]
) -> list[ComponentId]:
    """Whose calls were ended within a second after a change that is not of this server's making."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(backend.rights.watch, backend.records)
        await anyio.wait_all_tasks_blocked()
        change(backend.permissions)
        with anyio.move_on_after(1):
            before = list(backend.stopped)
            while backend.stopped == before:  # noqa: ASYNC110 - a list tells nobody
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    return backend.stopped


TAKES: dict[str, Callable[[Permissions], object]] = {
    "revoke": lambda permissions: permissions.revoke(ONE, "TZ"),
    "reset": lambda permissions: permissions.reset(ONE),
    "secret": lambda permissions: permissions.secrets.delete(ONE, ["TOKEN"]),
    "another secret": lambda permissions: permissions.secrets.set(ONE, {"TOKEN": "other"}),
    "policy": lambda permissions: permissions.set_policy(ONE, b'version: "1.0"\n'),
}


@pytest.mark.parametrize("change", TAKES.values(), ids=TAKES)
async def test_what_another_process_takes_ends_the_calls_of_that_component(
    backend: FakeBackend, change: Callable[[Permissions], object]
) -> None:
    assert await stopped_after(backend, change) == [ONE]


async def test_an_unload_by_another_process_ends_the_calls_of_that_component(
    backend: FakeBackend,
) -> None:
    assert await stopped_after(backend, lambda _: backend.remove(ONE)) == [ONE]


HOME = rule_from_words("environment-variable", "HOME")
GIVES: dict[str, Callable[[Permissions], object]] = {
    "grant": lambda permissions: permissions.grant(ONE, HOME, "always"),
    "secret": lambda permissions: permissions.secrets.set(ONE, {"OTHER": "value"}),
}


@pytest.mark.parametrize("change", GIVES.values(), ids=GIVES)
async def test_what_another_process_gives_ends_nothing(
    backend: FakeBackend, change: Callable[[Permissions], object]
) -> None:
    assert await stopped_after(backend, change) == []


async def test_a_call_that_starts_after_something_was_taken_is_not_ended_for_it(
    backend: FakeBackend,
) -> None:
    records = backend.records()
    await backend.rights.look(records[ONE])
    backend.permissions.revoke(ONE, "TZ")
    await backend.rights.look(records[ONE])  # as a call does before it starts
    assert backend.stopped == [ONE]
    assert await stopped_after(backend, lambda _: backend.remove(TWO)) == [ONE, TWO]


async def test_a_look_that_is_cancelled_leaves_the_calls_to_the_next_one(
    backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = backend.records()[ONE]
    await backend.rights.look(record)
    backend.permissions.revoke(ONE, "TZ")
    with anyio.CancelScope() as scope, monkeypatch.context() as patched:

        async def cancelled(*_: object) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        patched.setattr(backend.rights._calls, "stop", cancelled)
        await backend.rights.look(record)
    assert backend.stopped == []
    await backend.rights.look(record)
    assert backend.stopped == [ONE]
