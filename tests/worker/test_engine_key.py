"""Compiled code is of one engine, its settings and one kind of processor: each has its own key."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version
from typing import Any

import pytest
from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import Component

from support.guests import guest_bytes
from wassette_worker import engine

HERE: dict[str, Any] = {
    "engine": version("wasmtime"),
    "settings": engine._SETTINGS,
    "off": engine._PROPOSALS_OFF,
    "machine": platform.machine(),
    "features": engine._processor_features(),
}


def test_the_key_of_this_engine_is_that_of_all_that_compiled_code_depends_on() -> None:
    assert engine.engine_key() == engine.key_of(**HERE)
    assert re.fullmatch("[0-9a-f]{32}", engine.engine_key())
    # Without them code of a newer processor would end an older one by SIGILL.
    assert len(HERE["features"].split()) > 10


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "50.0.2"},
        {"settings": HERE["settings"] | {"wasmtime_config_consume_fuel_set": False}},
        {"settings": {}},
        {"off": HERE["off"][1:]},
        {"machine": "riscv64"},
        {"features": HERE["features"].rsplit(" ", 1)[0]},
        {"features": ""},
    ],
    ids=repr,
)
def test_code_for_another_engine_setting_or_processor_has_another_key(
    other: dict[str, Any],
) -> None:
    assert engine.key_of(**HERE | other) != engine.engine_key()


def test_every_setting_of_the_engine_is_in_the_key() -> None:
    code = Component(engine.build_engine(), guest_bytes("add")).serialize()
    Component.deserialize(engine.build_engine(), code)
    with pytest.raises(WasmtimeError, match="compiled with"):
        Component.deserialize(Engine(Config()), code)
    assert HERE["settings"]["wasmtime_config_consume_fuel_set"]
    assert HERE["settings"]["wasmtime_config_epoch_interruption_set"]
