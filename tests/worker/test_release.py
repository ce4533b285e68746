"""Only the release of wasmtime that this was written for is worked with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from wassette_worker import component_values, release
from wassette_worker.engine import build_engine
from wassette_worker.guards import shims
from wassette_worker.guards.files import proof
from wassette_worker.guards.files.guard import TYPES

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def prove() -> None:
    engine = build_engine()
    proof.prove(engine, shims.find_version(engine, TYPES, "filesystem-error-code"))


def test_the_release_that_is_installed_is_the_one_that_is_asked_for() -> None:
    prove()
    wanted = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert f"wasmtime=={release.RELEASE}" in wanted


@pytest.mark.parametrize(
    ("owner", "name", "value", "why"),
    [
        (release, "_installed", "50.0.2", "wasmtime 50.0.2 is installed, and 50.0.1 is needed"),
        (component_values, "VALUE_SIZE", 40, "lays out component values in another way"),
    ],
    ids=["package", "layout"],
)
def test_nothing_runs_with_another_release_or_layout(
    owner: Any, name: str, value: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(shims.GuardError, match=why):
        prove()


def test_nothing_runs_with_a_library_of_another_release_in_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(release, "RELEASE", "51.0.0")
    monkeypatch.setattr(release, "_installed", "51.0.0")
    with pytest.raises(shims.GuardError, match="library in the package"):
        prove()
