import asyncio
from urllib.parse import urlsplit

import poll_loop
import wit_world
from componentize_py_types import Err
from wit_world.imports import types

MOST = 64 * 1024

# A resource may not be dropped before what came of it, and Python drops in no order that is told.
# The process ends with the call, so they are just kept.
kept: list[object] = []


def request(url: str) -> types.OutgoingRequest:
    parts = urlsplit(url)
    made = types.OutgoingRequest(types.Fields())
    made.set_scheme(types.Scheme_Http() if parts.scheme == "http" else types.Scheme_Https())
    made.set_authority(parts.netloc)
    made.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return made


async def page(url: str) -> str:
    response = await poll_loop.send(request(url))
    kept.append(response)
    if response.status() != 200:
        raise Err(f"the host answered with the status {response.status()}")
    stream, content = poll_loop.Stream(response.consume()), b""
    kept.append(stream)
    while len(content) < MOST and (piece := await stream.next()) is not None:
        content += piece
    return content[:MOST].decode("utf-8", "replace")


class WitWorld(wit_world.WitWorld):
    def fetch_page(self, url: str) -> str:
        loop = poll_loop.PollLoop()
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(page(url))
        except Err as error:
            if isinstance(error.value, str):
                raise
            # A case of wasi:http's error-code, as ErrorCode_HttpRequestDenied.
            raise Err(f"no page: {type(error.value).__name__.removeprefix('ErrorCode_')}") from None
