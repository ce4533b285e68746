"""What the front and the command line ask of the rest: the components, and calls on their tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.authority.changes import Standing
    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.components.drafts import Draft
    from wassette_supervisor.components.quarantine import Quarantine
    from wassette_supervisor.components.repair import Repairs
    from wassette_supervisor.components.rights import Rights
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_supervisor.store.noticed import Noticed
    from wassette_supervisor.store.record import Loaded, Record, ToolRecord


class Backend(Protocol):
    """One store of components and one pool of workers.

    Everything that it raises on purpose is a SupervisorError, and never in an exception group.
    """

    def catalog(self) -> Mapping[str, tuple[Record, ToolRecord]]:
        """Each tool by the name that clients call it by; always current, and cheap."""

    def records(self) -> Mapping[ComponentId, Record]:
        """Every component that can be used."""

    def damaged(self) -> Mapping[str, str]:
        """The entries of the store that can't be used, and why."""

    @property
    def permissions(self) -> Permissions:
        """What components may do."""

    @property
    def rights(self) -> Rights:
        """Changes of what they may do."""

    @property
    def repairs(self) -> Repairs:
        """What is damaged of components, and mending it."""

    @property
    def quarantine(self) -> Quarantine:
        """Components that crashed too often."""

    @property
    def audit(self) -> AuditLog:
        """Where all of it is on record."""

    async def load(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        policy: bytes | None = None,
        client: str | None = None,
    ) -> Loaded:
        """Compile a component and keep it: `prepare` and `keep`.

        Raises:
            LoadError: It can't be had, or is no component that we can run.
            PolicyError: The policy is none that can be enforced.
            StoreError: It can't be kept.
        """

    async def prepare(
        self,
        reference: str,
        *,
        name: str | None,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft:
        """Read and compile a component; nothing is kept.

        Args:
            reference: A `file://` URI.
            name: The id to keep it under, in place of the one made of the reference.
            progress: Told each stage as it begins.
            client: Who asks, for the record.

        Raises:
            LoadError: It can't be had, or is no component that we can run.
            StoreError: It could not be kept.
        """

    async def prepare_noticed(
        self,
        noticed: Noticed,
        *,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft:
        """As `prepare`, of what waits in a directory of local components.

        Raises:
            LoadError: It has other bytes by now, or is none that we can run.
            StoreError: It could not be kept.
        """

    async def noticed(self) -> list[Noticed]:
        """What is in directories of local components and is not loaded as it is.

        Raises:
            StoreError: The store can't be read.
        """

    async def keep(
        self,
        draft: Draft,
        *,
        policy: bytes | None = None,
        expected: Standing | None = None,
        client: str | None = None,
    ) -> Loaded:
        """Keep what was prepared, which stays the caller's to close.

        Raises:
            ChangedMeanwhileError: What it replaces is no longer as expected.
            LoadError: Its id was taken meanwhile.
            StoreError: It can't be kept.
        """

    async def unload(self, component: ComponentId, *, client: str | None = None) -> None:
        """Forget a component, its tools, policy, secrets and what it kept; running calls go on.

        Raises:
            UnknownComponentError: There is none of this id.
            StoreError: The store can't be written.
        """

    async def call(
        self, tool: str, arguments: Mapping[str, Any], *, client: str | None = None
    ) -> CallOutcome:
        """Run a tool in a process of its own; cancelling this kills that process.

        Raises:
            UnknownToolError: There is none of this name.
            SupervisorError: The call was refused, or ended without a result.
        """

    async def inspect(self, reference: str) -> Record:
        """Compile and describe a component without keeping it.

        Raises:
            LoadError: As for `load`.
        """

    def changes(self) -> AsyncIterator[None]:
        """Give one item each time that the list of tools changed, also by another process."""
