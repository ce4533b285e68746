"""The `wassette-supervisor` command: arguments in, exit status out.

Each command's module is imported when it runs, so that most commands never load the MCP library.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from wassette_supervisor.cli import arguments, output
from wassette_supervisor.cli.output import complain
from wassette_supervisor.errors import SupervisorError, UsageError

FAILURE = 1
USAGE = 2
INTERRUPTED = 130  # as a shell reports SIGINT


def main() -> int:
    """Run the command line's command; nothing that happens shows a traceback."""
    try:
        invocation = arguments.parse(sys.argv[1:], os.environ)
        module, _, function = _place(invocation.command).partition(":")
        run = getattr(import_module(f"wassette_supervisor.cli.{module}"), function)
        run(invocation)
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001 - the border
        return _explain(_only_cause(error))
    return 0


def _place(command: str) -> str:
    """The module and the function of a command, on this system."""
    return command if sys.platform == "linux" else "other_systems:run"


def _only_cause(error: BaseException) -> BaseException:
    """Take an error out of the groups that task groups wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        ours = error.subgroup(SupervisorError)
        error = (ours or error).exceptions[0]
    return error


def _explain(error: BaseException) -> int:
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case BrokenPipeError():
            output.forget_stdout()
            return FAILURE
        case UsageError():
            complain(str(error))
            return USAGE
        case SupervisorError():
            complain(str(error))
        case _:
            from wassette_supervisor.cli import logs  # noqa: PLC0415 - only a bug needs it

            logs.unexpected(error)
            complain(f"internal error: {type(error).__name__}: {error}")
    return FAILURE
