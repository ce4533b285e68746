"""Single steps whose work is hidden, in a running worker, by that of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from wassette_protocol.capabilities import Storage
from wassette_worker.sandbox import libc, lists
from wassette_worker.sandbox.placement import Placement
from wassette_worker.sandbox.profiles import Profile

place = Placement(False, None, None)
steps = {
    "compile_worker": lambda: lists.compile_worker(place, lambda: None)[0],
    "template": lambda: lists.template(place, lambda: None, Storage.NONE, [], network=False),
    "forked_worker": lambda: lists.forked_worker(lambda: None, 1, lambda: None),
    "fresh_worker": lambda: lists.fresh_worker(
        place, lambda: None, lambda: None, Profile.RUNTIME, []
    ),
}
[step] = [step for step in steps[NAME]() if step.name == STEP]
question = {"not-dumpable": 3, "no-new-privileges": 39}[STEP]  # PR_GET_…, prctl(2)
print(libc.prctl(question, 0, 0, 0, 0), end=" ")
step.apply()
print(libc.prctl(question, 0, 0, 0, 0))
"""


def before_and_after(step: str, process: str) -> list[str]:
    """What the kernel says of this process, of this kind, before its step and after it."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", f"NAME, STEP = {process!r}, {step!r}\n{PROGRAM}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.split()


@pytest.mark.parametrize("name", ["compile_worker", "template", "forked_worker", "fresh_worker"])
def test_the_step_takes_it_from_a_process_that_was_dumpable(name: str) -> None:
    # A change of user does the same, so what workers of root are tells nothing of the step.
    assert before_and_after("not-dumpable", name) == ["1", "0"]


@pytest.mark.parametrize("name", ["compile_worker", "template", "fresh_worker"])
def test_no_privilege_can_be_gained_after_the_step(name: str) -> None:
    # Without it neither a filter nor a fence is put in force, so no worker runs at all.
    before, after = before_and_after("no-new-privileges", name)
    assert before in {"0", "1"}  # what runs the tests may have taken it itself
    assert after == "1"
