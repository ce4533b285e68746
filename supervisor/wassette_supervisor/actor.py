"""An actor: one inbox, one task that owns its state, messages answered in the order they came."""

from __future__ import annotations

from typing import Generic, TypeVar

import anyio

AnswerT = TypeVar("AnswerT")
MessageT = TypeVar("MessageT")


class ActorStoppedError(Exception):
    """The actor ended before it answered."""


class Ask(Generic[AnswerT]):
    """A message that is answered once."""

    def __init__(self) -> None:
        self._answered = anyio.Event()
        self._answer: AnswerT
        self._error: Exception | None = None

    def answer(self, answer: AnswerT) -> None:
        if not self._answered.is_set():
            self._answer = answer
            self._answered.set()

    def fail(self, error: Exception) -> None:
        if not self._answered.is_set():
            self._error = error
            self._answered.set()

    async def wait(self) -> AnswerT:
        """The answer, or the error that was given in its place."""
        await self._answered.wait()
        if self._error is not None:
            raise self._error
        return self._answer


class Inbox(Generic[MessageT]):
    """Bounded: a full inbox slows its senders rather than growing."""

    def __init__(self, size: int) -> None:
        self._send, self.messages = anyio.create_memory_object_stream[MessageT](size)

    async def tell(self, message: MessageT) -> None:
        """Put a message in.

        Raises:
            ActorStoppedError: Nobody will read it.
        """
        try:
            await self._send.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ActorStoppedError from None

    def close(self) -> list[MessageT]:
        """Take no more messages; return those that nobody has read."""
        left = []
        while self.messages.statistics().current_buffer_used:
            left.append(self.messages.receive_nowait())
        self._send.close()
        self.messages.close()
        return left
