"""A component's load: compiled in a locked-down process of its own, checked, kept."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks.comparison import Comparison, Reference
from benchmarks.conftest import COMMAND, environment
from wasmtime.component import Component

from support.guests import guest_bytes, guest_path
from support.pools import compile_with, settings_for
from wassette_supervisor.pool.pool import open_pool
from wassette_worker.engine import build_engine

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from benchmarks.loop import Loop

    from wassette_supervisor.pool.pool import Pool

ROUNDS = {"add": 15, "python": 2}

# Python's 40 MB take 10 s and more to compile, each time.
pytestmark = pytest.mark.timeout(900)

_COLD = """
import sys
from pathlib import Path
from wasmtime import Engine
from wasmtime.component import Component
Component(Engine(), Path(sys.argv[1]).read_bytes()).serialize()
"""


@pytest.fixture(scope="module")
def pool(loop: Loop) -> Generator[Pool]:
    with loop.hold(open_pool(settings_for())) as opened:
        loop.run(opened.warm())
        yield opened


@pytest.mark.parametrize("guest", ROUNDS)
def test_compile_in_a_process_of_its_own(
    compare: Comparison, loop: Loop, pool: Pool, guest: str, *, once: bool
) -> None:
    rounds = ROUNDS[guest]
    if once and guest == "python":
        guest = "ctiny"  # the store's fixture has compiled Python's a moment ago, in 10 s and more
    content = guest_bytes(guest)
    engine = build_engine()

    async def compile_apart() -> None:
        compiled = await compile_with(pool, content)
        os.close(compiled.memory)

    def compile_here() -> None:
        Component(engine, content).serialize()

    compare.run(
        f"compile {guest} ({len(content):,} bytes)",
        lambda: loop.run(compile_apart()),
        [Reference("wasmtime-py in process", compile_here)],
        rounds=rounds,
    )


def test_load_on_the_command_line(compare: Comparison, tmp_path: Path) -> None:
    guest = guest_path("add")
    home = environment(tmp_path)
    turn = iter(range(1000))

    def run(*command: str | Path) -> None:
        subprocess.run(command, env=home, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own words

    compare.run(
        "component load of add, whole command",
        lambda: run(
            *(COMMAND, "component", "load", guest.as_uri()),
            *("--component-dir", str(tmp_path / str(next(turn)))),
        ),
        [
            Reference(
                "cold interpreter that compiles", lambda: run(sys.executable, "-Ic", _COLD, guest)
            )
        ],
        rounds=10,
    )
