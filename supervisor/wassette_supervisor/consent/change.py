"""What a model may ask for and only a person may allow."""

from __future__ import annotations

from typing import Literal

import msgspec

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.policy.document import Rule, StorageRule

Decision = Literal["once", "session", "always", "deny"]


class Read(msgspec.Struct, frozen=True, tag=True):
    """Read and compile a component; asked before anything is looked at."""

    reference: str
    name: str | None


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Keep a compiled component, so that its tools can be called."""

    component: ComponentId
    reference: str
    digest: Digest
    tools: tuple[str, ...]
    wants: tuple[str, ...]  # what its imports tell: "files", "network", …
    replaces: Digest | None
    rules: int  # of the policy that stays attached
    local: bool = False  # nobody asked for it: its file was put into the local directory


class Unload(msgspec.Struct, frozen=True, tag=True):
    """Forget a component, its policy, its secrets and the files that it keeps between calls."""

    component: ComponentId
    rules: int
    secrets: int
    files: int = 0


class Grant(msgspec.Struct, frozen=True, tag=True):
    """Add a rule to what a component may do."""

    component: ComponentId
    rule: Rule
    # What the rule means here and now, where its words leave that open: a path, a value.
    meaning: str
    is_file: bool = False  # that is one file
    # The tool that failed for want of it, and would be run again; empty if the model asked.
    again: str = ""


class Lift(msgspec.Struct, frozen=True, tag=True):
    """Revoke something, when that widens what a component may do."""

    component: ComponentId
    gains: tuple[str, ...]  # in our own words, one for each right


Change = Read | Keep | Unload | Grant | Lift


class Asked(msgspec.Struct, frozen=True):
    """A change, and what must still be as it was when the answer comes."""

    change: Change
    # Digest of the component and of its policy; empty where there is none.
    standing: tuple[str, str] = ("", "")


def options(change: Change) -> tuple[Decision, ...]:
    """What may be answered."""
    if isinstance(change, Grant):
        return ("once", "session", "always", "deny")
    return ("always", "deny")


def key(change: Change) -> bytes:
    """The same for what a person would take for the same question."""
    match change:
        case Keep():
            change = msgspec.structs.replace(change, tools=(), wants=(), rules=0, local=False)
        case Unload():
            change = msgspec.structs.replace(change, rules=0, secrets=0, files=0)
        case Grant(rule=StorageRule(access=access)):
            # A directory has many spellings.
            rule = StorageRule(change.meaning, access)
            change = msgspec.structs.replace(change, rule=rule, again="")
        case Grant():
            change = msgspec.structs.replace(change, meaning="", again="")
        case Read() | Lift():
            pass
    return msgspec.json.encode(change)
