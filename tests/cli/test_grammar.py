"""The command line's grammar and its help; nothing is run."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.cli import arguments
from wassette_supervisor.cli.grammar import elsewhere
from wassette_supervisor.cli.grammar.commands import COMMANDS, GROUPS
from wassette_supervisor.cli.grammar.parser import Parser, build
from wassette_supervisor.errors import UsageError
from wassette_supervisor.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wassette_supervisor.cli.grammar.command import Command

ENVIRON = {"HOME": "/home/op"}


def parse(*words: str) -> arguments.Invocation:
    return arguments.parse(words, ENVIRON)


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(*words)
    text = str(caught.value)
    assert text.isprintable()
    return text


# --- commands -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [(), ("--max-workers", "4"), ("run",), ("run", "--max-workers", "4")],
    ids=" ".join,
)
def test_without_a_command_it_serves(words: Sequence[str]) -> None:
    assert parse(*words).command == "run:run"


@pytest.mark.parametrize(
    ("words", "command", "options"),
    [
        ("component load a.wasm", "component:load", {"name": None, "policy": None}),
        ("component load a.wasm --policy p", "component:load", {"policy": "p"}),
        ("policy get a", "policy:get", {"component": "a"}),
        ("policy set a f", "policy:set_policy", {"component": "a", "file": "f", "yes": False}),
        ("policy set a f --yes", "policy:set_policy", {"yes": True}),
        ("policy unset a", "policy:unset", {"component": "a", "yes": False}),
        ("policy check a", "policy:check", {"subject": "a", "approve": False}),
        ("policy check a --approve", "policy:check", {"approve": True}),
        (
            "policy explain a --path /p --access read --tool t",
            "policy:explain",
            {"path": "/p", "access": "read", "url": None, "env": None, "tool": "t"},
        ),
        ("policy explain a --url u --method M", "policy:explain", {"url": "u", "method": "M"}),
        ("policy explain a --env K", "policy:explain", {"env": "K", "path": None}),
        (
            "permission grant storage a fs://b --access read,write",
            "permission:grant_storage",
            {"component": "a", "uri": "fs://b", "access": ("read", "write")},
        ),
        ("permission grant network a h", "permission:grant_network", {"host": "h"}),
        (
            "permission grant environment-variable a K",
            "permission:grant_environment_variable",
            {"key": "K", "value": None, "secret": None},
        ),
        (
            "permission grant environment-variable a K --secret S",
            "permission:grant_environment_variable",
            {"secret": "S"},
        ),
        ("permission revoke storage a fs://b", "permission:revoke_storage", {"rule": "fs://b"}),
        ("permission revoke network a 2", "permission:revoke_network", {"rule": "2"}),
        (
            "permission revoke environment-variable a K",
            "permission:revoke_environment_variable",
            {"rule": "K"},
        ),
        ("permission reset a", "permission:reset", {"component": "a"}),
        ("secret set a N", "secret:set_secret", {"names": ["N"], "from_env": None}),
        ("secret set a N=1 M=2", "secret:set_secret", {"names": ["N=1", "M=2"]}),
        ("secret set a N --from-file f", "secret:set_secret", {"from_file": "f"}),
        ("secret list a", "secret:list_all", {"component": "a"}),
        ("secret delete a N M", "secret:delete", {"names": ["N", "M"]}),
        ("audit", "audit:show", {"component": None, "follow": False}),
        ("audit --component a --event e --since 1h --follow", "audit:show", {"since": "1h"}),
        ("audit --call c", "audit:show", {"call": "c", "since": None}),
        ("audit verify", "audit:verify", {}),
        ("doctor", "doctor:doctor", {}),
        ("settings", "settings:show", {"output": None}),
        ("settings --output-format yaml", "settings:show", {"output": "yaml"}),
        ("autocomplete zsh", "autocomplete:show", {"shell": "zsh"}),
    ],
)
def test_a_command_is_understood(words: str, command: str, options: dict[str, object]) -> None:
    found = parse(*words.split())
    assert found.command == command
    assert {name: getattr(found.options, name) for name in options} == options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("policy explain a", "--path --url --env is required"),
        ("policy explain a --path /p", "--path needs --access beside it"),
        ("policy explain a --env K --access read", "--access needs --path beside it"),
        ("policy explain a --path p --access read --method GET", "--method needs --url"),
        ("policy explain a --path p --url u", "not allowed with"),
        ("policy explain a --path p --access all", "--access: should be read or write, not 'all'"),
        ("permission grant storage a u", "--access"),
        ("permission grant storage a u --access all", "should be read, write or read,write"),
        ("permission grant environment-variable a K --value 1 --secret S", "not allowed with"),
        ("secret set a", "NAME"),
        ("secret set a N --from-env E --from-file f", "not allowed with"),
        ("autocomplete tcsh", "SHELL: should be bash, zsh or fish, not 'tcsh'"),
        ("policy get a b", "unrecognized arguments: b"),
    ],
)
def test_an_incomplete_or_contradictory_command_is_refused(words: str, said: str) -> None:
    assert said in refusal(*words.split())


# --- settings among the words ---------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "--max-workers 3 --disable-builtin-tools component list",
        "component --max-workers 3 --disable-builtin-tools list",
        "component list --max-workers 3 --disable-builtin-tools",
        "component --max-workers 3 list --disable-builtin-tools",
    ],
)
def test_settings_may_stand_before_and_after_the_command(words: str) -> None:
    invocation = parse(*words.split())
    assert invocation.command == "component:list_all"
    assert invocation.settings.max_workers == 3
    assert invocation.settings.disable_builtin_tools


def test_of_a_setting_given_twice_the_innermost_counts_and_members_add_up() -> None:
    words = "--queue 1 --limit fuel=1 permission --limit memory=1Mi grant --limit fuel=2 network"
    found = parse(*words.split(), "a", "h", "--queue", "2", "--limit", "tables=3").settings
    assert found.queue == 2
    assert (found.limits.fuel, found.limits.memory, found.limits.tables) == (2, 1 << 20, 3)


def test_an_option_of_a_command_with_the_name_of_a_setting_takes_its_place_there() -> None:
    explained = parse("--env", "A=1", "policy", "--env", "B=2", "explain", "a", "--env", "C")
    assert explained.options.env == "C"
    assert dict(explained.settings.environment) == {"A": "1", "B": "2"}
    checked = parse("--approve", "deny", "policy", "check", "a", "--approve")
    assert checked.options.approve is True
    assert checked.settings.approve == "deny"


# --- what is not understood -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nonsense", "there is no command 'nonsense'; there are run, component"),
        ("inspct", "there is no command 'inspct'; did you mean inspect?"),
        ("permission grant networks a h", "'permission grant networks'; did you mean network?"),
        ("--nonsense", "there is no option --nonsense"),
        ("-x", "unrecognized arguments: -x"),
        ("--max-work 3", "did you mean --max-workers?"),
        ("component", "required: COMMAND"),
        ("component load", "required: URI|PATH"),
        ("component list -o xml", "--output: should be json, yaml or table, not 'xml'"),
        ("--max-workers none", "--max-workers: should be a whole number from 1 to 256"),
        ("run --limit fuel", "--limit: should be NAME=VALUE"),
        ("tool list --limit fuel=x", "--limit fuel: should be"),
        ("component list --args {}", "unrecognized arguments: --args {}"),
    ],
)
def test_what_cannot_be_understood_is_named(words: str, said: str) -> None:
    assert said in refusal(*words.split())


def test_an_argument_cannot_bring_escapes_or_lines_into_its_refusal() -> None:
    for words in (["component\x1b[31m\nlist"], ["list", "\x1b[31m"], ["--a\u202e\nb"]):
        assert refusal(*words)
    assert refusal("component", "list", "-o", "\x1b[31m")


def test_every_spelling_of_elsewhere_is_answered_with_what_to_write_here() -> None:
    for words, hint in elsewhere.WORDS.items():
        assert refusal(*words.split(), "x") == hint
    for option, hint in elsewhere.OPTIONS.items():
        assert refusal("run", option, "x") == f"there is no option {option}; {hint}"


def test_what_a_hint_tells_to_write_is_there() -> None:
    known = {command.words for command in COMMANDS} | set(GROUPS)
    for hint in [*elsewhere.WORDS.values(), *elsewhere.OPTIONS.values()]:
        for written in re.findall(r"(?:write|with) `([a-z -]+)`", hint):
            assert written in known


# --- help -----------------------------------------------------------------------------------


def parsers(parser: argparse.ArgumentParser) -> Iterator[Parser]:
    assert isinstance(parser, Parser)
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


EVERY = list(parsers(build()))


def test_every_command_and_group_has_a_parser() -> None:
    assert {parser.words for parser in EVERY} == {
        "",
        *GROUPS,
        *(command.words for command in COMMANDS),
    }


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.words or "alone")
def test_help_fits_80_columns_and_puts_a_text_beside_each_option(parser: Parser) -> None:
    lines = parser.format_help().splitlines()
    assert max(map(len, lines)) <= 80
    shown = [action for action in actions(parser) if action.help is not argparse.SUPPRESS]
    assert shown
    for action in shown:
        names = ", ".join(action.option_strings) or action.metavar
        assert any(
            line.split("  ")[1].startswith(str(names)) and line.endswith(f"  {action.help}")
            for line in (f"  {line.strip()}" for line in lines)
        ), names


def actions(parser: Parser) -> Iterator[argparse.Action]:
    """Each line of the help; of a group, that of each command in it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action._choices_actions
        else:
            yield action


def documented(parser: Parser) -> dict[str, bool]:
    return {
        name: action.help is not argparse.SUPPRESS and bool(action.help)
        for action in parser._actions
        for name in action.option_strings
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_each_option_of_a_command_is_documented(command: Command) -> None:
    [parser] = [parser for parser in EVERY if parser.words == command.words]
    hidden = {name for name, shown in documented(parser).items() if not shown}
    aliases = {option.alias for option in command.options if option.alias}
    of_run = {setting.option for setting in SETTINGS.values() if setting.run_only}
    own = {option.flag for option in command.options}
    assert hidden == aliases | ((of_run - own) if command.words != "run" else set())


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.words or "alone")
def test_help_that_points_below_has_the_limits_there(parser: Parser) -> None:
    text = parser.format_help()
    assert ("default: below" in text) == ("\n  wall_time  " in text)
    if "--limit" in text and "default: below" not in text:
        assert "a limit of each call; repeatable (see `run --help`)" in text


def test_every_setting_is_in_the_help_of_the_program() -> None:
    shown = documented(EVERY[0])
    assert all(shown[setting.option] for setting in SETTINGS.values())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_has_an_example_that_is_understood_as_that_command(command: Command) -> None:
    assert command.examples
    for example in command.examples:
        words = shlex.split(example.partition(" > ")[0])
        assert parse(*words).options.entry is command


def test_commands_are_called_by_module_and_function() -> None:
    functions = [command.function for command in COMMANDS]
    assert len(functions) == len(set(functions))
    assert all(re.fullmatch(r"[a-z_]+:[a-z_]+", function) for function in functions)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_every_command_is_there(command: Command) -> None:
    module, _, function = command.function.partition(":")
    assert callable(getattr(import_module(f"wassette_supervisor.cli.{module}"), function))
