"""A worker in an interpreter of its own: `python -I -m wassette_worker.fresh`.

Slower than a fork by the start of an interpreter, but with an address layout that no other
process shares.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import msgspec

from wassette_protocol import frames
from wassette_protocol.capabilities import Reach, Storage
from wassette_protocol.codec import TO_TEMPLATE, TO_WORKER
from wassette_worker import worker
from wassette_worker.channel import Stream
from wassette_worker.children import leave
from wassette_worker.engine import build_engine
from wassette_worker.guest import Guest, open_output
from wassette_worker.sandbox import descriptors, identity, lists, lockdown, rlimits
from wassette_worker.sandbox.doorbell import Bell
from wassette_worker.sandbox.libc import name_process
from wassette_worker.sandbox.placement import Placement

_TOLD, _ARTEFACT, _SHIMS = descriptors.extras(3)


class Child(msgspec.Struct, frozen=True, array_like=True):
    """What the fresh interpreter must know of its place; passed as one argument of numbers."""

    identity: frames.Identity | None
    namespaces: bool
    parent: int
    storage: Storage
    hull: list[Reach]


def become_interpreter(child: Child, told: bytes, received: list[int]) -> NoReturn:
    """Replace this forked process.

    `received` are its socket, output, artefact, shims and handles on the hull's directories.
    """
    control, output, *given = received
    memory = os.memfd_create("prepare", os.MFD_CLOEXEC)
    os.write(memory, told)
    os.lseek(memory, 0, os.SEEK_SET)
    descriptors.keep_only(control, output, [memory, *given])
    for number in range(_TOLD + 1 + len(given)):
        os.set_inheritable(number, True)  # noqa: FBT003 - the standard library's
    if child.identity is None:
        # The exec takes an ordinary user's, and with them the right to empty the bounding set.
        identity.drop_capabilities()
    place = msgspec.json.encode(child).decode()
    arguments = [sys.executable, "-I", "-m", "wassette_worker.fresh", place]
    os.execve(sys.executable, arguments, {})  # noqa: S606 - our own interpreter


def main() -> None:
    child = msgspec.json.decode(sys.argv[1], type=Child)
    placement = Placement(child.namespaces, child.identity, child.parent)
    name_process("wassette-worker")
    with os.fdopen(_TOLD, "rb", closefd=False) as told:
        prepare = TO_TEMPLATE.decode(told.read())
    if not isinstance(prepare, frames.Prepare):
        sys.exit(1)
    engine = build_engine()
    hull = descriptors.extras(len(child.hull), after=3)

    def keep() -> None:
        # What was inherited is all there is; none of it survives into another program.
        os.close(_TOLD)
        descriptors.assert_only(descriptors.FIRST_EXTRA, beside=(_ARTEFACT, _SHIMS, *hull))

    first = lockdown.lock_down(
        lists.fresh_worker(
            placement,
            keep,
            lambda: rlimits.limit_worker(prepare.limits.memory, child.storage),
            lists.widest(child.storage, network=prepare.network),
            list(zip(hull, child.hull, strict=True)),
        )
    )
    guest = Guest(engine, _ARTEFACT, _SHIMS, prepare)
    for number in (_ARTEFACT, _SHIMS, *hull):
        os.close(number)
    channel = Stream(descriptors.CONTROL, TO_WORKER)
    config = open_output()
    bell = Bell()
    last = lockdown.lock_down(lists.fresh_worker_last(guest.profile(child.storage), bell))
    try:
        worker.live(channel, guest, config, first + last, bell)
    finally:
        leave()  # here: later the interpreter would look at what it takes apart


if __name__ == "__main__":
    try:
        main()
    finally:
        leave()
