"""Damage disables what it is in, is told, is mended of what is whole, and grants nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest
import wasmtime

from support import damage, guests
from support.pools import settings_for
from wassette_protocol.frames import ComponentId
from wassette_supervisor.app import granter
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import Wanted, entries
from wassette_supervisor.authority.changes import NotApprovedError
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.components.calls import DamagedComponentError, PolicyUnusableError
from wassette_supervisor.components.registry import Registry
from wassette_supervisor.doctor.places import _entries
from wassette_supervisor.errors import StoreError, SupervisorError, UnknownComponentError
from wassette_supervisor.pool.pool import open_pool
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from wassette_supervisor.components.faults import Fault
    from wassette_supervisor.components.repair import Repaired
    from wassette_supervisor.pool.pool import Pool

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

VICTIM, BYSTANDER = ComponentId("victim"), ComponentId("bystander")
ADD = (guests.SOURCES / "wat/add.wat").read_text()
POLICY = b"""version: "1.0"
permissions:
  environment:
    allow:
    - key: TZ
      value: UTC
    - key: TOKEN
      value_from: {secret: TOKEN}
"""
OTHER = POLICY.replace(b"TZ", b"LANG")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[Pool]:
    async with open_pool(settings_for()) as made:
        yield made


class Place:
    """A store with two components, and servers on it."""

    def __init__(self, folder: Path, pool: Pool) -> None:
        self.folder = folder
        self.root = folder / "store"
        self._pool = pool
        self._logs: list[AuditLog] = []
        self._settings = settings_for(component_dir=self.root, workspace=folder)
        self.running = self.started()

    def started(self) -> Registry:
        """A server that starts now."""
        store = Store(self.root)
        permissions = Permissions(store, granter(self._settings))
        self._logs.append(AuditLog(self.root / "audit"))
        return Registry(store, self._pool, self._settings, permissions, self._logs[-1])

    def close(self) -> None:
        """Give back the descriptors of its servers, of which a user may have a thousand."""
        for log in self._logs:
            log.close()

    async def fill(self) -> None:
        for component, policy in ((VICTIM, POLICY), (BYSTANDER, OTHER)):
            file = self.source(component)
            # Of its own, so that no template of another test has it: a custom section.
            section = b"\x01n" + os.urandom(16)
            text = ADD.replace('(export "add") (param "a"', f'(export "{component}") (param "a"')
            file.write_bytes(wasmtime.wat2wasm(text) + bytes([0, len(section)]) + section)
            await self.running.load(file.as_uri(), name=component, progress=silent, policy=policy)
            await self.running.rights.set_secrets(component, {"TOKEN": f"of {component}"})

    def source(self, component: ComponentId) -> Path:
        return self.folder / f"{component}.wasm"

    def file(self, part: str, component: ComponentId) -> Path:
        """Where a part of a component is kept."""
        digest = self.running.records()[component].digest
        names = {
            "record": f"components/{component}.json",
            "policy": f"components/{component}.policy.yaml",
            "secrets": f"secrets/{component}.json",
            "component": f"blobs/sha256/{digest}",
            "code": f"artefacts/{digest}-{self._pool.engine_key}.cwasm",
        }
        names["code's digest"] = f"{names['code']}.sha256"
        return self.root / names[part]

    def damage(self, part: str, kind: str) -> Path:
        path = self.file(part, VICTIM)
        damage.KINDS[kind](path, self.file(part, BYSTANDER))
        return path

    def faults(self) -> list[Fault]:
        """Of the victim; nothing is wrong with the other, whoever looks."""
        found = self.started().repairs.faults()
        assert set(found) <= {VICTIM}
        return found.get(VICTIM, [])

    def is_fit(self) -> bool:
        """What `doctor` says of the store."""
        return _entries(self.root).holds


@pytest.fixture
async def place(tmp_path: Path, pool: Pool) -> AsyncIterator[Place]:
    made = Place(tmp_path, pool)
    await made.fill()
    yield made
    made.close()


async def silent(_: str) -> None:
    pass


def tool_of(server: Registry, component: ComponentId) -> str | None:
    return next(
        (name for name, (record, _) in server.catalog().items() if record.id == component), None
    )


async def works(server: Registry, component: ComponentId = VICTIM) -> bool:
    tool = tool_of(server, component)
    if tool is None:
        return False
    outcome = await server.call(tool, {"a": 1, "b": 2})
    return outcome.value == {"result": 3}


async def why_not(server: Registry) -> type[SupervisorError]:
    with pytest.raises(SupervisorError) as error:
        await works(server)
    return error.type


async def repaired(place: Place) -> Repaired:
    """What one repair does; it is on record, and another has nothing more to do."""
    server = place.started()
    with anyio.fail_after(30):
        done = await server.repairs.repair(VICTIM, silent)
    recorded = [
        entry.detail["part"]
        for entry in entries(place.root / "audit", Wanted(VICTIM, Event.REPAIR))
        if not isinstance(entry, tuple) and entry.detail
    ]
    assert recorded == [mended.part for mended in done.mended]
    again = await place.started().repairs.repair(VICTIM, silent)
    assert (again.mended, again.left) == ([], done.left)
    assert await works(server, BYSTANDER)
    return done


def looks(path: Path) -> tuple[int, ...]:
    if not os.path.lexists(path):
        return ()
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def parts(found: list[Fault]) -> list[tuple[str, bool]]:
    assert all("\n" not in fault.text and fault.advice for fault in found)
    return [(fault.part, fault.held) for fault in found]


def kinds(*but: str) -> pytest.MarkDecorator:
    rows = [kind for kind in damage.KINDS if kind not in {*damage.harmless(), *but}]
    return pytest.mark.parametrize("kind", rows)


@kinds("missing")
async def test_a_damaged_record_takes_its_tools_away_until_it_is_made_anew(
    place: Place, kind: str
) -> None:
    place.damage("record", kind)
    for server in (place.running, place.started()):
        assert await works(server, BYSTANDER)
    assert tool_of(place.started(), VICTIM) is None
    assert list(place.started().damaged()) == ["victim.json"]
    assert parts(place.faults()) == [("record", False)]
    assert not place.is_fit()

    done = await repaired(place)
    assert [mended.part for mended in done.mended] == ["record"]
    # The approval was in the record: what is in the policy's file is not in force without.
    assert parts(done.left) == [("policy", True)]
    for server in (place.running, place.started()):
        assert tool_of(server, VICTIM)
        assert await why_not(server) is NotApprovedError
    await place.running.rights.approve(VICTIM)
    assert await works(place.started())
    assert place.is_fit()


@kinds()
async def test_damaged_bytes_are_told_and_read_again_from_where_they_were_loaded(
    place: Place, kind: str
) -> None:
    place.damage("component", kind)
    assert parts(place.faults()) == [("component", False)]
    assert not place.is_fit()
    # What was compiled of the right bytes is whole.
    assert await works(place.running)

    source = place.source(VICTIM)
    source.rename(f"{source}.moved")
    source.write_bytes(guests.guest_bytes("add"))
    done = await repaired(place)
    assert done.mended == []
    assert "is another component" in done.left[0].why
    source.unlink()
    done = await repaired(place)
    assert "could not be read" in done.left[0].why

    source.with_name(f"{source.name}.moved").rename(source)
    done = await repaired(place)
    assert ([mended.part for mended in done.mended], done.left) == (["component"], [])
    assert place.is_fit()
    assert await works(place.started())


@pytest.mark.parametrize("part", ["code", "code's digest"])
@kinds()
async def test_damaged_compiled_code_stops_no_call_and_is_compiled_again(
    place: Place, part: str, kind: str
) -> None:
    path = place.damage(part, kind)
    assert place.faults() == []
    absent = part == "code" and kind == "missing"
    assert place.is_fit() == absent
    done = await repaired(place)
    assert [mended.part for mended in done.mended] == [] if absent else ["compiled code"]
    assert done.left == []
    if not absent:
        assert path.is_file()
        damage.KINDS[kind](path, place.file(part, BYSTANDER))
    assert await works(place.running)
    assert await works(place.running, BYSTANDER)
    assert path.is_file()
    assert place.is_fit()


@kinds()
async def test_a_damaged_policy_leaves_its_component_without_rights_until_one_is_set(
    place: Place, kind: str
) -> None:
    path = place.damage("policy", kind)
    for server in (place.running, place.started()):
        assert await why_not(server) in (NotApprovedError, PolicyUnusableError)
        assert server.permissions.attached(server.records()[VICTIM]).policy is None
        assert await works(server, BYSTANDER)
    # One that somebody could have written waits for an approval.
    assert parts(place.faults()) in ([("policy", False)], [("policy", True)])
    if kind != "one-bit":
        assert place.faults()[0].held == (kind == "another-component's")
    assert place.is_fit() == place.faults()[0].held

    before = looks(path)
    done = await repaired(place)
    assert done.mended == []
    assert parts(done.left) == parts(place.faults())
    assert looks(path) == before
    assert await why_not(place.started()) in (NotApprovedError, PolicyUnusableError)

    await place.running.rights.set_policy(VICTIM, POLICY)
    assert place.faults() == []
    for server in (place.running, place.started()):
        assert await works(server)


@kinds("missing")
async def test_damaged_secrets_are_given_to_nobody_until_they_are_set_again(
    place: Place, kind: str
) -> None:
    path = place.damage("secrets", kind)
    for server in (place.running, place.started()):
        assert await why_not(server) is DamagedComponentError
        assert await works(server, BYSTANDER)
    assert parts(place.faults()) == [("secrets", False)]
    assert not place.is_fit()
    done = await repaired(place)
    assert done.mended == []
    assert parts(done.left) == [("secrets", False)]
    with pytest.raises(StoreError, match="set them again"):
        await place.running.rights.set_secrets(VICTIM, {"TOKEN": "new"})

    path.rename(f"{path}.moved")
    await place.running.rights.set_secrets(VICTIM, {"TOKEN": "new"})
    assert place.faults() == []
    for server in (place.running, place.started()):
        assert await works(server)


async def test_secrets_that_are_gone_are_told_by_each_call_and_nothing_is_made_up(
    place: Place,
) -> None:
    place.damage("secrets", "missing")
    assert place.faults() == []
    server = place.started()
    granted = server.permissions.granted(server.records()[VICTIM], "victim")
    assert dict(granted.grants.environment) == {"TZ": "UTC"}
    assert granted.missing == ("variable TOKEN: there is no secret TOKEN",)


async def test_a_record_that_is_gone_comes_back_by_its_id_unless_it_was_unloaded(
    place: Place,
) -> None:
    place.damage("record", "missing")
    server = place.started()
    assert await server.repairs.repair_all(silent) == []
    done = await server.repairs.repair(VICTIM, silent)
    assert [mended.part for mended in done.mended] == ["record"]
    assert await why_not(place.running) is NotApprovedError

    await server.unload(VICTIM)
    with pytest.raises(UnknownComponentError):
        await server.repairs.repair(VICTIM, silent)
    assert tool_of(place.started(), VICTIM) is None


async def test_a_damaged_record_without_a_log_can_not_be_made_anew_and_can_be_loaded_or_unloaded(
    place: Place,
) -> None:
    place.damage("record", "empty")
    (place.root / "audit").rename(place.folder / "audit")
    done = await place.started().repairs.repair(VICTIM, silent)
    assert done.mended == []
    assert "the audit log does not tell" in done.left[0].why
    assert "component load FILE --name victim" in done.left[0].advice
    source = place.source(VICTIM).as_uri()
    await place.running.load(source, name=VICTIM, progress=silent)
    assert place.faults() == []
    # Nothing that was left of the damaged one is this one's.
    assert place.running.permissions.attached(place.running.records()[VICTIM]).state == "none"
    assert await works(place.started())


async def test_all_that_is_damaged_is_repaired_at_once_by_two_who_try(place: Place) -> None:
    for part in ("record", "component"):
        place.damage(part, "one-bit")
    repaired: list[Repaired] = []

    async def repair() -> None:
        repaired.extend(await place.started().repairs.repair_all(silent))

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(repair)
    mended = [mended.part for each in repaired for mended in each.mended]
    assert mended.count("record") == 1
    assert parts(place.faults()) == [("policy", True)]
    await place.running.rights.approve(VICTIM)
    assert await works(place.running)


async def test_without_any_bytes_or_compiled_code_the_tools_are_listed_as_before(
    place: Place,
) -> None:
    before = place.started().catalog()
    for folder in ("blobs/sha256", "artefacts"):
        for path in (place.root / folder).iterdir():
            path.unlink()
    for server in (place.running, place.started()):
        assert server.catalog() == before
        with pytest.raises(StoreError, match="run `component repair --all`"):
            await works(server)
    repaired = await place.started().repairs.repair_all(silent)
    assert [[mended.part for mended in each.mended] for each in repaired] == [["component"]] * 2
    for server in (place.running, place.started()):
        assert await works(server)
        assert await works(server, BYSTANDER)


async def test_code_that_was_compiled_for_another_engine_is_left_alone_and_not_run(
    place: Place,
) -> None:
    code = place.file("code", VICTIM)
    digest = place.running.records()[VICTIM].digest
    store = Store(place.root)
    with store.writing():
        store.remove_artefact(code)
        with code.with_name("garbage").open("w+b") as garbage:
            garbage.write(b"code of another processor")
            garbage.flush()
            store.add_artefact(digest, "0" * 32, garbage.fileno(), 25)
    assert await works(place.started())
    assert code.is_file()
    assert code.with_name(f"{digest}-{'0' * 32}.cwasm").is_file()
