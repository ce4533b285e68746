"""What a connection of a worker is: one request, if there is an order for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wassette_supervisor.broker.codes import RequestError
from wassette_supervisor.broker.connections import World
from wassette_supervisor.broker.guest_http import Guest
from wassette_supervisor.broker.passage import Passage
from wassette_supervisor.broker.tally import Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from wassette_protocol.broker_frames import Order, RequestEnded
    from wassette_supervisor.broker.guest_http import Request

__all__ = ["Worker", "World", "serve"]

_HEAD_SECONDS = 10.0  # from a connection to the whole head of its request


async def serve(
    connection: socket.socket,
    worker: Worker,
    take: Callable[[str], Order | None],
    world: World,
    ended: Callable[[RequestEnded], None],
) -> None:
    """Serve the request on a connection that the doorbell answered, which is ours to close.

    Args:
        connection: Our end of it.
        worker: Whose it is.
        take: The order of an id, once.
        world: The ways out.
        ended: Told once of each order that was taken.
    """
    try:
        guest = await Guest.adopt(connection)
    except OSError:
        return
    request = await _head(guest)
    if request is None:
        return
    order = take(request.id)
    if order is None:
        guest.fail("HTTP-request-denied")
        return
    passage = Passage(guest, request, order, worker)
    try:
        await passage.run(world)
    finally:
        ended(passage.report())


async def _head(guest: Guest) -> Request | None:
    """The head of the request; None if there is none that can be served, which was told."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return await guest.head()
    except RequestError as error:
        guest.fail(error.code)
    except TimeoutError:
        guest.break_off()
    except asyncio.CancelledError:
        guest.break_off()
        raise
    return None
