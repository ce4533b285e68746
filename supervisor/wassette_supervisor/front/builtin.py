"""What every built-in tool is made of: its entry in the list, its arguments, its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import msgspec

from wassette_protocol.frames import ComponentId
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.errors import SupervisorError, one_line
from wassette_supervisor.front.asking import NotAllowedError
from wassette_supervisor.front.operator_command import command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import mcp_types as types

    from wassette_supervisor.authority.temporary import Scope
    from wassette_supervisor.consent.book import Held
    from wassette_supervisor.consent.change import Asked
    from wassette_supervisor.front.asking import Questions
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.front.offers import Offers
    from wassette_supervisor.settings import Settings

ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
ID_SCHEMA = {"type": "string", "pattern": ID_PATTERN}
ComponentIdField = Annotated[ComponentId, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]


class BadInputError(ValueError):
    """The arguments of a built-in tool can't be used."""


class NotDoneError(SupervisorError):
    """Nobody allowed it."""


class Request(NamedTuple):
    """What a built-in tool works with."""

    settings: Settings
    backend: Backend
    progress: Callable[[str], Awaitable[None]]
    questions: Questions
    offers: Offers

    @property
    def client(self) -> str | None:
        return self.questions.client

    async def allowed(
        self, asked: Asked, not_done: str, words: list[str], held: Held | None = None
    ) -> Scope:
        """Have a person allow it.

        Args:
            asked: What for.
            not_done: What to say if it is not allowed, as "the component was not loaded".
            words: The command by which an operator does the same.
            held: As of `Questions.allowed`.

        Raises:
            NotDoneError: It is not allowed.
            MustAnswerError: The client has the question now.
        """
        try:
            decision = await self.questions.allowed(asked, held)
        except NotAllowedError as error:
            raise self.refusal(not_done, error.why, words) from error
        assert decision != "deny"  # noqa: S101 - that is NotAllowedError
        return decision

    def require(self, not_done: str, words: list[str]) -> None:
        """Refuse at once what nobody could allow.

        Raises:
            NotDoneError: Nobody could.
        """
        try:
            self.questions.require()
        except NotAllowedError as error:
            raise self.refusal(not_done, error.why, words) from error

    def refusal(self, not_done: str, why: str, words: list[str]) -> NotDoneError:
        """What a model is told, with the command by which an operator does it."""
        how = f"have the operator run: {command(self.settings, *words)}"
        detail = {"what": not_done, "why": why, "asked": words}
        self.backend.audit.append(
            Event.REFUSAL, client=self.client, decision="denied", detail=detail
        )
        return NotDoneError(f"{not_done}: {why}; {how}")


class BuiltinTool(NamedTuple):
    description: str
    input_schema: dict[str, Any]
    annotations: types.ToolAnnotations
    run: Callable[[Request, dict[str, Any]], Awaitable[types.CallToolResult]]


_Arguments = TypeVar("_Arguments", bound=msgspec.Struct)


def parsed(arguments: dict[str, Any], form: type[_Arguments]) -> _Arguments:
    """The arguments of a built-in tool.

    Raises:
        BadInputError: They are not what its schema says.
    """
    try:
        return msgspec.convert(arguments, form)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadInputError(f"the arguments can't be used: {one_line(str(error))}") from error


def object_schema(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})
