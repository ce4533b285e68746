"""Putting a question to the person behind a client, in both eras of the protocol.

A client of 2025-11-25 is sent a request and answers it. A later one gets the question as the
result of its call, and calls again with the answer: what it brings back is sealed, bound to the
call, and holds a nonce that counts once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.consent.book import Book, Held, QuestionOpenError, Waiting
from wassette_supervisor.consent.change import Asked, Decision, key, options
from wassette_supervisor.consent.question import TooLongToAskError, question
from wassette_supervisor.errors import AuditError, SupervisorError

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from wassette_supervisor.audit.log import AuditLog
    from wassette_supervisor.consent.change import Change
    from wassette_supervisor.front.list_changes import LegacySessions
    from wassette_supervisor.settings import Settings

# The name of the question within the result that asks it.
ANSWER = "decision"
# Calls of the older era that wait for their turn to ask.
MAX_WAITING = 16

_DISMISSED = "a person dismissed the question"
_NOT_AGAIN = "a person refused it, and is not asked again while this server runs"


class NotAllowedError(SupervisorError):
    """Nobody allowed it; `why` is our own words."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class MustAnswerError(Exception):
    def __init__(self, result: types.InputRequiredResult) -> None:
        self.result = result
        super().__init__("the client has to answer first")


class Asking:
    """One server's way to its person."""

    def __init__(self, settings: Settings, audit: AuditLog) -> None:
        self.approve = settings.approve
        self.timeout_s = settings.approval_timeout_ms / 1000
        self.audit = audit
        self.book: Book[Held] = Book(self.timeout_s)
        self.turn = anyio.Lock()
        self.waiting = 0

    def expire(self) -> None:
        """A question that was not answered in time was refused, and that is on record."""
        expired = self.book.expire()
        if expired is not None:
            self.record(Event.ANSWER, expired, "deny", {"why": "no answer in time"})

    def record(
        self,
        event: Event,
        asked: Asked,
        decision: Decision | None,
        detail: dict[str, Any],
        client: str | None = None,
    ) -> None:
        self.audit.append(
            event,
            component=getattr(asked.change, "component", None),
            client=client,
            decision=decision,
            detail={"change": type(asked.change).__name__.lower()} | detail,
        )

    def of(
        self, context: ServerRequestContext[LegacySessions], params: types.CallToolRequestParams
    ) -> Questions:
        """What one request may ask."""
        self.expire()
        spent = self.book.spend(params.request_state) if params.request_state else None
        if spent is not None and _denies(params.input_responses, spent.asked):
            # At once: while this request looks at it again, another must not ask the same.
            self.book.refuse(spent.asked.change)
        return Questions(self, context, spent, params.input_responses)


class Questions:
    """The questions of one request: each is answered before the next is asked."""

    def __init__(
        self,
        asking: Asking,
        context: ServerRequestContext[LegacySessions],
        spent: Waiting[Held] | None,
        responses: Any,
    ) -> None:
        self._asking = asking
        self._context = context
        self._spent = spent
        # An answer without its question's nonce is nobody's.
        self._responses = responses if spent is not None else None
        self._held = spent.held if spent else None
        self._before: frozenset[bytes] = spent.before if spent else frozenset()
        self.client = client_name(context)
        self._why = ""

    def require(self) -> None:
        """Refuse what nobody could allow, before anything of it is looked at.

        Raises:
            NotAllowedError: The operator forbids it, or the client can't ask.
        """
        if self._asking.approve == "deny":
            raise NotAllowedError("the operator lets no model do it (--approve deny)")
        if self._asking.approve == "ask" and not self.can_ask():
            raise NotAllowedError("a person has to approve it, and this client can't ask one")

    def can_ask(self) -> bool:
        """Whether the client can put a question to a person."""
        capabilities = self._context.session.client_capabilities
        return capabilities is not None and capabilities.elicitation is not None

    @property
    def by_answer_only(self) -> bool:
        """Whether the client is asked by the result of a call, and in no other way."""
        return self._context.protocol_version in MODERN_PROTOCOL_VERSIONS

    def may_offer(self, change: Change) -> bool:
        """Whether a person may be asked now what no model and no person asked for."""
        if not self._asking.book.may_offer(change):
            return False
        try:
            question(change)
        except TooLongToAskError:
            return False
        return True

    def held(self) -> Held | None:
        """What an earlier question of this call kept open; becomes the caller's."""
        held, self._held = self._held, None
        return held

    def close(self) -> None:
        """Close what an earlier question kept open and nobody took."""
        if self._held is not None:
            self._held.close()

    async def allowed(self, asked: Asked, held: Held | None = None) -> Decision:
        """Ask a person, unless that was done.

        Args:
            asked: What for.
            held: Kept open while a later call may bring the answer; else it stays the caller's.

        Raises:
            NotAllowedError: It is not allowed.
            MustAnswerError: The client has the question now, and `held` is the book's.
        """
        self.require()
        if self._asking.approve != "ask":
            return self._settled(asked)
        if key(asked.change) in self._before:
            return "always"
        decision = self._brought(asked)
        if decision is None:
            decision = await self._ask(asked, held)
        self._record(Event.ANSWER, asked, decision, {"why": self._why, **_put(asked)})
        if decision == "deny":
            self._asking.book.refuse(asked.change)
            raise NotAllowedError(self._why)
        self._before |= {key(asked.change)}
        return decision

    def _settled(self, asked: Asked) -> Decision:
        self._record(Event.ANSWER, asked, "always", {"why": "--approve allow"})
        return "always"

    def _brought(self, asked: Asked) -> Decision | None:
        """The answer that came with this request, if it is one to this."""
        if self._spent is None or not self._responses:
            return None
        if self._spent.asked != asked:
            if key(self._spent.asked.change) == key(asked.change):
                why = {"why": "what it was about has changed"}
                self._record(Event.ANSWER, self._spent.asked, "deny", why)
            return None
        return self._decided(self._responses.get(ANSWER), asked)

    async def _ask(self, asked: Asked, held: Held | None) -> Decision:
        if self._asking.book.was_refused(asked.change):
            raise NotAllowedError(_NOT_AGAIN)
        try:
            form = _form(asked)
        except TooLongToAskError as error:
            raise NotAllowedError(str(error)) from error
        if self.by_answer_only:
            raise MustAnswerError(self._handed_out(asked, form, held))
        return await self._elicited(asked, form)

    def _handed_out(
        self, asked: Asked, form: types.ElicitRequestFormParams, held: Held | None
    ) -> types.InputRequiredResult:
        try:
            waiting = self._asking.book.ask(asked, self._before, held)
        except QuestionOpenError as error:
            raise NotAllowedError(str(error)) from error
        try:
            self._record(Event.QUESTION, asked, None, _put(asked))
        except AuditError:
            self._asking.book.withdraw(waiting)
            raise
        return types.InputRequiredResult(
            input_requests={ANSWER: types.ElicitRequest(params=form)}, request_state=waiting.nonce
        )

    async def _elicited(self, asked: Asked, form: types.ElicitRequestFormParams) -> Decision:
        asking = self._asking
        if asking.waiting >= MAX_WAITING:
            raise NotAllowedError(str(QuestionOpenError()))
        asking.waiting += 1
        try:
            async with asking.turn:
                # Of many that ask the same at once only the first is heard.
                if asking.book.was_refused(asked.change):
                    raise NotAllowedError(_NOT_AGAIN)
                self._record(Event.QUESTION, asked, None, _put(asked))
                try:
                    return await self._answer(asked, form)
                except anyio.get_cancelled_exc_class():
                    self._record(Event.ANSWER, asked, "deny", {"why": "the call was cancelled"})
                    raise
        finally:
            asking.waiting -= 1

    async def _answer(self, asked: Asked, form: types.ElicitRequestFormParams) -> Decision:
        session, request = self._context.session, self._context.request_id
        answer: types.ElicitResult | None = None
        with anyio.move_on_after(self._asking.timeout_s), suppress(MCPError):
            # An error is the client's: it could not ask. No answer in time is a no as well.
            answer = await session.elicit_form(form.message, form.requested_schema, request)
        return self._decided(answer, asked)

    def _decided(self, answer: Any, asked: Asked) -> Decision:
        decision = _decision(answer, asked)
        if decision != "deny":
            self._why = "a person allowed it"
        elif isinstance(answer, types.ElicitResult):
            self._why = "a person refused it" if answer.action != "cancel" else _DISMISSED
        else:
            self._why = "nobody answered the question"
        return decision

    def _record(
        self,
        event: Event,
        asked: Asked,
        decision: Decision | None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        self._asking.record(event, asked, decision, detail or {}, self.client)


def _form(asked: Asked) -> types.ElicitRequestFormParams:
    choices = list(options(asked.change))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            ANSWER: {
                "type": "string",
                "title": "Your decision",
                "description": _described(choices),
                "enum": choices,
            }
        },
        "required": [ANSWER],
    }
    return types.ElicitRequestFormParams(message=question(asked.change), requested_schema=schema)


def _put(asked: Asked) -> dict[str, Any]:
    """What was asked, each part by itself."""
    found: dict[str, Any] = msgspec.to_builtins(asked.change)
    return {name: value for name, value in found.items() if name not in ("type", "component")}


_MEANING = {
    "once": "once: its next call, within 10 minutes",
    "session": "session: until this server stops",
    "always": "always: kept until you revoke it",
    "deny": "deny: no, and don't ask again",
}


def _described(choices: list[Decision]) -> str:
    return "; ".join(_MEANING[choice] for choice in choices)


def _decision(answer: Any, asked: Asked) -> Decision:
    """What an answer says: anything but a choice that was offered is a no."""
    if not isinstance(answer, types.ElicitResult) or answer.action != "accept":
        return "deny"
    chosen = (answer.content or {}).get(ANSWER)
    return next((choice for choice in options(asked.change) if choice == chosen), "deny")


def _denies(responses: Any, asked: Asked) -> bool:
    return bool(responses) and _decision(responses.get(ANSWER), asked) == "deny"


def client_name(context: ServerRequestContext[LegacySessions]) -> str | None:
    params = context.session.client_params
    return params.client_info.name if params is not None else None
