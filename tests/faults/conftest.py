from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("faults") / "store", ["add", "sleep", "spin"])


@pytest.fixture
def scratch(filled: Path, tmp_path: Path) -> Path:
    """A store that the test may change."""
    return served.copy_of(filled, tmp_path / "scratch")


@pytest.fixture(params=["fork", "exec"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Both ways to make a worker."""
    return str(request.param)
