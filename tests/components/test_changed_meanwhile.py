"""A server's change goes on, whatever another process did to the store since it looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.guests import guest_path
from support.pools import settings_for
from wassette_protocol.frames import ComponentId
from wassette_supervisor.app import open_backend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.anyio
async def test_a_load_is_kept_although_another_process_unloaded_a_component_meanwhile(
    tmp_path: Path,
) -> None:
    settings = settings_for(component_dir=tmp_path / "store")
    file = guest_path("add").as_uri()
    async with open_backend(settings) as one, open_backend(settings) as other:
        await one.load(file, name="first", progress=silent)
        draft = await one.prepare(file, name="second", progress=silent)
        try:
            await other.unload(ComponentId("first"))
            kept = await one.keep(draft)
        finally:
            draft.close()
        assert kept.record.id == "second"
        for server in (one, other):
            assert list(server.records()) == ["second"]


async def silent(_: str) -> None:
    pass
