"""A call that starts while rights are taken away does not run with them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.to_thread import run_sync

from support.fake_backend import FakeBackend, component, tool
from wassette_protocol.frames import ComponentId
from wassette_supervisor.components.calls import Call
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.pool.grants import RevokedError

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.authority.granting import Granted
    from wassette_supervisor.authority.permissions import Permissions

pytestmark = pytest.mark.anyio

ONE = ComponentId("one")


class SlowDisk(Call):
    """Settles what is granted, and then takes its time."""

    def granted(self, permissions: Permissions) -> Granted:
        granted = super().granted(permissions)
        settled.set()
        assert go_on.wait(10)
        return granted


settled = threading.Event()
go_on = threading.Event()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("change", ["revoke", "reset", "unload", None])
async def test_a_call_whose_rights_are_taken_while_it_starts_is_refused(
    tmp_path: Path, change: str | None
) -> None:
    settled.clear()
    go_on.clear()
    backend = FakeBackend(component("one", tool("answer")))
    uri = f"fs://{tmp_path}"
    rule = rule_from_words("storage", uri, ["read"])
    backend.permissions.grant(ONE, rule, "always")
    call = SlowDisk(backend.audit, backend.records()[ONE], "answer", None)
    outcome: list[object] = []

    async def start() -> None:
        try:
            outcome.append(await call.settled(backend.permissions, backend.records))
        except RevokedError as error:
            outcome.append(str(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        assert await run_sync(settled.wait, 10)
        if change == "revoke":
            backend.permissions.revoke(ONE, uri)
        elif change == "reset":
            backend.permissions.reset(ONE)
        elif change == "unload":
            await backend.unload(ONE)
        go_on.set()
    [came] = outcome
    assert isinstance(came, str) == (change is not None)
