"""Stores to break, what is done to them, and what is seen in them afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from wassette_protocol.frames import Compiled, ComponentId, Digest, Export, Tool
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.components.drafts import Draft
from wassette_supervisor.components.registry import Registry
from wassette_supervisor.components.source import Fetched
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.store.record import Record
from wassette_supervisor.store.secrets import Secrets
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.pool.pool import Pool

ENGINE = "50.0.1-abc"
LANG = rule_from_words("environment-variable", "LANG")
NARROW = b'version: "1.0"\npermissions: {environment: {allow: [{key: TZ}]}}\n'
EDITED = b'version: "1.0"\npermissions: {environment: {allow: [{key: EDITED}]}}\n'


@dataclass
class _NoPool:
    """What loading and unloading ask of a pool."""

    engine_key: str = ENGINE

    def forget(self, digest: Digest) -> None:
        pass


class Place:
    """A store and all that writes to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root)
        given = settings.load({"component_dir": root}, {"HOME": str(root.parent)})
        self.permissions = Permissions(self.store, granter(given))
        self.audit = AuditLog(root / "audit")
        pool = cast("Pool", _NoPool())
        self.registry = Registry(self.store, pool, given, self.permissions, self.audit)

    def load(self, name: str, code: bytes, policy: bytes | None = None) -> None:
        draft = _draft(name, code)
        try:
            self.registry._keep(draft, policy, None, None)
        finally:
            draft.close()
            self.audit.close()

    def unload(self, name: str) -> None:
        try:
            self.registry._remove(ComponentId(name), None)
        finally:
            self.audit.close()

    def collect(self) -> None:
        with self.store.writing():
            self.store.collect()

    def keep_artefact(self, code: bytes) -> None:
        memory = _memory(_compiled(code))
        try:
            with self.store.writing():
                self.store.add_artefact(digest(code), ENGINE, memory, len(_compiled(code)))
        finally:
            os.close(memory)

    def look_at_artefact(self, code: bytes) -> None:
        found = self.store.load_artefact(digest(code), ENGINE)
        if found is not None:
            os.close(found)


class Seen(NamedTuple):
    """What a reader finds of one component."""

    record: Record
    state: str
    policy: bytes | None
    secrets: dict[str, str]


def digest(code: bytes) -> Digest:
    return Digest(hashlib.sha256(code).hexdigest())


def policy(*variables: str) -> bytes:
    allowed = ", ".join(f"{{key: {variable}}}" for variable in variables)
    return f'version: "1.0"\npermissions: {{environment: {{allow: [{allowed}]}}}}\n'.encode()


def prepare(root: Path) -> None:
    """A store with components in all states, and with what killed writers left."""
    place = Place(root)
    for name in ("bystander", "one", "bare", "edited", "along"):
        place.load(name, name.encode())
    for name in ("bystander", "one", "edited"):
        place.permissions.set_policy(ComponentId(name), policy("HOME", "TZ"))
    place.permissions.secrets.set(ComponentId("bystander"), {"TOKEN": "of the bystander"})
    place.permissions.secrets.set(ComponentId("one"), {"TOKEN": "1", "KEY": "2"})
    place.permissions.secrets.set(ComponentId("bare"), {"TOKEN": "3"})
    place.permissions.path(ComponentId("edited")).write_bytes(EDITED)
    with place.store.writing():  # as a load that was killed
        along = place.store.records()[ComponentId("along")]
        place.store.save(place.permissions.taken_along(along, policy("HOME")))
    _leave(root)


def _leave(root: Path) -> None:
    """What writers left that were killed."""
    unnamed = digest(b"unnamed")
    (root / "blobs" / "sha256" / unnamed).write_bytes(b"unnamed")
    (root / "artefacts" / f"{unnamed}-{ENGINE}.cwasm").write_bytes(b"compiled")
    (root / "artefacts" / f"{unnamed}-{ENGINE}.cwasm.sha256").write_bytes(b"")
    for folder in ("blobs/sha256", "artefacts", "components", "secrets"):
        (root / folder / ".tmp-0123456789abcdef").write_bytes(b"half")
    (root / "components" / "new.policy.yaml").write_bytes(policy("LEFT"))
    (root / "secrets" / "new.json").write_bytes(b'{"LEFT":"over"}')


def seen(root: Path) -> dict[str, Seen]:
    """All that a reader finds. Every byte that is found is whole."""
    place = Place(root)
    records = place.store.records()
    assert place.store.damaged == {}
    return {component: _seen(place, record) for component, record in records.items()}


def _seen(place: Place, record: Record) -> Seen:
    os.close(place.store.open_blob(record.digest))
    artefact = place.store.load_artefact(record.digest, ENGINE)
    if artefact is not None:  # one that is missing is compiled again
        with os.fdopen(artefact, "rb") as file:
            file.seek(0)
            code = place.root / "blobs" / "sha256" / record.digest
            assert file.read() == _compiled(code.read_bytes())
    attached = place.permissions.attached(record)
    secrets = Secrets(place.store).read(record.id)
    bookkeeping = {"policy": "", "policy_next": None, "policy_text": None}
    # What was allowed for a while may end with a change that then is not made: that is less.
    return Seen(
        msgspec.structs.replace(record, **bookkeeping, loaded=0, narrowed=0),
        attached.state,
        attached.text,
        secrets,
    )


def content(root: Path) -> int:
    """The same number for stores of the same content; takes no notice of the audit log."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            if name == "lock" or folder.endswith("/audit"):
                continue
            known_as = name[:5] if name.startswith(".tmp-") else name
            # What is read is short, and is read a thousand times.
            with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - half the time
                found.append((folder.removeprefix(str(root)), known_as, file.read()))
    return hash(tuple(sorted(found)))


def linked(source: Path, target: Path) -> None:
    """Copy a store: only what is written in place, for else all other copies would break."""
    for folder, _, names in os.walk(source):
        new = f"{target}{folder.removeprefix(str(source))}"
        os.mkdir(new, 0o700)  # noqa: PTH102 - half the time
        for name in names:
            copy = shutil.copy if name == "lock" or folder.endswith("/audit") else os.link
            copy(f"{folder}/{name}", f"{new}/{name}")
        os.utime(new, (0, 0))


def artefact(root: Path, code: bytes) -> Path:
    return root / "artefacts" / f"{digest(code)}-{ENGINE}.cwasm"


def garbage(root: Path) -> set[str]:
    """The files that no component has."""
    named = {"lock"}
    for component, record in Store(root).records().items():
        code = f"artefacts/{record.digest}-{ENGINE}.cwasm"
        named |= {f"blobs/sha256/{record.digest}", f"components/{component}.json"}
        named |= {f"components/{component}.policy.yaml", f"secrets/{component}.json"}
        named |= {code, f"{code}.sha256"} if (root / code).exists() else set()
    files = (path for path in root.rglob("*") if path.is_file())
    found = {str(path.relative_to(root)) for path in files}
    return {name for name in found - named if not name.startswith("audit/")}


def _draft(name: str, code: bytes) -> Draft:
    tool = Tool(Export(None, f"{name}-tool"), b'{"type":"object"}', None, code.decode())
    compiled = Compiled(len(_compiled(code)), [], [tool], [])
    fetched = Fetched(_memory(code), len(code), digest(code), name)
    record = Record(ComponentId(name), f"file:///{name}.wasm", digest(code), 1.0, [], [], [])
    return Draft(record, fetched, compiled, _memory(_compiled(code)))


def _compiled(code: bytes) -> bytes:
    return b"compiled " + code


def _memory(data: bytes) -> int:
    memory = os.memfd_create("test", os.MFD_CLOEXEC)
    os.pwrite(memory, data, 0)
    return memory
