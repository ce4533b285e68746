"""Arguments beyond their limit: refused by their bytes, on record, and nothing is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from wassette_protocol.frames import ComponentId, Digest, Export
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import Damaged, entries
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.components.registry import Registry
from wassette_supervisor.errors import LimitExceededError
from wassette_supervisor.store.record import Record, ToolRecord
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.pool.pool import Pool

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NoPool:
    """Where a call would run."""

    async def call(self, *_: Any, **__: Any) -> None:
        raise AssertionError("a call was started")

    def held_back(self, _: Digest) -> None:
        """Nothing crashed."""


async def test_arguments_beyond_their_limit_start_nothing_and_are_on_record(tmp_path: Path) -> None:
    given = settings.load(
        {"component_dir": tmp_path / "store", "limit": ["arguments=20"]}, {"HOME": str(tmp_path)}
    )
    store, audit = Store(given.component_dir), AuditLog(tmp_path / "audit")
    tool = ToolRecord("add", Export(None, "add"), "", {"type": "object"}, None)
    with store.writing():
        store.save(Record(ComponentId("one"), "file:///1", Digest("a" * 64), 1, [], [tool], []))
    registry = Registry(
        store, cast("Pool", NoPool()), given, Permissions(store, granter(given)), audit
    )
    with pytest.raises(LimitExceededError, match="arguments=20 "):
        await registry.call("add", {"text": "x" * 10})  # 21 bytes as JSON
    recorded = [entry.event for entry in entries(audit.directory) if not isinstance(entry, Damaged)]
    assert recorded == ["refusal"]
    with pytest.raises(AssertionError, match="was started"):
        await registry.call("add", {"text": "x" * 9})
