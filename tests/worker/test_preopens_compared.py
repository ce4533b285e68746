"""An engine that opens something else than what it was given: nothing may run then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from wasmtime import WasiConfig

from support.processes import open_descriptors
from wassette_protocol.capabilities import Preopen
from wassette_worker import preopens

if TYPE_CHECKING:
    from pathlib import Path


class Elsewhere(WasiConfig):
    """Opens the directory above the one that it was given."""

    def preopen_dir(
        self,
        path: str,
        guest_path: str,
        writable: bool = True,  # noqa: FBT001, FBT002 - as of the engine
    ) -> None:
        super().preopen_dir(f"{path}/..", guest_path, writable)


def test_an_engine_that_opens_another_directory_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "granted"
    folder.mkdir()
    before = open_descriptors()
    config = Elsewhere()
    with pytest.raises(OSError, match="something else"):
        preopens.open_all(config, [Preopen("d", writable=False)], [os.open(folder, os.O_PATH)])
    config.close()
    assert open_descriptors() == before
