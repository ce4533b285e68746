"""The command line's grammar and help; what a setting's value may be, the settings say."""

from __future__ import annotations

import argparse
import difflib
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

from wassette_protocol.capabilities import Limits
from wassette_supervisor import settings
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings import NAME, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Option, placeholder, what it says; one line of 80 columns each.
_SETTINGS = [
    ("--component-dir", "DIR", "the store (default: in $XDG_DATA_HOME)"),
    ("--max-workers", "N", "calls running at once (default: the processors)"),
    ("--queue", "N", "calls waiting, beyond: busy (default: 4 x workers)"),
    ("--isolation", "MODE", "of a call: fork, or exec, slower (default: fork)"),
    ("--approve", "HOW", "models' loads: ask, deny or allow (default: ask)"),
    ("--disable-builtin-tools", None, "offer components' tools alone (default: both)"),
    ("--limit", "NAME=VALUE", "a limit of each call; repeatable (default: below)"),
    ("--log-level", "LEVEL", "debug, info, warning or error (default: info)"),
    ("--log-format", "FORMAT", "text or json, on standard error (default: text)"),
]
_OPTIONS = [
    *(option for option, _, _ in _SETTINGS),
    "--args",
    "--help",
    "--name",
    "--output",
    "--version",
]
_FORMATS = ("json", "yaml", "table")


class _Commands(Protocol):
    """What `add_subparsers` gives."""

    def add_parser(self, name: str, *, help: str, **options: Any) -> _Parser: ...  # noqa: A002


class Invocation(NamedTuple):
    """A command line that was understood."""

    command: str  # module:function
    options: argparse.Namespace
    settings: Settings


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Invocation:
    """Settle what is to be done.

    Raises:
        UsageError: It can't be understood.
        SystemExit: Help or version was asked for, and given.
    """
    _check_options(arguments)
    options = _parser().parse_args(arguments)
    flags: dict[str, Any] = {
        name: getattr(options, name, None)
        for name in (option[2:].replace("-", "_") for option, _, _ in _SETTINGS)
    }
    # Each level of the grammar has its own list, or the innermost would replace the others.
    flags["limit"] = [
        value for level in range(3) for value in getattr(options, f"limit_{level}", ())
    ]
    return Invocation(options.command, options, settings.load(flags, environ))


def _check_options(arguments: Sequence[str]) -> None:
    """Name an option that doesn't exist: argparse would complain of the value after it."""
    for argument in takewhile(lambda argument: argument != "--", arguments):
        option = argument.partition("=")[0]
        if option.startswith("--") and option not in _OPTIONS:
            near = difflib.get_close_matches(option, _OPTIONS, n=1)
            instead = f"did you mean {near[0]}?" if near else f"see `{NAME} --help`"
            raise UsageError(f"there is no option {one_line(option)}; {instead}")


class _Parser(argparse.ArgumentParser):
    """Takes the settings at every level, and reports a mistake in one line."""

    level = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            add_help=False,
            formatter_class=_Formatter,
            argument_default=argparse.SUPPRESS,
            **options,
        )
        self.add_argument("-h", "--help", action="help", help="show this and exit")

    def add_settings(self) -> None:
        group = self.add_argument_group("settings")
        for option, placeholder, text in _SETTINGS:
            if placeholder is None:
                group.add_argument(option, action="store_const", const="true", help=text)
            elif option == "--limit":
                dest = f"limit_{self.level}"
                group.add_argument(
                    option, action="append", dest=dest, metavar=placeholder, help=text
                )
            else:
                group.add_argument(option, metavar=placeholder, help=text)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{one_line(message)}; see `{self.prog} --help`")


class _SecondParser(_Parser):
    level = 1


class _ThirdParser(_Parser):
    level = 2


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=80)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # The placeholder once, as newer versions of the library have it.
        placeholder = f" {action.metavar}" if action.option_strings and action.metavar else ""
        names = ", ".join(action.option_strings)
        return f"{names}{placeholder}" if names else super()._format_action_invocation(action)


class _Version(argparse.Action):
    def __call__(self, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that only this needs

        sys.stdout.write(f"{NAME} {version(NAME)}\n")
        sys.stdout.flush()
        raise SystemExit(0)


def _parser() -> _Parser:
    parser = _Parser(
        prog=NAME,
        usage=f"{NAME} [settings] [command] [settings]",
        description="Run WebAssembly components as MCP tools, each call in its own sandbox.\n"
        "Without a command it is `run`.",
        epilog=_limits(),
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_settings()
    parser.set_defaults(command="run:run")
    commands = parser.add_subparsers(
        title="commands", prog=NAME, metavar="COMMAND", parser_class=_SecondParser
    )
    _leaf(commands, "run", "serve MCP on standard input and output", "run:run")
    _component(commands)
    inspected = _Operand("component", "ID|FILE", "a loaded component's id, a path or a URI")
    _add_format(_leaf(commands, "inspect", "describe a component", "inspect:inspect", inspected))
    _tool(commands)
    return parser


class _Operand(NamedTuple):
    dest: str
    placeholder: str
    text: str


def _component(commands: _Commands) -> None:
    group = _group(commands, "component", "load, unload or list components")
    file = _Operand("component", "URI|PATH", "the component, as file:///… or as a path")
    loaded = _Operand("component", "ID", "as `component list` shows it")
    load = _leaf(group, "load", "load a component", "component:load", file)
    load.add_argument("--name", metavar="ID", help="its id (default: the file's name)")
    unload = _leaf(group, "unload", "unload a component", "component:unload", loaded)
    listing = _leaf(group, "list", "list the components", "component:list_all")
    for command in (load, unload, listing):
        _add_format(command)


def _tool(commands: _Commands) -> None:
    group = _group(commands, "tool", "list, read or invoke components' tools")
    named = _Operand("tool", "NAME", "as `tool list` shows it")
    _add_format(_leaf(group, "list", "list the tools", "tool:list_all"))
    _add_format(_leaf(group, "read", "show a tool as MCP clients see it", "tool:read", named))
    invoke = _leaf(group, "invoke", "call a tool, and print its value", "tool:invoke", named)
    text = "arguments; @FILE, or - for stdin (default: {})"
    invoke.add_argument("--args", metavar="JSON", help=text)


def _group(commands: _Commands, name: str, text: str) -> _Commands:
    usage = "%(prog)s COMMAND [settings]"
    parser = commands.add_parser(name, help=text, usage=usage, description=_sentence(text))
    parser.add_settings()
    return parser.add_subparsers(
        title="commands",
        prog=parser.prog,
        metavar="COMMAND",
        required=True,
        dest="subcommand",
        parser_class=_ThirdParser,
    )


def _leaf(
    commands: _Commands, name: str, text: str, command: str, operand: _Operand | None = None
) -> _Parser:
    placeholder = f" {operand.placeholder}" if operand else ""
    usage = f"%(prog)s{placeholder} [options] [settings]"
    parser = commands.add_parser(
        name, help=text, usage=usage, description=_sentence(text), epilog=_limits()
    )
    if operand:
        parser.add_argument(operand.dest, metavar=operand.placeholder, help=operand.text)
    parser.add_settings()
    parser.set_defaults(command=command)
    return parser


def _add_format(parser: _Parser) -> None:
    text = "json, yaml or table (default: table on a terminal)"
    parser.add_argument("-o", "--output", choices=_FORMATS, metavar="FORMAT", help=text)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _limits() -> str:
    defaults = Limits()
    lines = (
        f"  {name:<22}  {limit.text(getattr(defaults, limit.field))}"
        for name, limit in LIMITS.items()
    )
    return "limits of a call, and their defaults:\n" + "\n".join(lines)
