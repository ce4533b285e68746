"""Granted directories come into the engine's hands, and into nobody else's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from wasmtime import WasiConfig, WasmtimeError

from support.processes import open_descriptors
from wassette_protocol.capabilities import Preopen
from wassette_worker import preopens

if TYPE_CHECKING:
    from pathlib import Path


def place(path: Path) -> int:
    return os.open(path, os.O_PATH)


def test_what_was_received_is_closed_and_the_engine_holds_the_same_directory(
    tmp_path: Path,
) -> None:
    before = open_descriptors()
    config = WasiConfig()
    received = place(tmp_path)
    preopens.open_all(config, [Preopen("d", writable=False)], [received])
    new = {n: what for n, what in open_descriptors().items() if before.get(n) != what}
    assert list(new.values()) == [str(tmp_path)]
    config.close()
    assert open_descriptors() == before


def test_a_directory_that_was_moved_meanwhile_is_still_the_one_that_is_opened(
    tmp_path: Path,
) -> None:
    judged, other = tmp_path / "judged", tmp_path / "other"
    judged.mkdir()
    received = place(judged)
    judged.rename(tmp_path / "elsewhere")
    judged.symlink_to(other)
    other.mkdir()
    config = WasiConfig()
    preopens.open_all(config, [Preopen("d", writable=False)], [received])
    assert str(tmp_path / "elsewhere") in open_descriptors().values()
    assert str(other) not in open_descriptors().values()
    config.close()


def test_what_is_no_directory_is_not_opened_and_nothing_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = open_descriptors()
    received = [place(tmp_path), place(tmp_path / "file")]
    directories = [Preopen("d", writable=False), Preopen("e", writable=False)]
    config = WasiConfig()
    with pytest.raises(WasmtimeError):
        preopens.open_all(config, directories, received)
    config.close()
    assert open_descriptors() == before
