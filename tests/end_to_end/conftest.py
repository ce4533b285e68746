"""Stores that are filled once a run, and what every test here comes in."""

from __future__ import annotations

from ctypes import CDLL, c_ulong
from typing import TYPE_CHECKING

import pytest

from support import served

if TYPE_CHECKING:
    from pathlib import Path

    from support.served import Era

# `add` before `same_name`, which then has to call its own by another name.
SMALL = [
    *("add", "same_name", "traps", "spin", "sleep", "say", "grow", "ctiny", "random_bytes"),
    *("same_function_two_interfaces", "builtin_name", "long_name", "resource"),
]


_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@pytest.fixture(autouse=True)
def _adopts_nothing() -> None:
    """Leave what a killed server leaves to init, as any client does.

    A pool that an earlier test ran in this process has made it the one that collects.
    """
    CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, c_ulong(0), c_ulong(0), c_ulong(0), c_ulong(0))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every small guest; to be changed only as a `scratch` copy."""
    return served.make_store(tmp_path_factory.mktemp("small") / "store", SMALL)


@pytest.fixture(scope="session")
def python_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("python") / "store", ["python"])


@pytest.fixture
def scratch(store: Path, tmp_path: Path) -> Path:
    """The small guests in a store that the test may change."""
    return served.copy_of(store, tmp_path / "scratch")


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    era: Era = request.param
    return era


@pytest.fixture(params=["fork", "exec"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)
