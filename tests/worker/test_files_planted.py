"""Mistakes that guards of files are known for, planted: the tests of this one find each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from wassette_protocol import patterns
from wassette_worker.guards.files import changes, judge, opening
from wassette_worker.guards.files.scope import Scope
from wassette_worker.guards.files.walk import Walk
from worker.test_files_many import compared
from worker.test_files_race import folder, raced

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["folder"]

WORLDS = 60


def by_a_string_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    def starts(pattern: bytes, name: bytes) -> bool:
        return name.startswith(pattern.replace(b"*", b""))

    for module in (patterns, judge):
        monkeypatch.setattr(module, "segment_matches", starts)
    monkeypatch.setattr(judge._Moves, "_key", lambda _, name: name)


def with_the_target_of_a_rename_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = changes._writable
    renamed: list[object] = []

    def careless(scope: Scope, walk: Walk, text: str) -> Any:
        caller = sys._getframe(1)
        if caller.f_code.co_name == "rename_at":
            if renamed[-1:] == [caller]:
                return walk.to(text)
            renamed.append(caller)
        return honest(scope, walk, text)

    monkeypatch.setattr(changes, "_writable", careless)


def with_a_create_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Scope.need

    def careless(self: Scope, *arguments: Any) -> None:
        caller = sys._getframe(1)
        if caller.f_code.co_name != "_open_once" or caller.f_locals["found"] is not None:
            honest(self, *arguments)

    monkeypatch.setattr(Scope, "need", careless)


def with_the_end_of_a_link_unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Walk._follow

    def careless(self: Walk, place: Any, link: Any) -> Any:
        return honest(self, place, link)._replace(path=place.path, state=place.state)

    monkeypatch.setattr(Walk, "_follow", careless)


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    function.__name__: function
    for function in (
        by_a_string_prefix,
        with_the_target_of_a_rename_unjudged,
        with_a_create_unjudged,
        with_the_end_of_a_link_unjudged,
    )
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_guard_that_judges_wrongly_differs_from_the_model(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        compared(WORLDS)


def test_a_guard_that_checks_and_then_opens_is_found_by_a_race(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "_is", lambda *_: True)
    with pytest.raises(AssertionError, match=r"SECRET|secret"):
        raced(folder)
