"""What the server has is not what a component gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.store.record import Record
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_without_a_policy_nothing_of_settings_secrets_or_server_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_HAS", "1")
    (tmp_path / "work").mkdir()
    store = Store(tmp_path / "store")
    flags = {"component_dir": store.root, "workspace": tmp_path / "work", "env": ["GIVEN=1"]}
    permissions = Permissions(store, granter(settings.load(flags, {"HOME": str(tmp_path)})))
    component = ComponentId("weather")
    record = Record(component, "file:///w.wasm", Digest("a" * 64), 1, [], [], [])
    with store.writing():
        store.save(record)
    permissions.secrets.set(component, {"TOKEN": "1"})
    grants = permissions.granted(record, "forecast").grants
    assert (grants.environment, grants.directories, grants.uid) == ((), (), None)
