"""The manifest of claims: what the documents promise, the tests that hold it, a sabotage of each.

`tests/claims.toml` has an entry for every promise. Its sabotage is one changed line of the product
with which its tests must fail: a test that passes all the same does not hold the promise.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFEST = REPOSITORY / "tests" / "claims.toml"

# Every item of these sections is a promise; other sections may have some as well.
PROMISES = {"README.md": "Why", "SECURITY.md": "What is promised"}


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One promise: a sentence of a document, and how to see that its tests hold it."""

    document: str
    sentence: str
    tests: list[str]  # each fails under the sabotage
    file: str
    line: str  # without its indentation
    instead: str
    why: str  # why just this line
    as_root: bool = False  # only root can see the difference

    def sabotaged(self, text: str) -> str:
        """The text of the file with the line replaced.

        Raises:
            ValueError: The line doesn't stand there exactly once.
        """
        lines = text.splitlines()
        found = [number for number, line in enumerate(lines) if line.strip() == self.line]
        if len(found) != 1:
            raise ValueError(f"{self.file} has {len(found)} lines {self.line!r}, not one")
        old = lines[found[0]]
        lines[found[0]] = old[: len(old) - len(old.lstrip())] + self.instead
        return "\n".join(lines) + "\n"


def claims() -> dict[str, Claim]:
    """All entries, by their names.

    Raises:
        msgspec.ValidationError: An entry has a key too many or too few.
    """
    with MANIFEST.open("rb") as file:
        return msgspec.convert(tomllib.load(file), dict[str, Claim])


def promised(text: str, heading: str) -> list[str]:
    """The sentences of all list items below this heading of the second level."""
    section = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if section is None:
        raise LookupError(heading)
    items = re.findall(r"^- (.*?)(?=\n(?:\n|- |#)|\Z)", section[1], re.MULTILINE | re.DOTALL)
    return [sentence for item in items for sentence in sentences(item)]


def sentences(text: str) -> list[str]:
    """Its sentences, each on one line."""
    return re.split(r"(?<=[.!?]) (?=[A-Z`*])", " ".join(text.split()))
