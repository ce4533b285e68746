"""A policy that a person hands over: read bounded, and checked with its name in every message."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.cli import given
from wassette_supervisor.errors import PolicyError, SupervisorError, one_line
from wassette_supervisor.policy import parsing
from wassette_supervisor.store.policies import MAX_POLICY_BYTES

if TYPE_CHECKING:
    from wassette_supervisor.authority.permissions import Permissions
    from wassette_supervisor.policy.document import Policy

STDIN = "-"


class BadPolicyFileError(SupervisorError):
    """A file is no policy that could be in force here."""


class Checked(NamedTuple):
    text: bytes
    policy: Policy
    warnings: list[str]


def read(name: str) -> bytes:
    """The text of a policy, from a file or from standard input.

    Raises:
        GivenError: It can't be had.
    """
    if name == STDIN:
        return given.from_stdin(MAX_POLICY_BYTES, "the policy")
    return given.from_file(name, MAX_POLICY_BYTES, "the policy")


def checked(permissions: Permissions, name: str, text: bytes) -> Checked:
    """Parse a policy, and see that it could be enforced here and now.

    Raises:
        BadPolicyFileError: Says in which line, what and what to write instead.
    """
    try:
        parsed = parsing.parse(text)
        permissions.check(text)
    except PolicyError as error:
        shown = "standard input" if name == STDIN else one_line(name)
        raise BadPolicyFileError(f"{shown}: {error}") from error
    return Checked(text, parsed.policy, [one_line(warning) for warning in parsed.warnings])
