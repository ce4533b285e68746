"""The broker's process: `python -I -m wassette_supervisor.broker START`, with an empty environment.

Everything that it will ever load is loaded here, and every certificate is read: then it is locked
down, by the steps that workers have, and opens no file again. What it writes to descriptor 2 are
lines for the operator's log.
"""

from __future__ import annotations

import codecs
import gc
import logging
import os
import signal
import socket
import sys
from typing import NoReturn

import anyio
import anyio._backends._asyncio
import msgspec

from wassette_protocol.broker_frames import BrokerReady, StartBroker
from wassette_protocol.codec import encode_body
from wassette_supervisor.broker import trust
from wassette_supervisor.broker.exchange import World
from wassette_supervisor.broker.service import Service, say
from wassette_worker.sandbox import descriptors, lists, lockdown, rlimits
from wassette_worker.sandbox.libc import name_process
from wassette_worker.sandbox.placement import Placement

_MAX_AUTHORITIES = 16 << 20
_OUTPUT = 2
# What Python looks for by its name when it is first used.
_CODECS = ("ascii", "idna", "latin-1", "punycode", "utf-8")
_REMEDY = "install the system's (ca-certificates), or name a file with --ca-file"
# What no word of a request can be in.
_PLAIN = (lockdown.LockdownError, trust.AuthoritiesError)
# Its own, and room for what is just being closed.
_FEW = 64
# A connection of a worker, and what is opened for it towards the world: addresses that are tried at
# once, a name server. Workers and idle connections have numbers, too.
_NUMBERS_EACH = 4


def leave(why: str) -> NoReturn:
    """End this process at once; `why` if that was not asked for."""
    if why:
        say(why)
    os._exit(1 if why else 0)


def main() -> None:
    name_process("wassette-broker")
    start = msgspec.json.decode(sys.argv[1], type=StartBroker)
    tls = trust.context(_authorities(start.authorities))
    if not tls.cert_store_stats()["x509_ca"]:
        say("no certificate of an authority is here, so no https request succeeds; " + _REMEDY)
    _load_the_rest()
    connections = max(1, (rlimits.files_of_broker() - _FEW) // _NUMBERS_EACH)
    world = World(tls)
    placement = Placement(namespaces=False, identity=start.identity, parent=start.parent)

    def keep() -> None:
        descriptors.keep_only(start.control, _OUTPUT, [])

    os.set_blocking(_OUTPUT, False)
    steps = lockdown.lock_down(lists.broker(placement, keep))
    kind = socket.AF_UNIX, socket.SOCK_SEQPACKET, 0  # said, so that the kernel isn't asked
    peer = socket.socket(*kind, fileno=descriptors.CONTROL)
    peer.send(encode_body(BrokerReady(steps)))
    anyio.run(Service(peer, world, connections, leave).run)


def _authorities(number: int | None) -> bytes:
    if number is None:
        return b""
    with os.fdopen(number, "rb") as file:
        return file.read(_MAX_AUTHORITIES)


def _load_the_rest() -> None:
    for name in _CODECS:
        codecs.lookup(name)
    # A text of it could have words of a request.
    logging.disable()
    # Needed to the end: a collection that goes through it keeps every request waiting for 20 ms.
    gc.freeze()
    # The event loop sets a handler of its own in its place.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    try:
        main()
    except BaseException as failure:  # noqa: BLE001 - said here, for later nothing can be looked up
        detail = f": {failure}" if isinstance(failure, _PLAIN) else ""
        leave(f"the broker ends by {type(failure).__name__}{detail}")
