"""Runs pytest again and again: in forks of a process that has the libraries loaded, not ours.

A line of its standard input is a list of arguments and the file for the output, as JSON; the
answer is a line with pytest's status, `null` if it took too long. Starting anew costs 2.5 s each.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from ctypes import CDLL
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

# Of one run: the tests' own limits end far below it.
TIME_OUT_S = 300

LIBRARIES = (
    "anyio.pytest_plugin",
    "hypothesis.strategies",
    "jsonschema",
    "mcp.client",
    "mcp.server",
    "mcp_types",
    "msgspec",
    "structlog",
    "wasmtime.component",
    "yaml",
)
# Plugins that are loaded already can't have their asserts rewritten, and need not.
LOADED = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    # As `python -m pytest`: not this file's folder comes first, but the current one.
    sys.path[0] = os.fspath(Path.cwd())
    for library in LIBRARIES:
        import_module(library)
    for line in sys.stdin:
        arguments, output = json.loads(line)
        status = _ended(_forked(arguments, output))
        sys.stdout.write(f"{json.dumps(status)}\n")
        sys.stdout.flush()


def _forked(arguments: list[str], output: str) -> int:
    pid = os.fork()
    if pid == 0:
        _run(arguments, output)
    return pid


def _run(arguments: list[str], output: str) -> NoReturn:
    status = 1
    try:
        os.setsid()
        CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open(os.devnull, os.O_RDONLY)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number, other in enumerate((null, file, file)):
            os.dup2(other, number)
        os.closerange(3, 256)
        status = int(pytest.main(["-W", LOADED, *arguments]))
        sys.stdout.flush()
    finally:
        os._exit(status)


def _ended(pid: int) -> int | None:
    pidfd = os.pidfd_open(pid)
    in_time, _, _ = select.select([pidfd], [], [], TIME_OUT_S)
    os.close(pidfd)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


if __name__ == "__main__":
    main()
