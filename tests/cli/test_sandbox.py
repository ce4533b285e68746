"""`--sandbox`: what happens on a kernel that has less than a call is to be held by."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import lesser_kernel, served
from support.commands import refused

if TYPE_CHECKING:
    from pathlib import Path

Done = subprocess.CompletedProcess[bytes]

LANDLOCK = "landlock_create_ruleset"
LACKING = [
    pytest.param(LANDLOCK, "the kernel has no Landlock", "Landlock", id="Landlock"),
    pytest.param("seccomp", "the kernel has no seccomp filters", "seccomp", id="seccomp"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lesser") / "store"
    served.make_store(folder, ["add"])
    return folder


def without(call: str, store: Path, *words: str) -> Done:
    """Run a command where the kernel hasn't this call."""
    return subprocess.run(  # noqa: S603 - our own programs
        [
            *(sys.executable, str(lesser_kernel.__file__), call),
            *(str(served.COMMAND), *words, "--component-dir", str(store)),
        ],
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


INVOKE = ("tool", "invoke", "add", "--args", '{"a": 2, "b": 3}')


@pytest.mark.parametrize(("call", "said", "name"), LACKING)
def test_where_something_required_is_missing_no_call_runs_and_one_line_says_what_to_do(
    store: Path, call: str, said: str, name: str
) -> None:
    done = without(call, store, *INVOKE)
    refused(done, said, "--sandbox available")
    doctor = without(call, store, "doctor")
    refused(doctor, said, printed=True)
    found = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert not found["process a call"]["in_use"]
    assert not found[name]["in_use"]


@pytest.mark.parametrize("isolation", ["fork", "exec"])
@pytest.mark.parametrize(("call", "said", "name"), LACKING)
def test_where_the_operator_takes_what_is_available_calls_run_and_what_is_missing_is_told(
    store: Path, isolation: str, call: str, said: str, name: str
) -> None:
    options = ("--sandbox", "available", "--isolation", isolation)
    done = without(call, store, *INVOKE, *options)
    assert (done.returncode, done.stdout) == (0, b"5\n"), done.stderr
    assert b"isolation.less" in done.stderr
    assert said.removeprefix("the kernel has no ").encode() in done.stderr
    doctor = without(call, store, "doctor", *options)
    assert doctor.returncode == 0, doctor.stderr
    found = {check["name"]: check for check in json.loads(doctor.stdout)["checks"]}
    assert found["process a call"]["in_use"]
    assert not found[name]["in_use"]
    other = {"Landlock": "seccomp", "seccomp": "Landlock"}[name]
    assert found[other]["in_use"]
