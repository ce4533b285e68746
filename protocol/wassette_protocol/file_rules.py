"""What a worker judges paths by, within one directory that its guest was given."""

from __future__ import annotations

import msgspec

from wassette_protocol.patterns import Pattern

# Beyond these a grant is refused before a worker is asked: each rule costs a little at each name.
MAX_CLAUSES = 256  # of all directories of a call together
MAX_SEGMENTS = 2048  # of all patterns together


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """What a rule says of the paths below the directory that its pattern matches."""

    pattern: Pattern
    read: bool
    write: bool


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """Rules of one document: the allowing ones unite, then the denying ones take away."""

    allow: tuple[Clause, ...]
    deny: tuple[Clause, ...] = ()


class Shielded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """What nobody writes to under a grant of more, unless a rule names it."""

    pattern: Pattern
    named: tuple[Pattern, ...] = ()  # where a rule does


class FileRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """All layers have to allow an access; the directory itself is the empty path."""

    layers: tuple[Layer, ...]
    shielded: tuple[Shielded, ...] = ()

    @property
    def clauses(self) -> int:
        return sum(len(layer.allow) + len(layer.deny) for layer in self.layers)

    @property
    def patterns(self) -> list[Pattern]:
        clauses = [each for layer in self.layers for each in (*layer.allow, *layer.deny)]
        shields = [each for one in self.shielded for each in (one.pattern, *one.named)]
        return [*(clause.pattern for clause in clauses), *shields]


def rules_fault(all_rules: list[FileRules]) -> str | None:
    """Why these are more than one call can have; None if they aren't."""
    clauses = sum(rules.clauses for rules in all_rules)
    if clauses > MAX_CLAUSES:
        return f"{clauses} rules of files are more than {MAX_CLAUSES}"
    segments = sum(len(pattern.segments) for rules in all_rules for pattern in rules.patterns)
    return (
        None if segments <= MAX_SEGMENTS else f"their patterns have more than {MAX_SEGMENTS} parts"
    )
