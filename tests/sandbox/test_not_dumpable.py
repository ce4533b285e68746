"""A process that is not dumpable: nobody of its user reads its memory, or traces it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from wassette_protocol.capabilities import Storage
from wassette_worker.sandbox import libc, lists
from wassette_worker.sandbox.placement import Placement

place = Placement(False, None, None)
steps = {
    "compile_worker": lambda: lists.compile_worker(place, lambda: None)[0],
    "template": lambda: lists.template(place, lambda: None, Storage.NONE, []),
    "forked_worker": lambda: lists.forked_worker(lambda: None, 1, lambda: None),
    "fresh_worker": lambda: lists.fresh_worker(
        place, lambda: None, lambda: None, Storage.NONE, []
    ),
}
[step] = [step for step in steps[NAME]() if step.name == "not-dumpable"]
is_dumpable = 3  # PR_GET_DUMPABLE, prctl(2)
print(libc.prctl(is_dumpable), end=" ")
step.apply()
print(libc.prctl(is_dumpable))
"""


@pytest.mark.parametrize("name", ["compile_worker", "template", "forked_worker", "fresh_worker"])
def test_the_step_takes_it_from_a_process_that_was_dumpable(name: str) -> None:
    # A change of user does the same, so what workers of root are tells nothing of the step.
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", f"NAME = {name!r}\n{PROGRAM}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.split() == ["1", "0"]
