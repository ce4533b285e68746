"""Stores of many components: one that was loaded, and copies under other ids and digests."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import msgspec
from benchmarks.conftest import COMMAND, environment

from support.guests import guest_bytes, guest_path
from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.store.record import Record, encoded
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

POLICY = b'version: "1.0"\npermissions: {environment: {allow: [{key: TZ, value: UTC}]}}\n'


def make(root: Path, count: int) -> Path:
    """A store of so many components; every other one has a policy.

    The files are what loads would have written, byte for byte but for the compiled code, which
    they lack; they are not synced, or a thousand took a minute.
    """
    command = [str(COMMAND), "component", "load", str(guest_path("add")), "--component-dir"]
    subprocess.run(  # noqa: S603 - our own command
        [*command, str(root)], env=environment(root), stdout=subprocess.DEVNULL, check=True
    )
    record = Store(root).record(ComponentId("add"))
    for number in range(count - 1):
        _copy(root, record, number)
    assert len(Store(root).records()) == count
    return root


def _copy(root: Path, record: Record, number: int) -> None:
    component = ComponentId(f"component-{number:04}")
    # Of its own digest: a custom section, as toolchains add.
    section = b"\x04name" + component.encode()
    code = guest_bytes("add") + bytes([0, len(section)]) + section
    digest = Digest(hashlib.sha256(code).hexdigest())
    (root / "blobs" / "sha256" / digest).write_bytes(code)
    [tool] = record.tools
    has_policy = number % 2 == 0
    copy = msgspec.structs.replace(
        record,
        id=component,
        digest=digest,
        loaded=record.loaded + number + 1,
        tools=[msgspec.structs.replace(tool, name=f"{component}_{tool.name}")],
        policy=hashlib.sha256(POLICY).hexdigest() if has_policy else "",
    )
    if has_policy:
        (root / "components" / f"{component}.policy.yaml").write_bytes(POLICY)
    (root / "components" / f"{component}.json").write_bytes(encoded(copy))
