"""Where there is no Linux: one clear line, and policies can be checked all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import served
from support.commands import refused

POLICY = Path(__file__).parents[2] / "examples/policies/limits-and-time-zone.yaml"
# What Windows doesn't have of the modules and names that this program uses.
WINDOWS = """
import os, sys
sys.platform = "win32"
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "fork",
             "geteuid", "getuid", "setsid"):
    delattr(os, name)
from wassette_supervisor.cli import main
sys.exit(main())
"""


def on_windows(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", WINDOWS, *words],
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words", ["", "run", "component list", "inspect a.wasm", "policy check greeter", "doctor"]
)
def test_what_needs_linux_says_so_in_one_line(words: str) -> None:
    refused(on_windows(*words.split()), "on Linux only, and this is win32", "WSL 2")


def test_a_policy_is_checked(tmp_path: Path) -> None:
    done = on_windows("policy", "check", POLICY)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)
    assert answer["status"] == "enforceable"
    assert "variable TZ, with a value of its own" in [each["right"] for each in answer["changes"]]
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 2")
    refused(on_windows("policy", "check", bad), "bad.yaml: line 1", 'write version: "1.0"')


def test_what_is_checked_there_is_printed_as_here(tmp_path: Path) -> None:
    here = served.operate(tmp_path / "store", "policy", "check", POLICY)
    assert json.loads(on_windows("policy", "check", POLICY).stdout) == json.loads(here.stdout)
