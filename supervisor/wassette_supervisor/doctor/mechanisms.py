"""Each mechanism of the sandbox: is it there, do calls run under it, what is lost without it."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.doctor import kernel
from wassette_supervisor.doctor.check import Check, Found, check, lacking, there
from wassette_supervisor.pool import identities

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_supervisor.doctor.trial import Trial
    from wassette_supervisor.settings import Settings


class _Step(NamedTuple):
    """A step that each process takes before it sees an untrusted byte, by the name it tells."""

    step: str
    name: str
    lost_without: str
    probe: Callable[[], Found]
    # A field of /proc/PID/status, and what the kernel shows there if the step was taken.
    shown: tuple[str, str] | None = None


def _always() -> Found:
    return there("every Linux has it")


def _other_user() -> Found:
    if os.geteuid() != 0:
        return lacking("only root can become another user")
    if identities.spare_ids() is None:
        return lacking("root of this user namespace can't become another user")
    return there("root can become any user")


_STEPS = (
    _Step("session", "own session", "a worker could type into a terminal", _always),
    _Step("descriptors", "closed descriptors", "a worker holds others' files", _always),
    _Step(
        "death-signal",
        "parent-death signal",
        "workers outlive a killed server",
        kernel.parent_death_signal,
    ),
    _Step(
        "no-new-privileges",
        "no_new_privs",
        "setuid programs give rights back",
        kernel.no_new_privileges,
        ("NoNewPrivs", "1"),
    ),
    _Step("not-dumpable", "not dumpable", "its memory is open to its user", _always),
    _Step("one-thread", "one thread", "a thread could keep all rights", _always),
    _Step("rlimits", "resource limits", "a worker takes all memory", kernel.limits),
    _Step(
        "seccomp",
        "seccomp",
        "all system calls are in reach",
        kernel.seccomp,
        ("Seccomp", "2"),
    ),
    _Step("landlock", "Landlock", "files are the engine's to keep", kernel.landlock),
    _Step("identity", "another user", "workers are the user of the server", _other_user),
    _Step(
        "capabilities",
        "no capabilities",
        "a worker of root has its powers",
        _always,
        ("CapEff", "0000000000000000"),
    ),
)
_NAMESPACES = {
    "user": "no namespace, for most users",
    "pid": "workers can name other processes",
    "net": "the network is the engine's to keep",
    "ipc": "others' shared memory has a name",
    "uts": "the name of the host is shared",
}
_SEEN = {"pid", "net"}
_ASKED = "; each worker's clone(2) asked for it with the others"


def checks(settings: Settings, trial: Trial) -> list[Check]:
    return [
        *_versions(),
        _call(settings, trial),
        *_namespaces(trial),
        *(_of_step(step, trial) for step in _STEPS),
        _of_groups(trial),
        *_of_supervisor(),
    ]


def _versions() -> list[Check]:
    linux = there("uname(2) tells it", platform.release())
    if sys.platform != "linux":
        linux = lacking("only Linux has what workers need")
    python = there(f"it is {sys.executable}", platform.python_version())
    engine = there("it is installed beside this program", version("wasmtime"))
    return [
        check("kernel", linux, "no call runs", required=True),
        check("python", python, "nothing runs", required=True),
        check("wasmtime", engine, "no call runs", required=True),
    ]


def _call(settings: Settings, trial: Trial) -> Check:
    how = f"a call was run, with its compiling, in {trial.took_ms} ms"
    found = lacking(trial.failure) if trial.failure else there(how, settings.isolation)
    return check("process a call", found, "no call runs", required=True)


def _namespaces(trial: Trial) -> list[Check]:
    in_use = "namespaces" in trial.steps
    found = []
    for name, offered in kernel.namespaces().items():
        how = offered.how
        if in_use:
            how += "; each worker saw from inside that it has it" if name in _SEEN else _ASKED
        elif offered.available:
            how = trial.namespaces or f"{how}; no worker told of it"
        shown = offered._replace(how=how)
        found.append(check(f"{name} namespace", shown, _NAMESPACES[name], in_use=in_use))
    return found


def _of_step(step: _Step, trial: Trial) -> Check:
    offered = step.probe()
    in_use = step.step in trial.steps
    how = f"{offered.how}; " + ("each worker told of it" if in_use else "no worker told of it")
    if step.shown is not None and trial.worker:
        field, wanted = step.shown
        seen = trial.worker.get(field)
        in_use = in_use and seen == wanted
        how += f"; the kernel shows {field} {seen} of one"
    required = step.step in trial.required
    found = offered._replace(how=how)
    return check(step.name, found, step.lost_without, in_use=in_use, required=required)


def _of_groups(trial: Trial) -> Check:
    lost = "calls share no limit of memory"
    return check("cgroup v2", trial.groups, lost, in_use=trial.divided)


def _of_supervisor() -> list[Check]:
    """What the supervisor itself uses wherever it is there."""
    return [
        check("pidfd", kernel.pidfd(), "the wrong process could be killed", required=True),
        check("SO_PASSPIDFD", kernel.pidfd_of_sender(), "a worker starts a little later"),
        check("PIDFD_GET_INFO", kernel.exit_status(), "how a worker died is hearsay"),
        check("sealed memory", kernel.sealed_memory(), "compiled code could change", required=True),
    ]
