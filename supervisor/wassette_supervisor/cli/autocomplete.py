"""`autocomplete`: completions for a shell, made from the table of commands.

A script follows the words before the cursor to the command that they name, and offers what may
stand next. Everything that it offers is a word of ours, so nothing in it needs quoting.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.cli.grammar.commands import COMMANDS, GROUPS
from wassette_supervisor.cli.output import write
from wassette_supervisor.settings import NAME
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.cli.grammar.command import Command

FILES = "@files"  # in place of words: the shell's own completion of paths
SWITCH = "@switch"  # takes no value
_PATHS = {"DIR", "FILE", "FILE|ID", "ID|FILE", "URI|PATH"}


class Tree(NamedTuple):
    """What may stand where, one text of words each; a place is the words of a command or group."""

    words: dict[str, str]  # by place: commands below it, or what its operands may be
    options: dict[str, str]  # by place
    values: dict[str, str]  # by place and option; for all places by `*` and option


def show(invocation: Invocation) -> None:
    write(SCRIPTS[invocation.options.shell](tree()))


def tree() -> Tree:
    places = ["", *GROUPS, *(command.words for command in COMMANDS)]
    words: defaultdict[str, list[str]] = defaultdict(list)
    for place in places[1:]:
        words[place.rpartition(" ")[0]].append(place.rpartition(" ")[2])
    common = " ".join(["--help", *(setting.option for setting in SETTINGS.values())])
    found = Tree(
        {place: " ".join(words[place]) for place in places},
        dict.fromkeys(places, common) | {"": f"--version {common}"},
        {},
    )
    for command in COMMANDS:
        _add(found, command)
    for setting in SETTINGS.values():
        kind = setting.kind
        members = [f"{name}=" for name in kind.kinds] if isinstance(kind, Named) else kind.choices
        found.values[f"* {setting.option}"] = _values(kind.placeholder, members)
    return found


def _add(found: Tree, command: Command) -> None:
    place = command.words
    for option in command.options:
        for name in filter(None, (option.short, option.flag)):
            found.values[f"{place} {name}"] = _values(option.placeholder, option.choices)
            if name not in found.options[place].split():
                found.options[place] = f"{name} {found.options[place]}"
    for operand in command.operands:
        offered = _values(operand.placeholder, operand.choices)
        found.words[place] = f"{found.words[place]} {offered}".strip()


def _values(placeholder: str, choices: Iterable[str]) -> str:
    if not placeholder:
        return SWITCH
    return " ".join(choices) or (FILES if placeholder in _PATHS else "")


# --- bash and zsh ---------------------------------------------------------------------------

# Both know `case`; how the words come and where the answer goes is each one's own.
_COMMON = """\
_NAME_at() {
    case "$1" in
PLACES
        *) return 1 ;;
    esac
}
_NAME_options() {
    case "$1" in
OPTIONS
    esac
}
_NAME_values() {
    case "$1 $2" in
VALUES
        *) offered=@switch ;;
    esac
}
_NAME_offer() {
    local place="" waiting="" word current
    while [ $# -gt 1 ]; do
        word=$1
        shift
        if [ -n "$waiting" ]; then
            waiting=""
        elif [ "${word#-}" != "$word" ]; then
            _NAME_values "$place" "$word"
            [ "$offered" = @switch ] || waiting=$word
        elif _NAME_at "${place:+$place }$word"; then
            place="${place:+$place }$word"
        fi
    done
    current=$1
    if [ -n "$waiting" ]; then
        _NAME_values "$place" "$waiting"
    elif [ "${current#-}" != "$current" ]; then
        _NAME_options "$place"
    else
        _NAME_at "$place"
    fi
}
"""
_BASH = """\
_NAME() {
    local offered=""
    _NAME_offer "${COMP_WORDS[@]:1:COMP_CWORD}"
    case "$offered" in
        *@files*) mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$offered" -- "${COMP_WORDS[COMP_CWORD]}") ;;
    esac
}
complete -o filenames -F _NAME PROGRAM
"""
_ZSH = """\
_NAME() {
    local offered=""
    _NAME_offer "${(@)words[2,CURRENT]}"
    case "$offered" in
        *@files*) _files ;;
        *) compadd -- ${=offered} ;;
    esac
}
compdef _NAME PROGRAM
"""


def _bash(tree: Tree) -> str:
    return _filled(_COMMON + _BASH, tree, _case)


def _zsh(tree: Tree) -> str:
    return _filled(f"#compdef {NAME}\n" + _COMMON + _ZSH, tree, _case)


def _case(key: str, offered: str) -> str:
    pattern = f'*"{key[1:]}"' if key.startswith("* ") else f'"{key}"'
    return f'        {pattern}) offered="{offered}" ;;'


# --- fish -----------------------------------------------------------------------------------

_FISH_SCRIPT = """\
function _NAME_at
    switch "$argv[1]"
PLACES
        case '*'
            return 1
    end
end
function _NAME_options
    switch "$argv[1]"
OPTIONS
    end
end
function _NAME_values
    switch "$argv[1] $argv[2]"
VALUES
        case '*'
            echo @switch
    end
end
function _NAME_offer
    set -l place ""
    set -l waiting ""
    for word in (commandline -opc)[2..-1]
        if test -n "$waiting"
            set waiting ""
        else if string match -q -- '-*' $word
            test "$(_NAME_values "$place" $word)" = @switch; or set waiting $word
        else if _NAME_at (string trim "$place $word") >/dev/null
            set place (string trim "$place $word")
        end
    end
    if test -n "$waiting"
        _NAME_values "$place" $waiting
    else if string match -q -- '-*' (commandline -ct)
        _NAME_options "$place"
    else
        _NAME_at "$place"
    end
end
function _NAME
    set -l offered (_NAME_offer)
    if string match -q -- '*@files*' "$offered"
        __fish_complete_path (commandline -ct)
    else
        string split -n ' ' -- "$offered"
    end
end
complete -c PROGRAM -f -a '(_NAME)'
"""


def _fish(tree: Tree) -> str:
    return _filled(_FISH_SCRIPT, tree, _switch)


def _switch(key: str, offered: str) -> str:
    return f"        case '{key}'\n            echo '{offered}'"


def _filled(script: str, tree: Tree, line: Callable[[str, str], str]) -> str:
    def lines(entries: Mapping[str, str]) -> str:
        return "\n".join(line(key, offered) for key, offered in entries.items())

    script = script.replace("PLACES", lines(tree.words)).replace("OPTIONS", lines(tree.options))
    script = script.replace("VALUES", lines(tree.values))
    return script.replace("_NAME", f"_{NAME.replace('-', '_')}").replace("PROGRAM", NAME)


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
