"""Changes of what components may do: made, on record, and in force for calls that run already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import anyio
import structlog

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.errors import SupervisorError
from wassette_supervisor.policy.difference import difference
from wassette_supervisor.policy.numbering import LimitRule, rule_text
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.authority.attached import Attached
    from wassette_supervisor.authority.changes import Changed, Standing
    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.authority.temporary import Scope
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.policy.rules import Section
    from wassette_supervisor.store.record import Record

log = structlog.get_logger(__name__)

# How long a revoke by another process may leave a call running.
WATCH_S = 1.0

_NARROWED = "what its component may do was narrowed; ask the operator before you call it again"


_UNLOADED = "its component was unloaded; list the components to see those that are there"


class _Had(NamedTuple):
    """What a component had at one look."""

    attached: Attached
    secrets: Mapping[str, bytes]


class Calls(Protocol):
    """The calls that run: those of a pool."""

    async def stop(self, component: ComponentId, reason: str) -> None:
        """End those of a component."""


class Rights:
    """Changes the permissions of components; each is recorded before it is made."""

    def __init__(self, permissions: Permissions, audit: AuditLog, calls: Calls) -> None:
        self._permissions = permissions
        self._audit = audit
        self._seen: dict[ComponentId, _Had] = {}
        self._calls = calls

    async def grant(
        self,
        component: ComponentId,
        rule: Rule,
        scope: Scope,
        *,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Changed:
        """As `Permissions.grant`."""
        with self._recorded(Event.GRANT, component, client, decision=scope, rule=rule_text(rule)):
            return await run_sync(self._permissions.grant, component, rule, scope, expected)

    async def revoke(
        self,
        component: ComponentId,
        which: int | str,
        section: Section | None = None,
        *,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Changed:
        """As `Permissions.revoke`; calls that run are ended."""
        with self._recorded(Event.REVOKE, component, client, rule=str(which)):
            changed = await run_sync(self._permissions.revoke, component, which, section, expected)
        await self._calls.stop(component, _NARROWED)
        return changed

    async def limit(
        self, component: ComponentId, name: str, value: int | None, *, client: str | None = None
    ) -> Changed:
        """As `Permissions.limit`; where it is lowered, calls that run are ended."""
        event = Event.REVOKE if value is None else Event.GRANT
        rule = name if value is None else LimitRule(name, value).text
        with self._recorded(event, component, client, rule=rule):
            changed = await run_sync(self._permissions.limit, component, name, value)
        return await self._settled(component, changed)

    async def reset(self, component: ComponentId, *, client: str | None = None) -> Changed:
        """As `Permissions.reset`; calls that run are ended."""
        with self._recorded(Event.RESET, component, client, detail=self._told(component, None)):
            changed = await run_sync(self._permissions.reset, component)
        await self._calls.stop(component, _NARROWED)
        return changed

    async def set_policy(
        self,
        component: ComponentId,
        text: bytes,
        *,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Changed:
        """As `Permissions.set_policy`; where it takes something, calls that run are ended."""
        policy = self._permissions.check(text)
        with self._recorded(
            Event.POLICY_SET, component, client, detail=self._told(component, policy)
        ):
            changed = await run_sync(self._permissions.set_policy, component, text, expected)
        return await self._settled(component, changed)

    async def unset_policy(
        self,
        component: ComponentId,
        *,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Changed:
        """Detach the policy: nothing is granted any more."""
        with self._recorded(
            Event.POLICY_UNSET, component, client, detail=self._told(component, None)
        ):
            changed = await run_sync(self._permissions.set_policy, component, None, expected)
        return await self._settled(component, changed)

    async def approve(
        self,
        component: ComponentId,
        *,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Policy | None:
        """As `Permissions.approve`."""
        with self._recorded(Event.APPROVE, component, client):
            return await run_sync(self._permissions.approve, component, expected)

    async def set_secrets(
        self, component: ComponentId, values: Mapping[str, str], *, client: str | None = None
    ) -> None:
        """As `ComponentSecrets.set`."""
        names = {"names": sorted(values)}
        with self._recorded(Event.SECRET_SET, component, client, detail=names):
            await run_sync(self._permissions.secrets.set, component, values)

    async def delete_secrets(
        self, component: ComponentId, names: Sequence[str], *, client: str | None = None
    ) -> None:
        """As `ComponentSecrets.delete`; calls that run are ended."""
        deleted = {"names": sorted(names)}
        with self._recorded(Event.SECRET_DELETE, component, client, detail=deleted):
            await run_sync(self._permissions.secrets.delete, component, names)
        await self._calls.stop(component, _NARROWED)

    async def reset_state(
        self, component: ComponentId, held: Mapping[str, Any], *, client: str | None = None
    ) -> bool:
        """Delete what a component keeps between calls; whether all of it is gone from the disk.

        It is gone for every call that starts from now on; one that runs keeps what it has open.
        """
        states = self._permissions.states
        with self._recorded(Event.STATE_RESET, component, client, detail=dict(held)):
            await run_sync(states.set_aside, component)
        return await run_sync(states.sweep)

    async def watch(self, records: Callable[[], Mapping[ComponentId, Record]]) -> None:
        """End calls whose component was narrowed by another process; until cancelled."""
        while True:
            try:
                now = dict(records())
            except SupervisorError as error:
                # Nothing can be started either while the store can't be read.
                log.warning("rights.unreadable", why=str(error))
            else:
                for component in self._seen.keys() - now.keys():
                    del self._seen[component]
                    await self._calls.stop(component, _UNLOADED)
                for record in now.values():
                    await self.look(record)
            await anyio.sleep(WATCH_S)

    async def look(self, record: Record) -> None:
        """End calls of a component that was narrowed since the last look.

        To be done before a call starts: what is noticed later would end that call, too, which
        never had what was taken.
        """
        try:
            now = self._had(record)
        except SupervisorError as error:
            # Nothing can be started either while it can't be read.
            log.warning("rights.unreadable", why=str(error))
            return
        earlier = self._seen.get(record.id)
        if earlier is not None and _narrowed(earlier, now):
            await self._calls.stop(record.id, _NARROWED)
            # Seen only then: whoever starts a call may be cancelled, and the next look must end
            # what this one didn't. Another look may have been quicker, and have seen more.
            if self._seen.get(record.id) is not earlier:
                return
        self._seen[record.id] = now

    def _had(self, record: Record) -> _Had:
        return _Had(
            self._permissions.attached(record), self._permissions.secrets.digests(record.id)
        )

    def _told(self, component: ComponentId, after: Policy | None) -> dict[str, Any]:
        return {"rights": self._permissions.rights_changed(component, after)}

    async def _settled(self, component: ComponentId, changed: Changed) -> Changed:
        if changed.narrows:
            await self._calls.stop(component, _NARROWED)
        return changed

    @contextmanager
    def _recorded(
        self, event: Event, component: ComponentId, client: str | None, **fields: Any
    ) -> Iterator[None]:
        """Record a change before it is made, for else it is not; and if it then was not made."""
        self._audit.append(event, component=component, client=client, **fields)
        try:
            yield
        except SupervisorError as error:
            detail = {"change": event.value, "why": str(error)}
            self._audit.append(
                Event.REFUSAL,
                component=component,
                client=client,
                decision="denied",
                detail=detail,
            )
            raise


def _narrowed(earlier: _Had, now: _Had) -> bool:
    # One that was replaced was taken as well: that is what is done with one that leaked.
    if any(now.secrets.get(name) != digest for name, digest in earlier.secrets.items()):
        return True
    before, after = earlier.attached, now.attached
    if before.digest == after.digest and before.state == after.state:
        return False
    return any(right.sign == "-" for right in difference(before.policy, after.policy))
