"""A client that shares no code with this project: the MCP inspector's command line, on Node.js."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support import guests, tools

COMMAND = Path(sys.executable).with_name("wassette-supervisor")

# Three programs start one after the other, two of them on a cold cache.
TIME_OUT_S = 50


@pytest.fixture
def component_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "components"
    load = ["component", "load", guests.guest_path("add").as_uri()]
    subprocess.run(  # noqa: S603 - our own command
        [COMMAND, *load, "--component-dir", str(directory)], check=True, timeout=TIME_OUT_S
    )
    return directory


def test_the_inspector_lists_the_tools(component_dir: Path) -> None:
    answer = _inspect(component_dir, "--method", "tools/list")

    [add] = [tool for tool in answer["tools"] if tool["name"] == "add"]
    assert add["inputSchema"]["required"] == ["a", "b"]
    assert add["outputSchema"]["properties"].keys() == {"result"}


def test_the_inspector_calls_a_tool(component_dir: Path) -> None:
    call = ["--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3"]

    answer = _inspect(component_dir, *call)

    assert answer["structuredContent"] == {"result": 5}
    assert not answer.get("isError")


def _inspect(component_dir: Path, *arguments: str) -> dict[str, Any]:
    node, inspector = tools.require("node"), tools.require("inspector")
    # Its own settings lie at home, and the server's too: neither may come from this machine.
    env = {"HOME": str(component_dir.parent), "PATH": os.environ["PATH"]}
    server = [str(COMMAND), "run", "--component-dir", str(component_dir)]
    done = subprocess.run(  # noqa: S603 - our own tools
        [node, inspector, "--cli", *server, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIME_OUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return msgspec.json.decode(done.stdout, type=dict[str, Any])
