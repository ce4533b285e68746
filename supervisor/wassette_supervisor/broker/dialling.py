"""From what a name leads to, to a connection: each address judged, and a judged one dialled."""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - Python's TLS imports it for the first name, when no file opens
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.broker import codes, wire
from wassette_supervisor.broker.codes import RequestError
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from wassette_protocol.broker_frames import AddressRules, Destination

_ATTEMPT_SECONDS = 10.0
_TLS_SECONDS = 10.0
_STAGGER_SECONDS = 0.25  # RFC 8305, 5: until the next address is tried besides
_MOST_ATTEMPTS = 8
# Of several errors the one that says most.
_TELLING = (
    "connection-refused",
    "connection-timeout",
    "destination-unavailable",
    "destination-IP-unroutable",
)


class Progress:
    """How far a request has come, for whoever ends it or writes it down."""

    def __init__(self) -> None:
        self.late = "DNS-timeout"  # what it would be if it ended now, being late
        self.address = ""  # that was dialled


class Dialled(NamedTuple):
    wire: wire.Wire
    address: str
    speaks_http2: bool


def is_address(host: str) -> bool:
    return bool(address.forms(host))


def judged(addresses: Sequence[str], rules: AddressRules) -> list[str]:
    """Those that may be dialled, as the kernel reads them.

    Raises:
        RequestError: None may.
    """
    try:
        denied = address.ranges(rules.denied)
        lifted = [address.ranges(layer) for layer in rules.lifted]
    except PolicyError:
        raise RequestError("configuration-error") from None
    good = [each for each in addresses if address.refusal(each, denied, lifted) is None]
    if not good:
        raise RequestError("destination-IP-prohibited")
    # One form for judge and kernel; twice the same is once too many.
    return list(dict.fromkeys(str(ip_address(each)) for each in good))[:_MOST_ATTEMPTS]


async def dial(
    destination: Destination, good: Sequence[str], tls: ssl.SSLContext, progress: Progress
) -> Dialled:
    """Connect to one of these addresses, which were judged.

    Raises:
        RequestError: None can be reached, or TLS failed with the one that was.
    """
    progress.late = "connection-timeout"
    progress.address = good[0]
    attempt = await (_connect if len(good) == 1 else _connect_any)(good, destination.port)
    if attempt.socket is None:
        raise RequestError(attempt.code)
    progress.address = attempt.address
    context = tls if destination.scheme == "https" else None
    try:
        async with asyncio.timeout(_TLS_SECONDS):
            connection = await wire.adopt(attempt.socket, context, destination.host)
    except (OSError, ValueError) as error:
        raise RequestError(codes.of_tls(error)) from None
    return Dialled(connection, attempt.address, connection.protocol == "h2")


class _Attempt(NamedTuple):
    address: str
    socket: socket.socket | None  # connected
    code: str = ""  # else


async def _connect(good: Sequence[str], port: int) -> _Attempt:
    """Try the first of these addresses."""
    dialled = good[0]
    family = socket.AF_INET6 if ":" in dialled else socket.AF_INET
    try:
        connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return _Attempt(dialled, None, codes.of_connect(error))
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connecting, (dialled, port))
    except OSError as error:
        connecting.close()
        return _Attempt(dialled, None, codes.of_connect(error))
    except BaseException:
        connecting.close()
        raise
    return _Attempt(dialled, connecting)


async def _connect_any(good: Sequence[str], port: int) -> _Attempt:
    """The first that can be reached; the next one is tried when one fails, or takes its time."""
    tried: list[asyncio.Task[_Attempt]] = []
    reached: _Attempt | None = None
    try:
        while reached is None and (len(tried) < len(good) or not all(map(_is_over, tried))):
            if len(tried) < len(good):
                tried.append(asyncio.create_task(_connect(good[len(tried) :], port)))
            await asyncio.wait(
                [each for each in tried if not each.done()],
                timeout=_STAGGER_SECONDS if len(tried) < len(good) else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            ended = [each.result() for each in tried if each.done()]
            reached = next((each for each in ended if each.socket is not None), None)
    finally:
        for each in tried:
            _forget(each, reached)
    return reached or min(
        (each.result() for each in tried), key=lambda failed: _TELLING.index(failed.code)
    )


def _forget(attempt: asyncio.Task[_Attempt], reached: _Attempt | None) -> None:
    if not attempt.cancel() and not attempt.cancelled():
        ended = attempt.result()  # what was reached in the same moment as another is closed
        if ended.socket is not None and ended is not reached:
            ended.socket.close()


def _is_over(attempt: asyncio.Task[_Attempt]) -> bool:
    return attempt.done()
