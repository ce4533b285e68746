"""MCP requests to calls on the backend, and its answers back; translation only."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import structlog
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.request_state import RequestStateBoundary
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from wassette_supervisor.errors import (
    CallError,
    OperatorNeededError,
    SupervisorError,
    UnknownToolError,
    one_line,
)
from wassette_supervisor.front import again, catalog, results
from wassette_supervisor.front.asking import Asking, MustAnswerError
from wassette_supervisor.front.builtin import BadInputError, Request
from wassette_supervisor.front.builtin_tools import BUILTIN_TOOLS
from wassette_supervisor.front.catalog import BadCursorError, Position
from wassette_supervisor.front.list_changes import LegacySessions, ListChanges, on_initialized
from wassette_supervisor.front.messages import MIB, Bounds
from wassette_supervisor.front.offers import Offers
from wassette_supervisor.front.operator_command import command
from wassette_supervisor.front.sealing import undated
from wassette_supervisor.front.stdio import serve_stdio
from wassette_supervisor.settings import NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from mcp.server.models import InitializationOptions

    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.record import Record, ToolRecord

log = structlog.get_logger(__name__)

INSTRUCTIONS = (
    "Tools of WebAssembly components. Each call runs in a sandboxed process of its own, under "
    "limits, and keeps nothing from one call to the next. A component gets only what a person "
    "allows; the grant- tools ask for it. An error's text says what to do."
)
INTERNAL_ERROR = "internal error: the call was not completed; the server's log has the details"
# A client that doesn't read its progress must not hold up the load that it is about.
PROGRESS_S = 1.0


async def serve(settings: Settings, backend: Backend) -> None:
    """Serve one client on standard input and output until it is gone.

    Raises:
        UsageError: Standard input or output is closed.
    """
    server = make_server(settings, backend)
    async with serve_stdio(bounds(settings)) as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def bounds(settings: Settings) -> Bounds:
    """What one client may make us hold: at least arguments that are all escapes, and the rest."""
    return Bounds(line=max(Bounds().line, 2 * settings.limits.arguments + MIB))


def make_server(settings: Settings, backend: Backend) -> Server[LegacySessions]:
    """Make a server of both eras; it runs on any transport of the library."""
    tools = _Tools(settings, backend)
    changes = ListChanges(backend, tools.offers.ask_as_they_come)
    server = _Server(
        NAME,
        version=version(NAME),
        instructions=INSTRUCTIONS,
        lifespan=changes.announced,
        on_list_tools=tools.list,
        on_call_tool=tools.call,
        on_subscriptions_listen=changes.on_listen,
    )
    server.add_notification_handler(
        "notifications/initialized", types.NotificationParams, on_initialized
    )
    server.middleware.append(_contained)
    sealing = undated()
    server.middleware.append(RequestStateBoundary(sealing, default_audience=NAME))
    return server


class _Server(Server[LegacySessions]):
    """The library takes what a client is told of our notifications from whoever runs it."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or NotificationOptions(tools_changed=True),
            experimental_capabilities,
            extensions,
        )


async def _contained(
    ctx: ServerRequestContext[LegacySessions], call_next: CallNext
) -> HandlerResult:
    """Let no exception's text out: to a client of 2025-11-25 the library sends it as it is."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise  # the library answers with the one, and with none of the other's text
    except Exception as error:
        log.exception("front.request_failed", method=ctx.method)
        raise MCPError(types.INTERNAL_ERROR, "internal error") from error


class _Tools:
    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._asking = Asking(settings, backend.audit)
        self.offers = Offers(settings, backend, self._asking)
        self._builtins = {} if settings.disable_builtin_tools else BUILTIN_TOOLS
        self._ordered: tuple[Mapping[str, object] | None, Sequence[Position]] = None, []

    async def list(
        self,
        _: ServerRequestContext[LegacySessions],
        params: types.PaginatedRequestParams | None,
    ) -> types.ListToolsResult:
        try:
            listed = self._backend.catalog()
        except SupervisorError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error
        try:
            page, cursor = catalog.page(self._order(listed), params.cursor if params else None)
        except BadCursorError as error:
            text = "the cursor is none of this server's; list again without one"
            raise MCPError(types.INVALID_PARAMS, text) from error
        tools = [
            self._tool(*listed[name]) if of_component else self._builtin(name)
            for of_component, name in page
        ]
        return types.ListToolsResult(tools=tools, next_cursor=cursor)

    def _order(self, listed: Mapping[str, object]) -> Sequence[Position]:
        """All tools in the order of the list: sorted once for each list, not for each page."""
        if listed is not self._ordered[0]:
            names = [name for name in listed if name not in BUILTIN_TOOLS]
            positions = [Position(of_component=False, name=name) for name in self._builtins]
            positions += [Position(of_component=True, name=name) for name in names]
            self._ordered = listed, sorted(positions)
        return self._ordered[1]

    def _tool(self, record: Record, tool: ToolRecord) -> types.Tool:
        reach = self._backend.permissions.reach(record, tool.name)
        return types.Tool.model_validate(catalog.entry(tool, reach))

    def _builtin(self, name: str) -> types.Tool:
        tool = self._builtins[name]
        return types.Tool(
            name=name,
            description=tool.description,
            input_schema=tool.input_schema,
            annotations=tool.annotations,
        )

    async def call(
        self, context: ServerRequestContext[LegacySessions], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        try:
            return await self._call(context, params)
        except MustAnswerError as question:
            return question.result
        except UnknownToolError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error
        except CallError as error:
            return results.failure(str(error), error.output)
        except OperatorNeededError as error:
            how = command(self._settings, *error.words)
            return results.failure(f"{error.why}; have the operator run: {how}")
        except (SupervisorError, BadInputError) as error:
            return results.failure(str(error))
        except MCPError:
            raise
        except Exception:
            log.exception("front.call_failed", tool=one_line(params.name))
            return results.failure(INTERNAL_ERROR)

    async def _call(
        self, context: ServerRequestContext[LegacySessions], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        name, arguments = params.name, params.arguments or {}
        questions = self._asking.of(context, params)
        request = Request(self._settings, self._backend, _progress(context), questions, self.offers)
        try:
            if name in self._builtins:
                return await self._builtins[name].run(request, arguments)
            if name in BUILTIN_TOOLS:  # the operator took them away
                raise UnknownToolError(name)
            return await again.call(request, name, arguments)
        finally:
            questions.close()


def _progress(
    context: ServerRequestContext[LegacySessions],
) -> Callable[[str], Awaitable[None]]:
    """Tell the client of each stage, if it asked to be told."""
    stages = 0

    async def report(stage: str) -> None:
        nonlocal stages
        stages += 1
        with anyio.move_on_after(PROGRESS_S):
            await context.session.report_progress(stages, message=stage)

    return report
