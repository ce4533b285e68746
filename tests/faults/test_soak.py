"""A short soak: `sh scripts/soak` is the long one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from support import served, soak

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

CALLS = 600


async def test_good_and_bad_guests_mixed_are_answered_rightly_and_leave_nothing(
    tmp_path: Path,
) -> None:
    store = served.make_store(tmp_path / "store", soak.GUESTS)
    seed = random.randrange(1 << 32)  # noqa: S311 - to be done again
    print(f"seed {seed}")  # noqa: T201 - shown if it fails
    measured = await soak.soak(store, CALLS, seed)
    assert not measured.fault
    assert served.operate(store, "audit", "verify").returncode == 0
