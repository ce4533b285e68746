"""A directory is followed: real files, a real store, real compiling; quicker than a server does it.

What each test waits for is seen by asking: a directory tells nobody of its changes.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.to_thread import run_sync
from structlog.testing import capture_logs

from support import guests, served
from support.processes import until
from wassette_protocol.frames import ComponentId
from wassette_supervisor import app, settings
from wassette_supervisor.app import open_backend
from wassette_supervisor.audit.reading import Damaged, entries
from wassette_supervisor.components.local import follower
from wassette_supervisor.components.local.follower import Follower, Pace
from wassette_supervisor.components.snapshot import silent
from wassette_supervisor.errors import StoreError
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.store.noticed import Notices
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_supervisor.components.drafts import Draft
    from wassette_supervisor.components.registry import Registry
    from wassette_supervisor.store.noticed import Noticed
    from wassette_supervisor.store.record import Loaded, Record

pytestmark = pytest.mark.anyio

PACE = Pace(look_s=0.02, settle_s=0.1)
ADD = ComponentId("add")
TZ = rule_from_words("environment-variable", "TZ")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Place:
    """A directory that is followed, and the registry of the server that does."""

    drop: Path
    registry: Registry

    def put(self, name: str, content: bytes | None = None) -> Path:
        """Put a file there as a careful program does: it appears whole."""
        written = self.drop / f".{name}.part"
        written.write_bytes(guests.guest_bytes("add") if content is None else content)
        return written.rename(self.drop / name)

    def follower(self, *, allowed: bool = False) -> Follower:
        notices = Notices(Store(self.registry._store.root))
        return Follower(self.drop, self.registry, notices, allowed=allowed, pace=PACE)

    def record(self, name: str = "add") -> Record | None:
        return self.registry.records().get(ComponentId(name))

    def is_ready(self, name: str = "add") -> bool:
        record = self.record(name)
        return record is not None and not record.away

    def is_away(self, name: str = "add") -> bool:
        record = self.record(name)
        return record is not None and record.away

    async def noticed(self, state: str, *names: str) -> list[Noticed]:
        """Wait until exactly these files are noticed, all of them as this."""
        found: list[Noticed] = []
        with anyio.fail_after(10):
            while True:
                found = [each for each in await self.registry.noticed() if self.is_ours(each)]
                seen = {(each.source.rpartition("/")[2], each.state) for each in found}
                if seen == {(name, state) for name in names}:
                    return found
                await anyio.sleep(0.01)

    def is_ours(self, noticed: Noticed) -> bool:
        return noticed.source.startswith(self.drop.as_uri() + "/")

    async def approve(self, noticed: Noticed) -> Loaded:
        draft = await self.registry.prepare_noticed(noticed, progress=silent)
        try:
            return await self.registry.keep(draft)
        finally:
            draft.close()

    def audited(self, event: str) -> list[dict[str, Any]]:
        return [
            {"component": each.component, "client": each.client, **(each.detail or {})}
            for each in entries(self.registry.audit.directory)
            if not isinstance(each, Damaged) and each.event == event
            if self.drop.as_uri() in (each.detail or {}).get("source", "")
        ]


@pytest.fixture(scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    folder = tmp_path_factory.mktemp("followed")
    flags = {"component_dir": folder / "store"}
    async with open_backend(settings.load(flags, {"HOME": str(folder)})) as registry:
        yield registry


@pytest.fixture
async def place(registry: Registry, tmp_path: Path) -> AsyncIterator[Place]:
    drop = tmp_path / "drop"
    drop.mkdir(mode=0o755)
    yield Place(drop, registry)
    for component in registry.records():
        await registry.unload(component)


@asynccontextmanager
async def followed(*followers: Follower) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        for each in followers:
            tasks.start_soon(each.watch)
        yield
        tasks.cancel_scope.cancel()


def other(count: int = 1) -> bytes:
    """A component with so many tools: `t000` and so on."""
    import wasmtime  # noqa: PLC0415 - of this function alone

    return bytes(wasmtime.wat2wasm(served.many_exports(count)))


# --- a person's word ------------------------------------------------------------------------


async def test_a_file_waits_until_somebody_allows_its_bytes_and_the_same_bytes_need_no_more(
    place: Place,
) -> None:
    async with followed(place.follower()):
        path = place.put("add.wasm")
        [waiting] = await place.noticed("waiting", "add.wasm")
        assert (waiting.id, waiting.tools) == (ADD, ("add",))
        assert "component approve add" in waiting.reason
        assert place.record() is None
        await place.approve(waiting)
        assert place.is_ready()
        await place.noticed("waiting")
        path.unlink()
        await until(place.is_away, "its tools are gone with its file")
        assert not place.registry.catalog()
        place.put("add.wasm")
        await until(place.is_ready, "the same bytes are back, and nobody was asked")
    assert [each["why"] for each in place.audited("load")[1:]] == [
        "its file is there again, with the same bytes"
    ]


async def test_what_was_granted_is_kept_while_the_file_is_away_and_is_not_for_other_bytes(
    place: Place,
) -> None:
    async with followed(place.follower()):
        path = place.put("add.wasm")
        [waiting] = await place.noticed("waiting", "add.wasm")
        await place.approve(waiting)
        place.registry.permissions.grant(ADD, TZ, "always")
        path.unlink()
        await until(place.is_away, "it is away")
        place.put("add.wasm", other())
        [again] = await place.noticed("waiting", "add.wasm")
        assert place.is_away()
        assert again.digest != waiting.digest
        place.put("add.wasm")
        await until(place.is_ready, "the bytes that were allowed are back")
    record = place.record()
    assert record is not None
    assert place.registry.permissions.attached(record).policy is not None


async def test_new_bytes_wait_and_those_that_were_allowed_stay_until_then(place: Place) -> None:
    async with followed(place.follower()):
        place.put("add.wasm")
        [first] = await place.noticed("waiting", "add.wasm")
        await place.approve(first)
        place.put("add.wasm", other())
        [second] = await place.noticed("waiting", "add.wasm")
        assert first.digest is not None
        assert first.digest in second.reason
        assert list(place.registry.catalog()) == ["add"]
        loaded = await place.approve(second)
        assert loaded.reloaded
        assert list(place.registry.catalog()) == ["t000"]


async def test_where_everything_is_allowed_files_are_loaded_and_reloaded_as_they_come(
    place: Place,
) -> None:
    async with followed(place.follower(allowed=True)):
        place.put("add.wasm")
        await until(place.is_ready, "it is loaded")
        place.put("add.wasm", other())
        await until(lambda: list(place.registry.catalog()) == ["t000"], "it is reloaded")
    loads = place.audited("load")
    assert [(each["component"], each["client"]) for each in loads] == [
        ("add", "local-components")
    ] * 2
    assert all(each["source"] == (place.drop / "add.wasm").as_uri() for each in loads)


async def test_what_was_unloaded_by_hand_is_not_offered_again_until_it_is_touched(
    place: Place,
) -> None:
    async with followed(place.follower(allowed=True)):
        path = place.put("add.wasm")
        await until(place.is_ready, "it is loaded")
        # The follower has seen it loaded: what comes later in a look is of what came earlier.
        place.put("mark.wasm", other())
        await until(lambda: place.is_ready("mark"), "another one is loaded")
        await place.registry.unload(ADD)
        [refused] = await place.noticed("refused", "add.wasm")
        assert "unloaded by hand" in refused.reason
        assert place.record() is None
        os.utime(path, ns=(1, 1))
        await until(place.is_ready, "a file that was touched is a new one")


async def test_what_was_loaded_by_hand_as_well_stays_when_its_file_goes(place: Place) -> None:
    async with followed(place.follower(allowed=True)):
        path = place.put("add.wasm")
        place.put("mark.wasm", other())
        await until(lambda: place.is_ready() and place.is_ready("mark"), "both are loaded")
        await place.registry.load(path.as_uri(), name=None, progress=silent)
        path.unlink()
        (place.drop / "mark.wasm").unlink()
        await until(lambda: place.is_away("mark"), "what was not loaded by hand is away")
        assert place.is_ready()


# --- files that are being written -----------------------------------------------------------


async def test_a_whole_component_is_not_loaded_while_its_writer_pauses(place: Place) -> None:
    async with followed(place.follower(allowed=True)):
        with (place.drop / "a-slow.wasm").open("wb") as slow:
            slow.write(guests.guest_bytes("add"))
            slow.flush()
            # By its name it comes later as well: of two that have settled it is the second.
            place.put("mark.wasm", other())
            await until(lambda: place.is_ready("mark"), "a file that came later is loaded")
            assert place.record("a-slow") is None
        await until(lambda: place.is_ready("a-slow"), "it is loaded when it is closed")


async def test_a_truncated_file_is_refused_and_loaded_when_it_is_whole(place: Place) -> None:
    whole = guests.guest_bytes("add")
    async with followed(place.follower(allowed=True)):
        path = place.put("add.wasm", whole[: len(whole) // 2])
        await place.noticed("refused", "add.wasm")
        assert place.record() is None
        with path.open("ab") as file:
            file.write(whole[len(whole) // 2 :])
        await until(place.is_ready, "the rest has come")
    record = place.record()
    assert record is not None
    assert record.tools[0].name == "add"


async def test_a_file_that_goes_while_it_is_compiled_is_not_there_afterwards(place: Place) -> None:
    components = Held(place.registry)
    notices = Notices(Store(place.registry._store.root))
    held = Follower(place.drop, components, notices, allowed=True, pace=PACE)
    async with followed(held):
        path = place.put("add.wasm")
        await components.prepared.wait()
        path.unlink()
        place.put("mark.wasm", other())
        components.go_on.set()
        await until(lambda: place.is_ready("mark"), "the next one is loaded")
        await until(lambda: not place.is_ready(), "what is gone is away")
        assert list(place.registry.catalog()) == ["t000"]


class Held:
    """Compiles for real, and holds the result back until it may go on; fails to keep at first."""

    def __init__(self, registry: Registry, *, fails: int = 0) -> None:
        self._registry = registry
        self.audit = registry.audit
        self.records = registry.records
        self.follow = registry.follow
        self.prepared = anyio.Event()
        self.go_on = anyio.Event()
        self.fails = fails

    async def prepare_noticed(self, noticed: Noticed, **more: Any) -> Draft:
        draft = await self._registry.prepare_noticed(noticed, **more)
        self.prepared.set()
        await self.go_on.wait()
        return draft

    async def keep(self, draft: Draft, *, client: str | None = None) -> Loaded:
        if self.fails:
            self.fails -= 1
            raise StoreError("the disk is full; free some space")
        return await self._registry.keep(draft, client=client)


async def test_a_failure_that_is_not_the_files_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "AGAIN_S", 0.01)
    components = Held(place.registry, fails=2)
    components.go_on.set()
    notices = Notices(Store(place.registry._store.root))
    with capture_logs() as logged:
        async with followed(Follower(place.drop, components, notices, allowed=True, pace=PACE)):
            place.put("add.wasm")
            await until(place.is_ready, "it is loaded in the end")
    assert [each["why"] for each in logged if each["event"] == "local.trouble"] == [
        "the disk is full; free some space"
    ]


# --- files that are none --------------------------------------------------------------------


async def test_what_can_not_be_loaded_is_told_once_and_recorded_with_its_source(
    place: Place,
) -> None:
    place.put("bad.wasm", b"no WebAssembly")
    place.put("-.wasm")
    (place.drop / "link.wasm").symlink_to("/bin/sh")
    names = ("bad.wasm", "-.wasm", "link.wasm")
    with capture_logs() as logged:
        async with followed(place.follower()):
            await place.noticed("refused", *names)
            # Each look after this one sees them again.
            place.put("add.wasm")
            await until(lambda: any("local.waiting" in each["event"] for each in logged), "more")
    told = [each["source"] for each in logged if each["event"] == "local.refused"]
    sources = sorted((place.drop / name).as_uri() for name in names)
    assert sorted(told) == sources
    refused = place.audited("refusal")
    assert sorted(each["source"] for each in refused) == sources
    assert {each["client"] for each in refused} == {"local-components"}


async def test_an_id_that_is_taken_is_free_when_its_component_is_unloaded(
    place: Place, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "add.wasm"
    elsewhere.write_bytes(other())
    await place.registry.load(elsewhere.as_uri(), name=None, progress=silent)
    async with followed(place.follower(allowed=True)):
        place.put("add.wasm")
        [refused] = await place.noticed("refused", "add.wasm")
        assert elsewhere.as_uri() in refused.reason
        await place.registry.unload(ADD)
        await until(lambda: list(place.registry.catalog()) == ["add"], "it has the id now")


# --- the directory itself -------------------------------------------------------------------


async def test_a_directory_may_be_missing_and_be_deleted_and_made_again(place: Place) -> None:
    place.drop.rmdir()
    with capture_logs() as logged:
        async with followed(place.follower(allowed=True)):
            await until(lambda: logged, "it is said that it is not there")
            place.drop.mkdir(mode=0o755)
            path = place.put("add.wasm")
            await until(place.is_ready, "it is loaded from the new directory")
            path.unlink()
            place.drop.rmdir()
            await until(place.is_away, "it is gone with the directory")
            place.drop.mkdir(mode=0o755)
            place.put("add.wasm")
            await until(place.is_ready, "it is back")
    missing = [each for each in logged if "is not there" in each.get("why", "")]
    assert len(missing) == 2


async def test_while_others_may_write_to_it_nothing_is_loaded_and_nothing_goes(
    place: Place,
) -> None:
    with capture_logs() as logged:
        async with followed(place.follower(allowed=True)):
            path = place.put("add.wasm")
            await until(place.is_ready, "it is loaded")
            place.drop.chmod(0o777)
            await until(lambda: any("chmod" in each.get("why", "") for each in logged), "said")
            path.unlink()
            place.put("mark.wasm", other())
            place.drop.chmod(0o755)
            await until(lambda: place.is_ready("mark"), "it is followed again")
            await until(place.is_away, "and what went meanwhile is away")


async def test_only_the_start_counts_if_only_the_start_is_asked_for(place: Place) -> None:
    place.put("add.wasm")
    await place.follower(allowed=True).start()
    assert place.is_ready()
    place.put("mark.wasm", other())
    (place.drop / "add.wasm").unlink()
    await place.follower(allowed=True).start()
    assert place.is_away()
    assert place.is_ready("mark")


async def test_the_start_waits_for_a_file_that_is_being_written_and_for_no_later_one(
    place: Place,
) -> None:
    place.put("add.wasm")
    with (place.drop / "slow.wasm").open("wb") as slow:
        slow.write(other(2))
        slow.flush()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place.follower(allowed=True).start)
            await until(place.is_ready, "what had settled is loaded")
            place.put("late.wasm", other())
            slow.close()
    assert place.is_ready("slow")
    assert place.record("late") is None


async def test_two_servers_that_follow_one_directory_do_everything_once(place: Place) -> None:
    async with followed(place.follower(allowed=True), place.follower(allowed=True)):
        path = place.put("add.wasm")
        await until(place.is_ready, "it is loaded")
        path.unlink()
        await until(place.is_away, "it is away")
        place.put("add.wasm")
        await until(place.is_ready, "it is back")
    assert len(place.audited("unload")) == 1
    assert [each["why"] for each in place.audited("load") if "why" in each] == [
        "its file is there again, with the same bytes"
    ]


async def test_a_burst_of_changes_ends_as_the_directory_is(place: Place) -> None:
    contents = [other(count) for count in (1, 2, 3)]
    async with followed(place.follower(allowed=True)):
        for number in range(99):
            place.put(f"c{number % 9}.wasm", contents[number % 3])
        (place.drop / "c8.wasm").unlink()
        expected = {f"c{number}": 1 + (90 + number) % 3 for number in range(8)}

        def as_it_is() -> bool:
            records = place.registry.records().values()
            return {each.id: len(each.tools) for each in records if not each.away} == expected

        await until(as_it_is, "all that is there is loaded, and nothing else")


async def test_a_store_that_can_not_be_written_ends_nothing(place: Place) -> None:
    with capture_logs() as logged:
        async with followed(place.follower()):
            place.put("add.wasm")
            await place.noticed("waiting", "add.wasm")
            notices = place.registry._store.root / "local"
            await run_sync(replace_by_a_file, notices)
            place.put("mark.wasm", other())
            await until(lambda: any("can't" in each.get("why", "") for each in logged), "said")
            notices.unlink()
            await place.noticed("waiting", "add.wasm", "mark.wasm")


async def test_a_fault_of_ours_is_logged_and_the_directory_followed_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "AGAIN_S", 0.01)
    faults = iter([RuntimeError("a bug")])
    watch = Follower.watch

    async def watch_at_last(each: Follower) -> None:
        for fault in faults:
            raise fault
        await watch(each)

    monkeypatch.setattr(Follower, "watch", watch_at_last)
    flags = {"local_components": place.drop, "approve": "allow"}
    given = settings.load(flags, {"HOME": "/nonexistent"})
    with capture_logs() as logged:
        async with anyio.create_task_group() as tasks:
            store = place.registry._store
            tasks.start_soon(app._follow, given, place.registry, Notices(store))
            place.put("add.wasm")
            await until(place.is_ready, "it is loaded all the same")
            tasks.cancel_scope.cancel()
    assert [each["event"] for each in logged if each["log_level"] == "error"] == ["local.failed"]


def replace_by_a_file(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.touch()
