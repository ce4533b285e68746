"""Completions, as the shells themselves work them out."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.cli.autocomplete import FILES, SCRIPTS, SWITCH, tree
from wassette_supervisor.cli.grammar.commands import COMMANDS, GROUPS
from wassette_supervisor.settings.table import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

# Each prints what is offered for the words after the program's name, the last one begun.
_DRIVERS = {
    "bash": """\
        . ./script
        COMP_WORDS=(wassette-supervisor "$@") COMP_CWORD=$#
        _wassette_supervisor
        printf '%s\\n' "${COMPREPLY[@]}"
        """,
    # Outside of a terminal these three are not there; the shell drops what doesn't fit itself.
    "zsh": """\
        compdef() { : }
        compadd() { shift; print -l -- ${(M)@:#${words[CURRENT]}*} }
        _files() { print -l -- ${words[CURRENT]}*(N) }
        . ./script
        words=(wassette-supervisor "$@") CURRENT=$#words
        _wassette_supervisor
        """,
    "fish": """\
        source ./script
        complete -C "wassette-supervisor $argv" | string replace -r '\\t.*' ''; or true
        """,
}


FIRST_WORDS = {words.split()[0] for words in [*GROUPS, *(command.words for command in COMMANDS)]}


@pytest.fixture(params=_DRIVERS)
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"NOT RUN: needs {name}")
    return name


def offered(shell: str, folder: Path, *words: str) -> set[str]:
    (folder / "script").write_text(SCRIPTS[shell](tree()))
    (folder / "driver").write_text(_DRIVERS[shell])
    options = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}
    done = subprocess.run(  # noqa: S603 - our own script
        [shell, *options[shell], "driver", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


# The words of a command line, `|` for a last one that isn't begun, and what may stand there.
OFFERED: dict[str, set[str]] = {
    "comp": {"component"},
    "component |": {"load", "approve", "unload", "release", "list", "repair", "state"},
    "component state greeter |": {"size", "reset"},
    "--queue 1 permission grant n": {"network"},
    "nonsense |": FIRST_WORDS,
    "component --isolation |": {"fork", "exec"},
    "--approve |": {"ask", "deny", "allow"},
    "--limit memor": {"memory=", "memories="},
    "policy explain x --access |": {"read", "write"},
    "policy check x --appr": {"--approve", "--approval-timeout"},
    "policy check --approve dri": {"driver"},  # a switch there, so a file may follow
    "inspect dri": {"driver"},
    "--env-file dri": {"driver"},
    "audit |": {"verify"},
    "audit --component verify --fo": {"--follow"},  # a value is no command
    "component unload list --o": {"--output"},  # nor is an operand
    "autocomplete |": {"bash", "zsh", "fish"},
}


def test_a_shell_offers_what_may_stand_next(tmp_path: Path, shell: str) -> None:
    found = {
        words: offered(shell, tmp_path, *("" if word == "|" else word for word in words.split()))
        for words in OFFERED
    }
    assert found == OFFERED


def test_every_place_has_its_options_and_every_value_is_words_that_need_no_quotes() -> None:
    found = tree()
    assert set(found.words) == {"", *GROUPS, *(command.words for command in COMMANDS)}
    assert set(found.options) == set(found.words)
    for options in found.options.values():
        assert {setting.option for setting in SETTINGS.values()} < set(options.split())
    plain = {"-", "=", "_", " "}
    for text in [*found.words.values(), *found.options.values(), *found.values.values()]:
        assert text in {FILES, SWITCH} or all(c.isalnum() or c in plain for c in text), text


def test_no_placeholder_is_left_in_a_script() -> None:
    for make in SCRIPTS.values():
        script = make(tree())
        for placeholder in ("PLACES", "OPTIONS", "VALUES", "_NAME", "PROGRAM"):
            assert placeholder not in script
