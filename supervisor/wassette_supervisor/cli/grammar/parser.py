"""The parser, built from the table of commands and the table of settings."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from wassette_supervisor.cli.grammar import elsewhere
from wassette_supervisor.cli.grammar.commands import COMMANDS, GROUPS
from wassette_supervisor.cli.output import write
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings import NAME
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.limit_defaults import LIMIT_DEFAULTS, MAX_LIMIT_DEFAULTS
from wassette_supervisor.settings.table import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_supervisor.cli.grammar.command import Command, Operand, Option

WIDTH = 80
HELP_COLUMN = 28
BELOW = "default: below"
LIMITS_TITLE = "limits of a call"
MAX_LEVELS = 4  # of `permission grant storage`, with the program itself
_ANYWHERE = f"Settings, as `{NAME} --help` shows them, may stand anywhere."


class Commands(Protocol):
    """What `add_subparsers` gives."""

    def add_parser(self, name: str, *, help: str, **options: Any) -> Parser: ...  # noqa: A002 - theirs


class Parser(argparse.ArgumentParser):
    """Takes the settings at every level, and reports a mistake in one line."""

    def __init__(self, words: str = "", **options: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            add_help=False,
            formatter_class=_Formatter,
            argument_default=argparse.SUPPRESS,
            **options,
        )
        self.words = words
        self.add_argument("-h", "--help", action="help", help="show this and exit")

    def commands(self, *, required: bool) -> Commands:
        return self.add_subparsers(
            title="commands",
            prog=self.prog,
            metavar="COMMAND",
            required=required,
            dest=f"word_{len(self.words.split())}",
            parser_class=Parser,
        )

    def print_help(self, file: object = None) -> None:
        del file
        write(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{one_line(message)}; see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = list(map(str, action.choices))
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - it has no other name
            raise UsageError(_no_command(f"{self.words} {value}".strip(), str(value), known))
        named = action.option_strings[-1] if action.option_strings else str(action.metavar)
        choices = f"{', '.join(known[:-1])} or {known[-1]}"
        raise UsageError(f"{named}: should be {choices}, not {one_line(repr(value))}")


def _no_command(words: str, word: str, known: list[str]) -> str:
    if words in elsewhere.WORDS:
        return elsewhere.WORDS[words]
    near = difflib.get_close_matches(word, known, n=1)
    instead = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"there is no command {one_line(repr(words))}; {instead}"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=HELP_COLUMN, width=WIDTH)
        self._action_max_length = HELP_COLUMN  # or each page would have a column of its own

    def _format_action_invocation(self, action: argparse.Action) -> str:
        # The placeholder once, as newer versions of the library have it.
        placeholder = f" {action.metavar}" if action.option_strings and action.metavar else ""
        names = ", ".join(action.option_strings)
        return f"{names}{placeholder}" if names else super()._format_action_invocation(action)


class _Version(argparse.Action):
    def __call__(self, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that only this needs

        write(f"{NAME} {version(NAME)}\n")
        raise SystemExit(0)


def build() -> Parser:
    """Build the parser of the whole command line."""
    root = Parser(
        prog=NAME,
        usage=f"{NAME} [settings] [command] [settings]",
        description="Run WebAssembly components as MCP tools, each call in its own sandbox.\n"
        "Without a command it is `run`.",
        epilog=_epilog(
            limits=True, examples=("component load greeter.wasm", "run --max-workers 4")
        ),
    )
    text = "show the version and exit"
    root.add_argument("-V", "--version", action=_Version, nargs=0, help=text)
    _add_settings(root)
    root.set_defaults(entry=COMMANDS[0])
    groups = {"": root.commands(required=False)}
    for command in COMMANDS:
        _add_command(groups, command)
    return root


def _add_command(groups: dict[str, Commands], command: Command) -> None:
    words = command.words.split()
    for end in range(1, len(words)):
        _add_group(groups, words[:end])
    parser = groups[" ".join(words[:-1])].add_parser(
        words[-1],
        help=command.text,
        words=command.words,
        usage=_usage(command),
        description="\n".join(filter(None, [_sentence(command.text), command.more])),
        epilog=_epilog(limits=command.limits, examples=command.examples),
    )
    for operand in command.operands:
        _add_operand(parser, operand)
    _add_options(parser, command)
    taken = {option.flag for option in command.options}
    _add_settings(parser, but=taken, run=command.words == "run")
    parser.set_defaults(entry=command)
    if any(other.words.startswith(f"{command.words} ") for other in COMMANDS):
        groups[command.words] = parser.commands(required=False)


def _add_group(groups: dict[str, Commands], words: list[str]) -> None:
    name = " ".join(words)
    if name in groups:
        return
    text = GROUPS[name]
    usage = "%(prog)s COMMAND [settings]"
    parser = groups[" ".join(words[:-1])].add_parser(
        words[-1],
        help=text,
        words=name,
        usage=usage,
        description=_sentence(text),
        epilog=_ANYWHERE,
    )
    _add_settings(parser, shown=False)
    groups[name] = parser.commands(required=True)


def _usage(command: Command) -> str:
    operands = [
        f"[{operand.placeholder}]"
        if operand.optional
        else f"{operand.placeholder}{'...' if operand.many else ''}"
        for operand in command.operands
    ]
    needed = [
        f"{option.flag} {option.placeholder}" for option in command.options if option.required
    ]
    # The settings have their own part of the help, so their name in the usage is enough.
    words = " ".join([NAME, command.words, *operands, *needed, "[options] [settings]"])
    return "\n".join(_lines(words, WIDTH - len("usage: "), 6))


def _lines(words: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(
        words,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _add_operand(parser: Parser, operand: Operand) -> None:
    parser.add_argument(
        operand.dest,
        metavar=operand.placeholder,
        help=operand.text,
        nargs="+" if operand.many else "?" if operand.optional else None,
        choices=operand.choices or None,
    )


def _add_options(parser: Parser, command: Command) -> None:
    exclusive = parser.add_mutually_exclusive_group(required=command.one_is_needed)
    for option in command.options:
        target = exclusive if option.flag in command.one_of else parser
        _add_option(
            target, option, [name for name in (option.short, option.flag) if name], option.text
        )
        if option.alias:
            _add_option(target, option, [option.alias], argparse.SUPPRESS)


def _add_option(
    target: argparse._ActionsContainer, option: Option, names: list[str], text: str
) -> None:
    if not option.placeholder:
        target.add_argument(*names, dest=option.dest, action="store_true", help=text)
        return
    target.add_argument(
        *names,
        dest=option.dest,
        metavar=option.placeholder,
        help=text,
        type=option.parse,
        choices=option.choices or None,
        required=option.required,
    )


# --- settings -------------------------------------------------------------------------------


def setting_dest(setting: Setting, level: int = 0) -> str:
    """Name a setting in the options, where no option of a command is called the same.

    Each level of the grammar has its own list of members, or the innermost would replace the
    others.
    """
    return f"setting {setting.name} {level if isinstance(setting.kind, Named) else ''}".strip()


def _add_settings(
    parser: Parser, *, but: Iterable[str] = (), run: bool = True, shown: bool = True
) -> None:
    """Add each setting; those of `run` are taken everywhere, and shown where they tell."""
    everywhere = parser.add_argument_group("settings")
    of_run = parser.add_argument_group("settings of `run` alone")
    for setting in SETTINGS.values():
        if setting.option not in but:
            group = of_run if setting.run_only else everywhere
            _add_setting(parser, group, setting, hidden=not shown or (setting.run_only and not run))


def _add_setting(
    parser: Parser, group: argparse._ArgumentGroup, setting: Setting, *, hidden: bool
) -> None:
    default = f"default: {setting.default_text}"
    if default == BELOW and not (parser.epilog or "").startswith(LIMITS_TITLE):
        default = "see `run --help`"
    text = f"{setting.help} ({default})"
    options: dict[str, Any] = {
        "dest": setting_dest(setting, len(parser.words.split())),
        "help": argparse.SUPPRESS if hidden else text,
    }
    if not setting.kind.placeholder:
        group.add_argument(setting.option, action="store_const", const="true", **options)
        return
    action = "append" if isinstance(setting.kind, Named) else "store"
    group.add_argument(setting.option, action=action, metavar=setting.kind.placeholder, **options)


# --- what stands below ----------------------------------------------------------------------


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _epilog(*, limits: bool, examples: Iterable[str]) -> str:
    # Two columns for the backslash of a line that goes on.
    lines = [_lines(f"{NAME} {example}", WIDTH - 4, 4) for example in examples]
    shown = "\n".join("  " + " \\\n  ".join(wrapped) for wrapped in lines)
    return f"{_limits()}\n\nexamples:\n{shown}" if limits else f"examples:\n{shown}"


def _limits() -> str:
    lines = [f"{LIMITS_TITLE}      default      a policy may set up to"]
    for name, limit in LIMITS.items():
        highest = MAX_LIMIT_DEFAULTS.get(f"max-limit.{name}")
        most = "-" if highest is None else limit.text(highest)
        lines.append(f"  {name:<20}{limit.text(LIMIT_DEFAULTS[f'limit.{name}']):<13}{most}")
    return "\n".join(lines)
