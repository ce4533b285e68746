"""Programs that a test needs and a machine may lack; which tests did not run is never silent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE = Path(__file__).resolve().parents[2] / ".cache"

# What the inspector asks for.
OLDEST_NODE = (22, 19)


def require(name: str) -> Path:
    """The file of a tool; without it the test that asks is skipped, and with `CI=true` it fails."""
    find, needs = _TOOLS[name]
    found = find()
    if found is not None:
        return found
    # Set by pytest as "file::test (phase)".
    test = os.environ.get("PYTEST_CURRENT_TEST", "a test").rpartition(" (")[0]
    reason = f"NOT RUN: {test}: needs {needs}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _find_node() -> Path | None:
    installed = CACHE / "node" / "bin" / "node"
    if installed.exists():
        return installed
    on_path = shutil.which("node")
    if on_path is None or _version(on_path) < OLDEST_NODE:
        return None
    return Path(on_path)


def _find_inspector() -> Path | None:
    package = CACHE / "inspector/node_modules/@modelcontextprotocol/inspector"
    script = package / "clients/launcher/build/index.js"
    return script if script.exists() else None


def _find_nginx() -> Path | None:
    # Debian has it where an ordinary user doesn't look.
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    return None if found is None else Path(found)


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run(  # noqa: S603 - what the PATH has under this name
        [node, "--version"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    return tuple(map(int, re.findall(r"\d+", said)))


_TOOLS: dict[str, tuple[Callable[[], Path | None], str]] = {
    "node": (_find_node, "Node.js 22.19 or later (`sh scripts/node-tools` installs it)"),
    "inspector": (_find_inspector, "the MCP inspector (`sh scripts/node-tools` installs it)"),
    "nginx": (_find_nginx, "nginx (`sh scripts/peers` installs it)"),
}
