"""A command line understood: the command, its options, the settings."""

from __future__ import annotations

import difflib
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.cli.grammar import elsewhere
from wassette_supervisor.cli.grammar.commands import COMMANDS
from wassette_supervisor.cli.grammar.parser import MAX_LEVELS, build, setting_dest
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.settings import NAME, Settings, Settled, settle
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.table import SETTINGS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from wassette_supervisor.cli.grammar.command import Command

_OF_COMMANDS = {
    name
    for command in COMMANDS
    for option in command.options
    for name in (option.flag, option.alias)
    if name
}
_OPTIONS = sorted(
    {"--help", "--version", *_OF_COMMANDS, *(setting.option for setting in SETTINGS.values())}
)


class Invocation(NamedTuple):
    """A command line that was understood.

    `options` has each operand and option of the command; one that wasn't given is None or
    has its default, a switch is False.
    """

    command: str  # module:function
    options: argparse.Namespace
    settings: Settings
    settled: Settled


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Settle what is to be done.

    Raises:
        UsageError: It can't be understood.
        SystemExit: Help or version was asked for, and given.
    """
    _check_options(arguments)
    options = build().parse_args(arguments)
    command: Command = options.entry
    _complete(command, options)
    settled = settle(_flags(options), environ)
    return Invocation(command.function, options, settled.settings, settled)


def _check_options(arguments: Sequence[str]) -> None:
    """Name an option that doesn't exist: argparse would complain of the value after it."""
    for argument in takewhile(lambda argument: argument != "--", arguments):
        option = argument.partition("=")[0]
        if not option.startswith("--") or option in _OPTIONS:
            continue
        if option in elsewhere.OPTIONS:
            raise UsageError(f"there is no option {option}; {elsewhere.OPTIONS[option]}")
        near = difflib.get_close_matches(option, _OPTIONS, n=1)
        instead = f"did you mean {near[0]}?" if near else f"see `{NAME} --help`"
        raise UsageError(f"there is no option {one_line(option)}; {instead}")


def _complete(command: Command, options: argparse.Namespace) -> None:
    for operand in command.operands:
        setattr(options, operand.dest, getattr(options, operand.dest, None))
    for option in command.options:
        if not hasattr(options, option.dest):
            setattr(options, option.dest, option.default if option.placeholder else False)
    given = {option.flag for option in command.options if getattr(options, option.dest)}
    for flag, other in command.needs:
        if flag in given and other not in given:
            raise UsageError(f"{flag} needs {other} beside it; see `{NAME} {command.words} --help`")


def _flags(options: argparse.Namespace) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        if isinstance(setting.kind, Named):
            dests = [setting_dest(setting, level) for level in range(MAX_LEVELS)]
            flags[name] = [value for dest in dests for value in getattr(options, dest, ())]
        else:
            flags[name] = getattr(options, setting_dest(setting), None)
    return flags
