"""Code that broke out of the engine can't do in a worker what its user's processes can.

Each deed is tried in a process that gave up nothing, and then in place of the guest in a worker
that the product started and locked down, each in one of its own: as root and as an ordinary
user, with nothing granted, with a directory to write to and with a network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support import broken_out, escapes
from support.deeds.catalogue import DEEDS, DONE
from wassette_worker.sandbox import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.thorough

TESTS = broken_out.TESTS
AT_MOST_S = 240
GRANTED = (escapes.NOTHING, escapes.DIRECTORY, escapes.HOST)

# How each is refused: the error, or the signal that ends the worker. Several of them: with nothing
# granted, with a directory, and with a host, if that is another than the first.
TABLE = {
    "reading files": {
        "read-passwd": "SIGSYS, EACCES, EACCES",
        "read-a-file-of-the-same-user": "SIGSYS, EACCES, EACCES",
        "read-the-store": "SIGSYS, EACCES, EACCES",
        "list-the-root": "SIGSYS, EACCES, EACCES",
        "read-by-openat2": "SIGSYS, EACCES",
        "climb-out-of-a-descriptor": "SIGSYS, EACCES, EACCES",
        "open-by-handle": "SIGSYS",
    },
    "looking at files": {
        "stat-a-file": "SIGSYS, done",
        "read-a-link": "SIGSYS, done",
    },
    "changing files": {
        "write-a-file": "SIGSYS, EACCES, EACCES",
        "cut-a-file": "SIGSYS",
        "cut-a-file-as-it-is-opened": "SIGSYS, EACCES, EACCES",
        "create-a-file": "SIGSYS, EACCES, EACCES",
        "create-a-nameless-file": "SIGSYS, EACCES, EACCES",
        "write-the-store": "SIGSYS, EACCES, EACCES",
        "remove-a-file": "SIGSYS, EACCES",
        "remove-a-directory": "SIGSYS, EACCES",
        "move-a-file": "SIGSYS, EACCES",
        "take-a-file-by-a-second-name": "SIGSYS, EXDEV",
        "make-a-directory": "SIGSYS, EACCES",
        "make-a-link": "SIGSYS, EACCES",
        "set-the-times-of-a-file": "SIGSYS, done",
    },
    "owners and modes": {
        "change-a-mode": "SIGSYS",
        "change-an-owner": "SIGSYS",
        "set-an-attribute": "SIGSYS",
    },
    "network": {
        "connect-by-tcp": "SIGSYS, SIGSYS, done",
        "connect-by-tcp-over-ipv6": "SIGSYS",
        "connect-by-mptcp": "SIGSYS",
        "send-while-connecting": "SIGSYS",
        "send-a-message-while-connecting": "SIGSYS",
        "send-many-messages-while-connecting": "SIGSYS",
        "have-the-first-bytes-connect": "SIGSYS",
        "connect-from-a-port-of-its-choice": "SIGSYS",
        "accept-a-connection": "SIGSYS",
        "answer-its-own-doorbell": "SIGSYS",
        "bring-an-interface-up": "SIGSYS",
        "send-by-udp": "SIGSYS",
        "ask-a-name-server": "SIGSYS",
        "listen-by-tcp": "SIGSYS",
        "listen-without-a-name": "SIGSYS",
    },
    "sockets of the machine": {
        "connect-to-a-path": "SIGSYS",
        "connect-to-an-abstract-name": "SIGSYS",
        "listen-at-an-abstract-name-for-siblings": "SIGSYS",
        "make-a-pair": "SIGSYS",
    },
    "sockets of the kernel": {
        "ask-for-routes": "SIGSYS",
        "watch-packets": "SIGSYS",
        "make-packets": "SIGSYS",
        "talk-to-a-hypervisor": "SIGSYS",
        "use-the-kernel-for-ciphers": "SIGSYS",
    },
    "signals": {
        "kill-a-sibling": "SIGSYS",
        "kill-the-template": "SIGSYS",
        "kill-the-zygote": "SIGSYS",
        "kill-the-supervisor": "SIGSYS",
        "tgkill-a-sibling": "SIGSYS",
        "tgkill-the-template": "SIGSYS",
        "tkill-a-sibling": "SIGSYS",
        "queue-a-signal-of-a-sibling": "SIGSYS",
        "signal-by-pidfd": "SIGSYS",
    },
    "others' memory": {
        "open-the-memory-of-a-sibling": "SIGSYS, EACCES, EACCES",
        "open-the-memory-of-the-template": "SIGSYS, EACCES, EACCES",
        "open-the-memory-of-the-supervisor": "SIGSYS, EACCES, EACCES",
        "read-the-memory-of-a-sibling": "SIGSYS",
        "write-the-memory-of-a-sibling": "SIGSYS",
        "read-the-memory-of-the-template": "SIGSYS",
    },
    "tracing": {
        "trace-a-sibling": "SIGSYS",
        "trace-the-template": "SIGSYS",
        "trace-the-supervisor": "SIGSYS",
        "compare-with-a-sibling": "SIGSYS",
    },
    "descriptors": {
        "take-a-descriptor-of-a-sibling": "SIGSYS",
        "take-a-descriptor-of-the-supervisor": "SIGSYS",
        "open-a-descriptor-of-the-zygote": "SIGSYS, EACCES, EACCES",
        "send-a-descriptor": "SIGSYS, SIGSYS, violation",
        "duplicate-a-descriptor-over-another": "SIGSYS",
    },
    "others' resources": {
        "move-a-sibling-to-a-processor": "SIGSYS",
        "slow-a-sibling": "SIGSYS",
        "limit-a-sibling": "SIGSYS",
        "schedule-a-sibling": "SIGSYS",
    },
    "/proc": {
        "read-the-variables-of-the-supervisor": "SIGSYS, EACCES, EACCES",
        "read-the-maps-of-a-sibling": "SIGSYS, EACCES, EACCES",
        "write-own-memory-through-proc": "SIGSYS, EACCES, EACCES",
        "list-processes": "SIGSYS, EACCES, EACCES",
        "change-a-setting-of-the-kernel": "SIGSYS, EACCES, EACCES",
        "be-killed-last": "SIGSYS, EACCES, EACCES",
    },
    "keys": {
        "add-a-key": "SIGSYS",
        "find-the-keyring-of-the-session": "SIGSYS",
        "join-another-keyring": "SIGSYS",
    },
    "mounts": {
        "mount": "SIGSYS",
        "unmount": "SIGSYS",
        "change-the-root": "SIGSYS",
        "open-a-new-file-system": "SIGSYS",
        "copy-a-mount": "SIGSYS",
        "swap-the-root": "SIGSYS",
    },
    "namespaces": {
        "be-root-of-a-namespace": "SIGSYS",
        "have-a-network-of-its-own": "SIGSYS",
        "have-mounts-of-its-own": "SIGSYS",
        "enter-the-namespace-of-another": "SIGSYS, EACCES, EACCES",
    },
    "the clock": {
        "set-the-clock": "SIGSYS",
        "set-the-time-of-day": "SIGSYS",
        "adjust-the-clock": "SIGSYS",
        "adjust-a-clock": "SIGSYS",
    },
    "privileges": {
        "become-another-user": "SIGSYS",
        "take-groups": "SIGSYS",
        "set-capabilities": "SIGSYS",
        "be-dumpable": "SIGSYS",
        "outlive-its-parent": "SIGSYS",
        "adopt-what-its-children-leave": "SIGSYS",
        "have-an-address-layout-that-is-known": "SIGSYS",
        "have-a-filter-of-its-own": "SIGSYS",
    },
    "the terminal": {
        "type-into-the-terminal": "SIGSYS",
        "resize-the-terminal": "SIGSYS",
        "open-the-terminal": "SIGSYS, EACCES, EACCES",
    },
    "the machine": {
        "name-the-machine": "SIGSYS",
        "read-the-log-of-the-kernel": "SIGSYS",
        "say-what-keys-do": "SIGSYS",
        "have-all-ports": "SIGSYS",
        "watch-all-files": "SIGSYS",
        "load-another-kernel": "SIGSYS",
        "load-a-module": "SIGSYS",
        "unload-a-module": "SIGSYS",
        "swap-to-a-file": "SIGSYS",
        "keep-accounts": "SIGSYS",
        "change-quotas": "SIGSYS",
    },
    "processes": {
        "fork": "SIGSYS",
        "vfork": "SIGSYS",
        "clone": "SIGSYS",
        "clone-a-sibling": "SIGSYS",
        "clone3": "ENOSYS",
        "spawn": "SIGSYS",
    },
    "other programs": {
        "execute": "SIGSYS",
        "execute-by-descriptor": "SIGSYS",
        "execute-what-has-no-name": "SIGSYS",
    },
    "executable memory": {
        "map-executable": "SIGSYS",
        "map-executable-only": "SIGSYS",
        "make-written-memory-executable": "SIGSYS",
        "make-written-memory-executable-with-a-key": "SIGSYS",
        "map-executable-what-has-no-name": "SIGSYS",
        "rewrite-code": "SIGSYS",
        "move-code-and-rewrite-it": "SIGSYS",
        "have-all-that-is-read-executable": "SIGSYS",
    },
    "other gates": {
        "call-as-a-32-bit-program": "SIGSYS",
        "call-by-a-ring": "SIGSYS",
        "call-asynchronously": "SIGSYS",
        "have-faults-handled": "SIGSYS",
        "load-a-program-into-the-kernel": "SIGSYS",
        "count-events": "SIGSYS",
    },
    "memory": {
        "map-more-than-its-limit": "ENOMEM",
        "grow-its-heap-beyond-its-limit": "ENOMEM",
        "map-much-and-make-it-writable": "ENOMEM",
        "share-memory-that-counts-nowhere": "SIGSYS",
        "keep-memory-in-a-nameless-file": "SIGSYS",
        "keep-memory-that-the-kernel-hides": "SIGSYS",
        "keep-memory-that-outlives-it": "SIGSYS",
        "keep-memory-from-being-swapped": "SIGSYS",
    },
    "its own limits": {
        "raise-a-limit": "SIGSYS",
        "run-before-others": "SIGSYS",
        "run-in-real-time": "SIGSYS",
        "run-by-a-deadline": "SIGSYS",
        "read-and-write-before-others": "SIGSYS",
        "run-on-every-processor": "SIGSYS",
    },
    "much of a kind": {
        "hold-many-descriptors": "SIGSYS, EMFILE, EACCES",
        "hold-many-pipes": "SIGSYS",
        "start-many-threads": "EAGAIN",
        "set-many-timers": "SIGSYS",
        "hold-queues": "SIGSYS",
        "watch-many-files": "SIGSYS",
    },
}

# What the lock-down lets through, and why. Nothing else: a deed that is done and does not stand
# here is a hole.
_NO_RIGHT = "Landlock has no right for it, and a filter of calls can't see a path"
LET_THROUGH = {
    (escapes.DIRECTORY, "stat-a-file"): _NO_RIGHT,
    (escapes.DIRECTORY, "read-a-link"): _NO_RIGHT,
    (escapes.DIRECTORY, "set-the-times-of-a-file"): _NO_RIGHT,
    (escapes.HOST, "connect-by-tcp"): "whomever it names, the broker answers, and nobody else does",
}

# Started for each deed, it takes a second: those in which the two kinds of workers could differ.
OF_FRESH_WORKERS = [
    "read-passwd",
    "climb-out-of-a-descriptor",
    "open-the-memory-of-a-sibling",
    "kill-a-sibling",
    "send-a-descriptor",
    "fork",
    "map-executable",
    "start-many-threads",
]


class Tried(NamedTuple):
    unlocked: dict[str, str]
    locked: dict[str, dict[str, str]]  # by what was granted


def run(user: str, isolation: str, folder: Path, deeds: list[str]) -> Tried:
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    before = as_user if user == "ordinary" and os.geteuid() == 0 else []
    done = subprocess.run(  # noqa: S603 - our own program
        [*before, sys.executable, "-m", "support.escapes", str(folder), isolation, *deeds],
        cwd=TESTS,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=AT_MOST_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    outcomes = json.loads((folder / escapes.RESULT).read_text())["outcomes"]
    return Tried(outcomes.pop("unlocked"), outcomes)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tried]:
    found: dict[tuple[str, str], Tried] = {}

    def by(user: str, isolation: str = "fork") -> Tried:
        if (user, isolation) not in found:
            folder = tmp_path_factory.mktemp(f"{user}-{isolation}")
            deeds = list(DEEDS) if isolation == "fork" else OF_FRESH_WORKERS
            found[user, isolation] = run(user, isolation, folder, deeds)
        return found[user, isolation]

    return by


@pytest.fixture(params=["root", "ordinary"] if os.geteuid() == 0 else ["ordinary"])
def user(request: pytest.FixtureRequest) -> str:
    if request.param == "ordinary" and os.geteuid() == 0 and namespaces.refusal():
        pytest.skip("NOT RUN: root becomes an ordinary user in a namespace, and gets none here")
    return str(request.param)


def expected(granted: str, user: str, outcomes: dict[str, str]) -> dict[str, str]:
    place = GRANTED.index(granted)
    rows = {name: text.split(", ") for deeds in TABLE.values() for name, text in deeds.items()}
    found = {
        name: outcomes[place if place < len(outcomes) else 0] for name, outcomes in rows.items()
    }
    threads = "start-many-threads"
    if namespaces.refusal() or is_root_of_the_machine(granted, user):
        found[threads] = DONE
    elif is_in_a_namespace() and outcomes.get(threads) == DONE:
        found[threads] = DONE  # who it is out of there, it can't see
    return found


def is_in_a_namespace() -> bool:
    return Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]


def is_root_of_the_machine(granted: str, user: str) -> bool:
    """Whether the workers belong to the kernel's user 0: it counts their threads in vain."""
    return os.geteuid() == 0 and (user == "ordinary" or granted == escapes.DIRECTORY)


@pytest.mark.parametrize("granted", GRANTED)
def test_each_deed_is_refused_after_the_lock_down(
    tried: Callable[..., Tried], user: str, granted: str
) -> None:
    outcomes = dict(tried(user).locked[granted])
    assert outcomes.pop("the sibling lives") == "True"
    assert outcomes.pop("the template lives") == "True"
    assert outcomes.pop("nobody was reached") == "True"
    wanted = expected(granted, user, outcomes)
    assert outcomes == wanted
    done = {(granted, name) for name, outcome in outcomes.items() if outcome == DONE}
    assert done - {(granted, "start-many-threads")} <= LET_THROUGH.keys()


def test_each_deed_can_be_done_by_who_gave_up_nothing(
    tried: Callable[..., Tried], user: str
) -> None:
    able = {name for name, outcome in tried(user).unlocked.items() if outcome == DONE}
    if os.geteuid() == 0:  # what an ordinary user can't do counts if root can
        able |= {name for name, outcome in tried("root").unlocked.items() if outcome == DONE}
    for name in sorted(DEEDS.keys() - able):
        print(f"nobody can here: {name}: {tried(user).unlocked[name]}")  # noqa: T201 - listed
    let_through = {name for _, name in LET_THROUGH}
    counted = [name for name in able if name not in let_through]
    kinds = [DEEDS[name].kind for name in counted]
    assert len(counted) >= 60
    assert len({kind for kind in kinds if kinds.count(kind) >= 2}) >= 15


@pytest.mark.parametrize("granted", GRANTED)
def test_a_worker_in_an_interpreter_of_its_own_is_held_as_well(
    tried: Callable[..., Tried], granted: str
) -> None:
    user = "root" if os.geteuid() == 0 else "ordinary"
    outcomes = tried(user, "exec").locked[granted]
    wanted = expected(granted, user, outcomes)
    assert {name: outcomes[name] for name in OF_FRESH_WORKERS} == {
        name: wanted[name] for name in OF_FRESH_WORKERS
    }


def test_every_deed_has_its_row() -> None:
    rows = {name: kind for kind, deeds in TABLE.items() for name in deeds}
    assert rows == {deed.name: deed.kind for deed in DEEDS.values()}
