"""From the start of a server to its first answer, and what the imports of it cost."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from benchmarks.comparison import Comparison, Reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from benchmarks.loop import Loop
    from mcp import Client, StdioServerParameters

ROUNDS = 6


def test_first_tools_list(
    compare: Comparison,
    loop: Loop,
    connect: Callable[[StdioServerParameters], AbstractContextManager[Client]],
    supervisor_command: StdioServerParameters,
    bare_command: StdioServerParameters,
) -> None:
    running = ExitStack()

    def first_answer(command: StdioServerParameters) -> None:
        client = running.enter_context(connect(command))
        assert loop.run(client.list_tools()).tools

    compare.run(
        "start to first tools/list, 2 components",
        lambda: first_answer(supervisor_command),
        [Reference("start of a bare mcp server", lambda: first_answer(bare_command))],
        rounds=ROUNDS,
        after=running.close,
    )


@pytest.mark.parametrize(
    "module",
    [
        "wassette_supervisor.cli",
        "wassette_supervisor.cli.run",
        "wassette_supervisor.front.server",
        "wassette_worker.zygote",
    ],
)
def test_import(compare: Comparison, module: str) -> None:
    def interpreter(code: str) -> None:
        subprocess.run([sys.executable, "-I", "-c", code], check=True)  # noqa: S603 - our own words

    compare.run(
        f"python -I -c 'import {module}'",
        lambda: interpreter(f"import {module}"),
        [
            Reference("python -I -c pass", lambda: interpreter("pass")),
            Reference("import mcp.server.lowlevel", lambda: interpreter(_BARE)),
        ],
        rounds=ROUNDS,
    )


_BARE = "import mcp.server.lowlevel"
