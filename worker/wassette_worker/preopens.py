"""The granted directories: from the descriptors that came for them into the engine's hands."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wassette_worker.sandbox import descriptors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmtime import WasiConfig

    from wassette_protocol.capabilities import Preopen


def open_all(config: WasiConfig, directories: Sequence[Preopen], received: list[int]) -> None:
    """Give the engine each directory; close what was received, on every path.

    Raises:
        OSError: The engine has opened more or less than these directories.
        WasmtimeError: It could not open one.
    """
    try:
        wanted = [_same(number) for number in received]
        before = descriptors.all_open()
        for directory, number in zip(directories, received, strict=True):
            # The engine takes a path alone. This one is the descriptor itself, wherever the
            # directory has gone meanwhile; what the engine opens has no rights of its own
            # (O_PATH): all that a guest does goes through the engine's permissions.
            config.preopen_dir(f"/proc/self/fd/{number}", directory.guest, directory.writable)
        opened = sorted(descriptors.all_open() - before)
    finally:
        for number in received:
            os.close(number)
    if sorted(map(_same, opened)) != sorted(wanted):
        raise OSError("the engine has opened something else than what was granted")


def _same(number: int) -> tuple[int, int]:
    """What tells whether two descriptors are of one directory."""
    found = os.fstat(number)
    return found.st_dev, found.st_ino
