"""Rights change only when that is on record: what can't be recorded is not done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fake_backend import FakeBackend, component, tool
from wassette_protocol.frames import ComponentId
from wassette_supervisor.errors import AuditError
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

ONE = ComponentId("one")
TZ = rule_from_words("environment-variable", "TZ")
POLICY = b'version: "1.0"\npermissions: {environment: {allow: [{key: LANG}]}}\n'

CHANGES: dict[str, Callable[[FakeBackend], Awaitable[object]]] = {
    "grant": lambda backend: backend.rights.grant(ONE, TZ, "always"),
    "grant-once": lambda backend: backend.rights.grant(ONE, TZ, "once"),
    "revoke": lambda backend: backend.rights.revoke(ONE, "HOME"),
    "reset": lambda backend: backend.rights.reset(ONE),
    "set-policy": lambda backend: backend.rights.set_policy(ONE, POLICY),
    "unset-policy": lambda backend: backend.rights.unset_policy(ONE),
    "set-secrets": lambda backend: backend.rights.set_secrets(ONE, {"NEW": "1"}),
    "delete-secrets": lambda backend: backend.rights.delete_secrets(ONE, ["OLD"]),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def backend() -> FakeBackend:
    """A component with one right and one secret, and a log that can't be written any more."""
    made = FakeBackend(component("one", tool("answer")))
    made.permissions.grant(ONE, rule_from_words("environment-variable", "HOME"), "always")
    made.permissions.secrets.set(ONE, {"OLD": "1"})
    made.audit.directory.write_text("no folder")
    return made


def state(backend: FakeBackend) -> tuple[object, ...]:
    """All that may not have changed."""
    record = backend.records()[ONE]
    permissions = backend.permissions
    attached = permissions.attached(record)
    return attached.state, attached.text, permissions.temporary(record), permissions.secrets.of(ONE)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_of_rights_that_can_not_be_recorded_is_not_made(
    backend: FakeBackend, change: Callable[[FakeBackend], Awaitable[object]]
) -> None:
    before = state(backend)
    with pytest.raises(AuditError):
        await change(backend)
    assert state(backend) == before
    assert backend.stopped == []


async def test_an_approval_that_can_not_be_recorded_approves_nothing(backend: FakeBackend) -> None:
    [file] = backend.audit.directory.parent.glob("components/*.policy.yaml")
    file.write_bytes(POLICY)
    with pytest.raises(AuditError):
        await backend.rights.approve(ONE)
    assert state(backend)[0] == "edited"
