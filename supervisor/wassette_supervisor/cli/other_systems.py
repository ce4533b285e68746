"""What there is of the command line where there is no Linux: what runs no component."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from wassette_supervisor.authority.attached import checked
from wassette_supervisor.cli.inspect_unconfined import inspect
from wassette_supervisor.cli.output import emit, warn
from wassette_supervisor.cli.rights import changes_data
from wassette_supervisor.errors import PolicyError, SupervisorError, UsageError, one_line
from wassette_supervisor.policy import parsing, strict_yaml
from wassette_supervisor.policy.difference import difference

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation

_CHECK = "policy:check"
_INSPECT = "inspect:inspect"


class NoLinuxError(SupervisorError):
    def __init__(self) -> None:
        super().__init__(
            f"components are run on Linux only, and this is {sys.platform}: nothing here could "
            "hold one that breaks out; use a virtual machine or WSL 2. `policy check FILE` and "
            "`inspect` work here too"
        )


def run(invocation: Invocation) -> None:
    """Do what can be done without a process that holds what it runs.

    Raises:
        NoLinuxError: It can't.
        SupervisorError: What was asked for is wrong; says in what.
    """
    if invocation.command == _INSPECT:
        inspect(invocation)
    elif invocation.command == _CHECK and not invocation.options.approve:
        _check(invocation)
    else:
        raise NoLinuxError


def _check(invocation: Invocation) -> None:
    name = invocation.options.subject
    text = _read(name)
    try:
        parsed, policy = parsing.parse(text), checked(text)
    except PolicyError as error:
        raise SupervisorError(f"{one_line(name)}: {error}") from error
    warnings = [one_line(warning) for warning in parsed.warnings]
    for warning in warnings:
        warn(warning)
    changes = changes_data(difference(None, policy))
    # What is missing can be told only where calls run.
    answer = {"file": name, "status": "enforceable", "changes": changes, "missing": []}
    rows = [("policy", name), ("status", "enforceable")]
    rows += [("grants" if each["sign"] == "+" else "takes", each["right"]) for each in changes]
    emit(invocation.options, answer | {"warnings": warnings}, ("what", "value"), rows)


def _read(name: str) -> bytes:
    if not Path(name).is_file():
        raise NoLinuxError  # it may be the id of a component
    try:
        with Path(name).open("rb") as file:
            return file.read(strict_yaml.MAX_BYTES + 1)  # beyond which it is refused
    except OSError as error:
        raise UsageError(
            f"the policy {one_line(name)!r} can't be read: {error.strerror}"
        ) from error
