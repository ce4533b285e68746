"""The zygote: `python -I -m wassette_worker.zygote`, with an empty environment.

Has the engine loaded and forks what needs it. It handles no untrusted byte, no secret and no
capability; only numbers and descriptors pass through it. It has one thread and never makes a
store or a WASI configuration: every fork would draw the same random bytes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal

from wassette_protocol import frames
from wassette_protocol.codec import TO_ZYGOTE
from wassette_worker import compiler, template
from wassette_worker.channel import Packets
from wassette_worker.children import Children, leave
from wassette_worker.engine import build_engine, engine_key
from wassette_worker.sandbox import doorbell, kernel, namespaces, seccomp
from wassette_worker.sandbox.descriptors import CONTROL
from wassette_worker.sandbox.libc import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, name_process, prctl
from wassette_worker.sandbox.placement import Placement


def main() -> None:
    name_process("wassette-zygote")
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_DUMPABLE, 0)
    os.set_inheritable(CONTROL, False)  # noqa: FBT003 - the standard library's
    engine = build_engine()
    lacking = _prepared()
    # Children share these pages for good: no collection may touch them.
    gc.collect()
    gc.freeze()
    gc.disable()
    channel = Packets(CONTROL, TO_ZYGOTE)
    channel.send(frames.ZygoteReady(engine_key(), namespaces.refusal()[:500], lacking))

    def start(request: frames.StartTemplate | frames.StartCompiler, received: list[int]) -> int:
        pid, placement = _fork(request)
        if pid == 0:
            try:
                _be_child(request, placement, received)
            finally:
                leave()
        return pid

    def _be_child(
        request: frames.StartTemplate | frames.StartCompiler,
        placement: Placement,
        received: list[int],
    ) -> None:
        if isinstance(request, frames.StartCompiler) and placement.namespaces:
            compiler.live_below_init(engine, placement, received)
        elif isinstance(request, frames.StartCompiler):
            compiler.live(engine, placement, received)
        elif request.fresh_interpreters:
            template.live_starting_fresh(placement, request, received)
        else:
            template.live_forking(engine, placement, request, received)

    Children(channel, _descriptors).serve(start)


def _prepared() -> dict[str, str]:
    """What the kernel lacks; and each filter, built once for all children."""
    lacking = dict(kernel.lacking())
    if kernel.SECCOMP not in lacking:
        seccomp.build_ahead()
        if why := doorbell.refusal():
            lacking[kernel.DOORBELL] = why
    else:
        lacking[kernel.DOORBELL] = lacking[kernel.SECCOMP]
    return lacking


def _descriptors(request: frames.StartTemplate | frames.StartCompiler) -> int:
    """Socket and pipe; and the directories of a hull, or a component and its artefact."""
    return 4 if isinstance(request, frames.StartCompiler) else 2 + len(request.hull)


def _fork(request: frames.StartTemplate | frames.StartCompiler) -> tuple[int, Placement]:
    parent = os.getpid()
    identity = request.identity
    if not request.namespaces:
        return os.fork(), Placement(namespaces=False, identity=identity, parent=parent)
    mapped = [identity or frames.Identity(os.geteuid(), os.getegid())]
    if identity and isinstance(request, frames.StartTemplate) and request.fresh_interpreters:
        # A fresh interpreter has to read its library before it becomes somebody else.
        mapped.append(frames.Identity(0, 0))
    pid = namespaces.fork_into_namespaces(mapped)
    return pid, Placement(namespaces=True, identity=identity, parent=None)


if __name__ == "__main__":
    # A supervisor that is gone before the first word is no trouble of ours.
    with contextlib.suppress(ConnectionError):
        main()
