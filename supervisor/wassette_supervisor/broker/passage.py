"""One request, from a guest to the world and back: its limits, its errors, and what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wassette_protocol.broker_frames import ABORTED, COMPLETE, RequestEnded
from wassette_supervisor.broker import headers, masking
from wassette_supervisor.broker.answers import WITHOUT_BODY, Head
from wassette_supervisor.broker.codes import HTTP_FAULT, TERMINATED, RequestError
from wassette_supervisor.broker.dialling import Progress

if TYPE_CHECKING:
    from wassette_protocol.broker_frames import Order
    from wassette_supervisor.broker.answers import Answer, Stream
    from wassette_supervisor.broker.connections import World
    from wassette_supervisor.broker.guest_http import Guest, Request
    from wassette_supervisor.broker.tally import Worker

_TURN = 32  # pieces until others have their turn, if nothing has to be waited for


class Passage:
    def __init__(self, guest: Guest, request: Request, order: Order, worker: Worker) -> None:
        self._guest = guest
        self._request = request
        self._order = order
        self._worker = worker
        self._secrets = masking.secrets(order.inject)
        self._stream: Stream | None = None
        self._upload: asyncio.Task[None] | None = None
        self._taken = False  # some of the guest's body
        self._verdict = ""  # of what happened beside the task that serves it
        self._progress = Progress()
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        limit = min(worker.allowance.first_byte_ms, worker.allowance.request_ms)
        self._limit = asyncio.timeout_at(self._begun + limit / 1000)
        # What there is to report.
        self._outcome = ABORTED
        self._status = 0
        self._sent = 0
        self._received = 0
        self._answered = self._over = self._begun

    def report(self) -> RequestEnded:
        return RequestEnded(
            self._order.id,
            self._outcome,
            status=self._status,
            address=self._progress.address,
            version=self._stream.version if self._status and self._stream else "",
            sent=self._sent,
            received=self._received,
            first_byte_us=round((self._answered - self._begun) * 1e6),
            total_us=round((self._over - self._begun) * 1e6),
        )

    async def run(self, world: World) -> None:
        """Serve it, whatever comes; nothing of it is left when this returns."""
        began = False
        try:
            self._worker.begin()
            began = True
            async with self._limit:
                self._guest.wire.on_end = self._guest_left
                await self._pass(world)
            self._outcome = COMPLETE
        except RequestError as error:
            self._fail(error.code)
        except TimeoutError:
            self._fail(self._verdict or self._progress.late)
        except BaseException as error:
            self._outcome = "internal-error" if isinstance(error, Exception) else ABORTED
            self._guest.wire.abort()
            raise
        finally:
            if began:
                self._worker.end()
            self._over = self._loop.time()
            self._leave()

    def _fail(self, code: str) -> None:
        self._outcome = code
        self._guest.fail(code)

    def _leave(self) -> None:
        if self._upload is not None:
            self._upload.cancel()
        if self._stream is not None:
            self._stream.close()

    # --- what happens beside ---

    def _guest_left(self) -> None:
        self._stop(ABORTED)

    def _stop(self, verdict: str) -> None:
        """End it from elsewhere than its own task."""
        if not self._verdict and not self._limit.expired():
            self._verdict = verdict
            self._limit.reschedule(self._loop.time())

    # --- the request ---

    async def _pass(self, world: World) -> None:
        if self._guest.wire.ended:
            raise RequestError(ABORTED)
        if self._request.method != self._order.method:
            raise RequestError(HTTP_FAULT)
        self._worker.foresees(sent=self._request.length or 0)
        head = self._head()
        try:
            answer = await self._ask(world, head, again=False)
        except RequestError as error:
            if not error.untouched or not await self._withdraw():
                raise
            answer = await self._ask(world, head, again=True)
        await self._hand_on(answer)

    def _head(self) -> Head:
        order, request = self._order, self._request
        try:
            said = headers.towards_world(request.headers, order.inject)
        except ValueError:
            raise RequestError("configuration-error") from None
        return Head(
            order.method,
            order.destination.scheme,
            headers.host(order.destination),
            order.target,
            said,
            request.has_body,
            request.length,
        )

    async def _ask(self, world: World, head: Head, *, again: bool) -> Answer:
        self._stream = stream = await world.stream(
            self._worker.component, self._order, self._progress, again=again
        )
        self._progress.late = "HTTP-response-timeout"
        stream.start(head)
        if head.has_body:
            self._upload = self._loop.create_task(self._send(stream))
        return await stream.answer()

    async def _withdraw(self) -> bool:
        """Whether the request can be sent once more: none of its body is gone."""
        if self._upload is not None:
            self._upload.cancel()
            await asyncio.wait([self._upload])
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        return not self._taken

    async def _send(self, stream: Stream) -> None:
        """Send the body, while the answer may come already."""
        pieces = 0
        try:
            while piece := await self._guest.body():
                self._taken = True
                self._worker.sends(len(piece))
                await stream.send(piece)
                self._sent += len(piece)
                pieces += 1
                if pieces % _TURN == 0:
                    await asyncio.sleep(0)
            trailers = headers.trailers_towards_world(self._guest.trailers, self._order.inject)
            await stream.end(trailers)
        except RequestError as error:
            # A world that takes no more may have answered: that tells what came of it.
            if error.code != TERMINATED:
                self._stop(error.code)

    # --- the answer ---

    async def _hand_on(self, answer: Answer) -> None:
        self._status = answer.status
        self._answered = self._loop.time()
        self._progress.late = "connection-read-timeout"
        if not self._limit.expired() and not self._verdict:
            self._limit.reschedule(self._begun + self._worker.allowance.request_ms / 1000)
        has_body = self._order.method != "HEAD" and answer.status not in WITHOUT_BODY
        if has_body:
            self._worker.foresees(received=answer.length or 0)
            if self._secrets and headers.is_coded(answer.headers):
                raise RequestError("HTTP-response-content-coding")
        length = self._length(answer)
        said = masking.of_headers(headers.towards_guest(answer.headers), self._secrets)
        self._guest.answer(answer.status, said, length, has_body=has_body)
        await self._hand_body_on()
        trailers: headers.Headers = []
        if self._stream is not None and has_body and length is None:
            trailers = headers.towards_guest(self._stream.trailers)
        self._guest.end(masking.of_headers(trailers, self._secrets))
        self._guest.leave()

    def _length(self, answer: Answer) -> int | None:
        """Of what the guest is told; with trailers to come a body is chunked."""
        announced = any(name == b"trailer" for name, _ in answer.headers)
        return None if announced else answer.length

    async def _hand_body_on(self) -> None:
        guest, stream, mask = self._guest, self._stream, masking.Mask(self._secrets)
        if stream is None:
            return
        pieces = 0
        while (piece := stream.take()) != b"":
            if piece is None:
                await guest.push()
                await stream.wait()
                continue
            self._received += len(piece)
            self._worker.receives(len(piece))
            if told := mask.feed(piece):
                await guest.data(told)
            pieces += 1
            if pieces % _TURN == 0:
                await asyncio.sleep(0)
        if rest := mask.flush():
            await guest.data(rest)
