from __future__ import annotations

import pytest


@pytest.fixture(params=["fork", "exec"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Both ways to make a worker: every process and death test runs in both."""
    return str(request.param)
