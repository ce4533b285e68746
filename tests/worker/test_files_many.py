"""A hundred thousand operations on random trees, links and rules: as many as say something."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from support.files_model import Model
from support.guarded import guarded
from wassette_protocol.file_rules import Clause, FileRules, Layer, Shielded
from wassette_protocol.patterns import Pattern
from worker.test_files_model import on_disk, outcome, planted

WORLDS, STEPS = 400, 250
NAMES = ("a", "b", "c", "a.x")
SEGMENTS = (b"a", b"b", b"c", b"*", b"**", b"*.x", b"a*")
ONE_PATH = (
    "open",
    "open",
    "open",
    "open",
    "stat",
    "stat",
    "readlink",
    "names",
    "names",
    "make_directory",
    "unlink",
)
FLAGS = ("follow", "create", "directory", "exclusive", "truncate", "read", "write")


class Chance(random.Random):
    """What a test needs, by one seed."""

    def text(self) -> str:
        names = self.choices((*NAMES, *NAMES, ".", ".."), k=self.choice((1, 1, 2, 2, 3)))
        return "/".join(names) + self.choice(("", "", "", "", "/"))

    def pattern(self, longest: int, *, below: bool) -> Pattern:
        count = self.randint(0 if longest < 3 else 1, longest)
        return Pattern(tuple(self.choices(SEGMENTS, k=count)), below)

    def layer(self) -> Layer:
        everything = Clause(Pattern((), below=True), read=True, write=True)
        some = Clause(
            self.pattern(2, below=True), read=self.random() < 0.8, write=self.random() < 0.7
        )
        deny = [
            Clause(self.pattern(3, below=True), read=self.random() < 0.6, write=True)
            for _ in range(self.choice((0, 1, 1)))
        ]
        return Layer((everything,) if self.random() < 0.6 else (some,), tuple(deny))

    def rules(self) -> FileRules:
        layers = tuple(self.layer() for _ in range(self.choice((1, 1, 2))))
        shields = [Shielded(self.pattern(3, below=True))] if self.random() < 0.3 else []
        return FileRules(layers, tuple(shields))

    def tree(self) -> list[tuple[list[str], Any]]:
        return [
            (self.choices(NAMES, k=self.choice((1, 1, 2, 2, 3))), self.node()) for _ in range(24)
        ]

    def node(self) -> Any:
        kind = self.choice(("directory", "directory", "file", "link", "link", "link", "link"))
        return {"file": ("file", b"x"), "link": ("link", self.text())}.get(kind, kind)

    def operation(self) -> tuple[str, tuple[str, ...], dict[str, bool]]:
        if self.random() < 0.2:
            return self.choice(("rename", "symlink", "symlink")), (self.text(), self.text()), {}
        name = self.choice(ONE_PATH)
        flags: dict[str, bool] = {}
        if name == "open":
            flags = {each: self.random() < 0.35 for each in FLAGS} | {"follow": True}
        elif name == "stat":
            flags = {"follow": self.random() < 0.7}
        return name, (self.text(),), flags


@pytest.mark.timeout(300)
def test_of_a_hundred_thousand_operations_each_does_what_the_model_says() -> None:
    counts = compared(WORLDS)
    assert counts["all"] == WORLDS * STEPS >= 100_000
    assert counts["denied"] >= counts["all"] / 5, counts
    assert counts["linked"] >= counts["all"] / 5, counts


def compared(worlds: int) -> Counter[str]:
    """Do the same in both, as often as this; AssertionError if they differ."""
    counts: Counter[str] = Counter()
    for world in range(worlds):
        chance = Chance(world)
        folder = Path(tempfile.mkdtemp())
        try:
            model = Model(chance.rules(), planted(folder, chance.tree()))
            with guarded(folder, model.rules) as real:
                for _ in range(STEPS):
                    _step(model, real, chance.operation(), counts, world)
            assert on_disk(folder) == model.tree, world
        finally:
            shutil.rmtree(folder)
    return counts


def _step(model: Model, real: Any, operation: Any, counts: Counter[str], world: int) -> None:
    name, arguments, flags = operation
    denied, linked = model.denied, model.linked
    expected = outcome(model, name, arguments, flags)
    assert outcome(real, name, arguments, flags) == expected, (world, operation)
    counts["all"] += 1
    counts["denied"] += model.denied > denied
    counts["linked"] += model.linked > linked
