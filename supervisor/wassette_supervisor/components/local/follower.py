"""An actor that follows a directory of local components: looks, checks, loads, unloads.

It looks every second, which works on any file system and whoever changes the files. One file at a
time is compiled, beside the looking. Nothing new is loaded here without a person's word, but with
`--approve allow`; what waits for one is put down in the store.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import anyio
import structlog

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.components.local.contents import Contents
from wassette_supervisor.components.local.files import ChangedFileError, UnusableDirectoryError
from wassette_supervisor.components.local.plan import Checked, File, plan
from wassette_supervisor.components.local.sightings import SETTLE_S
from wassette_supervisor.components.snapshot import silent
from wassette_supervisor.errors import (
    AuditError,
    IdTakenError,
    LoadError,
    NoRoomError,
    SupervisorError,
)
from wassette_supervisor.store.noticed import Noticed
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.components.drafts import Draft
    from wassette_supervisor.components.local.contents import Found
    from wassette_supervisor.store.noticed import Notices, Stamp
    from wassette_supervisor.store.record import Loaded, Record

log = structlog.get_logger(__name__)

# What is being written at the start is waited for so long, if only the start counts.
STARTUP_S = 60.0
# After a failure that is not the file's, as a full disk.
AGAIN_S = 30.0
CLIENT = "local-components"  # in the audit log

_BY_HAND = (
    "it was unloaded by hand; load it with `component load`, touch the file, or restart the server"
)


class Pace(NamedTuple):
    look_s: float = 1.0  # how often the directory is looked at
    settle_s: float = SETTLE_S  # how long a file has to stay as it is


PACE = Pace()


class Components(Protocol):
    """What is asked of the registry, as it says there."""

    audit: AuditLog

    def records(self) -> Mapping[ComponentId, Record]: ...

    async def prepare_noticed(
        self,
        noticed: Noticed,
        *,
        progress: Callable[[str], Awaitable[None]],
        client: str | None = None,
    ) -> Draft: ...

    async def keep(self, draft: Draft, *, client: str | None = None) -> Loaded: ...

    async def follow(self, changed: Sequence[Record], client: str) -> list[Record]: ...


class Follower:
    """Follows one directory for one server."""

    def __init__(
        self,
        directory: Path,
        components: Components,
        notices: Notices,
        *,
        allowed: bool = False,
        pace: Pace = PACE,
    ) -> None:
        """Make one.

        Args:
            directory: Which; absolute.
            components: Those of the server.
            notices: Where to put down what is not loaded.
            allowed: Whether the operator has allowed everything.
            pace: How fast.
        """
        self._directory = directory
        self._uri = directory.as_uri().rstrip("/")
        self._contents = Contents(directory, pace.settle_s)
        self._components = components
        self._notices = notices
        self._allowed = allowed
        self._look_s = pace.look_s
        self._verdicts: dict[tuple[str, Stamp], Checked] = {}
        self._loaded: set[tuple[str, str]] = set()  # source and digest, at the last look
        self._noticed: list[Noticed] | None = None  # as it was put down
        self._checking = False
        self._again_at: dict[tuple[str, Stamp], float] = {}
        self._told: set[tuple[str, Stamp, str]] = set()
        self._troubles: dict[str, str] = {}
        self._wake = anyio.Event()

    async def watch(self) -> None:
        """Follow it until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                found = await self._round(tasks)
                await self._rest(at_once=found is not None and found.unread)

    async def start(self) -> None:
        """Take in what is there now, and end."""
        ends = time.monotonic() + STARTUP_S
        first = True
        async with anyio.create_task_group() as tasks:
            while time.monotonic() < ends:
                found = await self._round(tasks)
                if found is not None and first:
                    self._contents.freeze()
                    first = False
                if found is None or not (found.unread or found.unsettled or self._checking):
                    return
                await self._rest(at_once=found.unread)

    async def _rest(self, *, at_once: bool) -> None:
        with anyio.move_on_after(0 if at_once else self._look_s):
            await self._wake.wait()
        self._wake = anyio.Event()

    # --- one look -------------------------------------------------------------------------

    async def _round(self, tasks: TaskGroup) -> Found | None:
        """Look, and do what follows; None if it could not be looked at."""
        try:
            # A disk that doesn't answer holds up neither the calls nor the end of the server.
            found = await run_sync(self._contents.look, abandon_on_cancel=True)
        except (UnusableDirectoryError, NoRoomError) as error:
            self._trouble("directory", str(error))
            return None
        self._trouble("directory", _of_directory(self._directory, found))
        try:
            await self._act(found, tasks)
        except SupervisorError as error:
            self._trouble("store", str(error))
        else:
            self._trouble("store", "")
        return found

    async def _act(self, found: Found, tasks: TaskGroup) -> None:
        records = self._components.records()
        self._remember(found.settled, records)
        todo = plan(self._uri, found.present, found.settled, records, self._verdicts)
        if todo.switched:
            for record in await self._components.follow(todo.switched, CLIENT):
                log.info("local.gone" if record.away else "local.back", component=record.id)
        self._check_next(todo.check, tasks)
        self._tell(todo.noticed)
        if todo.noticed != self._noticed:
            await run_sync(self._notices.write, self._uri, todo.noticed)
            self._noticed = todo.noticed

    def _remember(self, settled: Sequence[File], records: Mapping[ComponentId, Record]) -> None:
        """Forget what is known of files that changed; see which were unloaded by hand."""
        current = {(file.source, file.stamp) for file in settled}
        self._verdicts = {key: self._verdicts[key] for key in self._verdicts if key in current}
        self._again_at = {key: self._again_at[key] for key in self._again_at if key in current}
        sources = {record.source for record in records.values()}
        for file in settled:
            if file.source not in sources and (file.source, file.digest) in self._loaded:
                self._verdicts[file.source, file.stamp] = Checked(refused=_BY_HAND)
        self._loaded = {
            (record.source, record.digest) for record in records.values() if not record.away
        }

    def _tell(self, noticed: Sequence[Noticed]) -> None:
        """Log and record each once, and not at every look."""
        told = {(each.source, each.stamp, each.reason): each for each in noticed}
        for key, each in told.items():
            if key in self._told:
                continue
            how = log.info if each.state == "waiting" else log.warning
            how(f"local.{each.state}", source=each.source, why=each.reason)
            # What came of compiling it was recorded then.
            if each.state == "refused" and (each.source, each.stamp) not in self._verdicts:
                self._record_refusal(each)
        self._told = set(told)

    def _record_refusal(self, noticed: Noticed) -> None:
        detail = {"source": noticed.source, "why": noticed.reason}
        try:
            self._components.audit.append(
                Event.REFUSAL,
                component=noticed.id,
                digest=noticed.digest,
                client=CLIENT,
                decision="denied",
                detail=detail,
            )
        except AuditError as error:  # nothing was done that needs a record
            self._trouble("audit", str(error))

    def _trouble(self, of: str, what: str) -> None:
        """Log what is wrong with something when that changes; nothing is: an empty text."""
        if what and self._troubles.get(of) != what:
            log.warning("local.trouble", why=what)
        self._troubles[of] = what

    # --- checking one file ----------------------------------------------------------------

    def _check_next(self, files: Sequence[File], tasks: TaskGroup) -> None:
        now = time.monotonic()
        due = (file for file in files if self._again_at.get((file.source, file.stamp), now) <= now)
        file = next(due, None)
        if file is not None and not self._checking:
            self._checking = True
            tasks.start_soon(self._check, file)

    async def _check(self, file: File) -> None:
        """Compile a file; the next look does what follows."""
        key = file.source, file.stamp
        try:
            self._verdicts[key] = await self._checked(file)
        except (IdTakenError, ChangedFileError):
            pass  # as the next look sees
        except LoadError as error:
            self._verdicts[key] = Checked(refused=str(error))
        except SupervisorError as error:
            self._again_at[key] = time.monotonic() + AGAIN_S
            self._trouble("load", str(error))
        finally:
            self._checking = False
            self._wake.set()

    async def _checked(self, file: File) -> Checked:
        asked = Noticed(file.source, "waiting", None, file.digest, file.stamp)
        draft = await self._components.prepare_noticed(asked, progress=silent, client=CLIENT)
        try:
            records = self._components.records()
            record = draft.named(records)
            earlier = records.get(record.id)
            # Another server may have been quicker.
            is_there = earlier is not None and earlier.digest == record.digest
            if self._allowed and not is_there:
                loaded = await self._components.keep(draft, client=CLIENT)
                log.info("local.loaded", component=loaded.record.id, digest=file.digest)
        finally:
            draft.close()
        return Checked(tuple(tool.name for tool in record.tools))


def _of_directory(directory: Path, found: Found) -> str:
    if found.missing:
        return f"the directory {directory} is not there; what appears in it will be loaded"
    if found.more:
        return f"{found.more} files of {directory} are not looked at; give it fewer components"
    return ""
