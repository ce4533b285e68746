"""Whoever becomes somebody else keeps no group that gives access."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from wassette_protocol.frames import Identity
from wassette_worker.sandbox import identity
try:
    identity.become(Identity(int(UID), int(UID)))
except OSError as error:
    print(error.strerror)
else:
    print(os.getresuid(), os.getresgid(), os.getgroups())
"""

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has the groups that it wants")


def become(uid: int, *prefix: str) -> str:
    """What becomes of a process that becomes this user."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [*prefix, sys.executable, "-I", "-c", f"UID = {uid}\n{PROGRAM}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.strip()


@ROOT
def test_where_groups_can_be_given_up_none_is_left() -> None:
    ids = str((0x6FFF_1234,) * 3)
    assert become(0x6FFF_1234, "setpriv", "--groups=0,4321") == f"{ids} {ids} []"


def test_where_setgroups_is_denied_a_process_without_others_groups_goes_on() -> None:
    without = ["setpriv", "--clear-groups"] if os.geteuid() == 0 else []
    if not without and set(os.getgroups()) - {os.getegid()}:
        pytest.skip("the user of these tests has groups that only root can take away")
    assert become(0, *without, "unshare", "--map-root-user").startswith("(0, 0, 0) (0, 0, 0) [")


@ROOT
@pytest.mark.parametrize("groups", ["4321", "0,4321", "65534"])
def test_where_setgroups_is_denied_a_process_with_anothers_group_becomes_nobody(
    groups: str,
) -> None:
    prefix = ("setpriv", f"--groups={groups}", "unshare", "--map-root-user")
    assert become(0, *prefix) == "Operation not permitted"
