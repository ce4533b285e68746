"""What a failed call may have lacked, as a rule that a person could allow.

A worker that judges paths tells which it refused. Where it has none to judge, nobody tells that a
guest missed a directory: it finds none, and asks for nothing. So a path among the arguments of a
failed call counts as wanted, if the component is made to use files. A variable counts if the guest
asked its configuration for it by name.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.errors import SupervisorError
from wassette_supervisor.policy import edit
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.policy.document import Rule
    from wassette_supervisor.store.record import Record

_FILES = "wasi:filesystem/preopens"
# Of a call's arguments so many texts are looked at, each up to this length.
MAX_TEXTS = 32
MAX_PATH_CHARACTERS = 1024
MAX_DEPTH = 8


class Lacks(NamedTuple):
    """What a failed call asked for in vain."""

    missing: tuple[str, ...] = ()  # variables: the guest's own words
    # Paths of the host that its rules refused, and the access: its worker's words.
    denied: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()  # of requests that no rule allowed, as a rule names them


def lacked(
    permissions: Permissions, record: Record, arguments: Mapping[str, Any], lacks: Lacks
) -> Rule | None:
    """The first rule that would have given the call more than it had; None if none would.

    Args:
        permissions: Of the component.
        record: The component.
        arguments: Of the call: a model's words.
        lacks: What it asked for.
    """
    for rule in _candidates(permissions, record, arguments, lacks):
        try:
            changed = permissions.proposed(record, partial(edit.grant, rule=rule))
        except SupervisorError:
            continue
        if changed.widens and rule not in permissions.temporary(record):
            return rule
    return None


def _candidates(
    permissions: Permissions, record: Record, arguments: Mapping[str, Any], lacks: Lacks
) -> Iterator[Rule]:
    for host in lacks.hosts:
        yield from _rule("network", host)
    for key in lacks.missing:
        if permissions.has_variable(key):
            yield from _rule("environment-variable", key)
    for path, access in lacks.denied:
        yield from _rule("storage", f"fs://{_named(path, permissions.workspace)}", [access])
    if lacks.denied or lacks.hosts:  # it is known what was wanted: nothing wider is guessed
        return
    if any(name.startswith(_FILES) for name in record.imports):
        workspace = permissions.workspace
        for directory in dict.fromkeys(_directories(arguments, workspace)):
            yield from _rule("storage", f"fs://{directory}", ["read"])


def _named(path: str, workspace: str | None) -> str:
    """As a policy names it: what lies in the workspace from there, or no deny would be seen."""
    if workspace is not None and Path(path).is_relative_to(workspace):
        return str(Path(path).relative_to(workspace))
    return path


def _rule(section: Any, name: str, access: list[str] | None = None) -> Iterator[Rule]:
    try:
        yield rule_from_words(section, name, access) if access else rule_from_words(section, name)
    except SupervisorError:  # it can't be said in a policy
        return


def _directories(arguments: Mapping[str, Any], workspace: str | None) -> Iterator[str]:
    for number, text in enumerate(_texts(arguments, MAX_DEPTH)):
        if number >= MAX_TEXTS:
            return
        if not text or len(text) > MAX_PATH_CHARACTERS or "\0" in text:
            continue
        path = PurePath(os.path.normpath(text))
        base = Path("/") if path.is_absolute() else workspace and Path(workspace)
        if not base or ".." in path.parts:
            continue
        for each in (path, path.parent):
            # Of the workspace itself nobody asked by naming something in it.
            if str(each) != "." and _is_directory(base / each):
                yield str(each)
                break


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth > 0 and isinstance(value, dict):
        for each in value.values():
            yield from _texts(each, depth - 1)
    elif depth > 0 and isinstance(value, list):
        for each in value:
            yield from _texts(each, depth - 1)


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
