"""Each mechanism of the sandbox: is it there, do calls run under it, what is lost without it."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.doctor import kernel, network, probe
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
    remedy: str
    # A field of /proc/PID/status, and what the kernel shows there if the step was taken.
    shown: tuple[str, str] | None = None
    by_workers: bool = False  # alone, when their component is mapped


def _always() -> Found:
    return there("every Linux has it")


def _other_user() -> Found:
    if os.geteuid() != 0:
        return lacking("only root can become another user")
    if identities.spare_ids() is None:
        return lacking("root of this user namespace can't become another user")
    return there("root can become any user")


_ANY = "part of every Linux"
_FILTERS = "Linux with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64"
_STEPS = (
    _Step("session", "own session", "a worker could type into a terminal", _always, _ANY),
    _Step("descriptors", "closed descriptors", "a worker holds others' files", _always, _ANY),
    _Step(
        "death-signal",
        "parent-death signal",
        "workers outlive a killed server",
        kernel.parent_death_signal,
        _ANY,
    ),
    _Step(
        "no-new-privileges",
        "no_new_privs",
        "setuid programs give rights back",
        kernel.no_new_privileges,
        "Linux from 3.5 on",
        ("NoNewPrivs", "1"),
    ),
    _Step("not-dumpable", "not dumpable", "its memory is open to its user", _always, _ANY),
    _Step("first-to-be-killed", "killed first", "a full memory ends the server", _always, _ANY),
    _Step("one-thread", "one thread", "a thread could keep all rights", _always, _ANY),
    _Step("rlimits", "resource limits", "a worker takes all memory", kernel.limits, _ANY),
    _Step(
        "seccomp",
        "seccomp",
        "all system calls are in reach",
        kernel.seccomp,
        _FILTERS,
        ("Seccomp", "2"),
    ),
    _Step(
        "own-seccomp",
        "a filter of its own",
        "a worker does what templates do",
        kernel.seccomp,
        _FILTERS,
        by_workers=True,
    ),
    _Step(
        "landlock",
        "Landlock",
        "files are the engine's to keep",
        kernel.landlock,
        "Linux from 5.13 on, with `landlock` among its lsm=",
    ),
    _Step(
        "own-landlock",
        "a fence of its own",
        "siblings are the filter's to keep",
        kernel.landlock,
        "Linux from 6.7 on; from 6.12 on for signals",
        by_workers=True,
    ),
    _Step(
        "no-executable-memory",
        "no new code (MDWE)",
        "code is the filter's to keep out",
        kernel.no_executable_memory,
        "Linux from 6.3 on",
        by_workers=True,
    ),
    _Step(
        "identity",
        "another user",
        "workers are the user of the server",
        _other_user,
        "start the server as root",
    ),
    _Step(
        "capabilities",
        "no capabilities",
        "a worker of root has its powers",
        _always,
        _ANY,
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
_GET_NAMESPACES = (
    "let this user make user namespaces: sysctl user.max_user_namespaces above 0 and "
    "kernel.apparmor_restrict_unprivileged_userns 0; a container may need an option"
)
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
        *_tried(trial),
        *network.checks(trial.network),
    ]


def _versions() -> list[Check]:
    linux = there("uname(2) tells it", platform.release())
    if sys.platform != "linux":
        linux = lacking("only Linux has what workers need")
    python = there(f"it is {sys.executable}", platform.python_version())
    engine = there("it is installed beside this program", version("wasmtime"))
    return [
        check("kernel", linux, "no call runs", "run it on Linux", required=True),
        check("python", python, "nothing runs", "install it", required=True),
        check("wasmtime", engine, "no call runs", "install it", required=True),
    ]


def _call(settings: Settings, trial: Trial) -> Check:
    how = f"a call was run, with its compiling, in {trial.took_ms} ms"
    found = lacking(trial.failure) if trial.failure else there(how, settings.isolation)
    remedy = "mend what is said to be missing"
    return check("process a call", found, "no call runs", remedy, required=True)


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
        lost = _NAMESPACES[name]
        found.append(check(f"{name} namespace", shown, lost, _GET_NAMESPACES, in_use=in_use))
    return found


def _of_step(step: _Step, trial: Trial) -> Check:
    offered = step.probe()
    in_use = step.step in (trial.of_workers if step.by_workers else trial.steps)
    how = f"{offered.how}; " + ("each worker told of it" if in_use else "no worker told of it")
    if step.shown is not None and trial.worker:
        field, wanted = step.shown
        seen = trial.worker.get(field)
        in_use = in_use and seen == wanted
        how += f"; the kernel shows {field} {seen} of one"
    required = step.step in trial.required
    found = offered._replace(how=how)
    return check(step.name, found, step.lost_without, step.remedy, in_use=in_use, required=required)


def _of_groups(trial: Trial) -> Check:
    lost = "calls share no limit of memory"
    remedy = "start the server in a group delegated to it alone (systemd: Delegate=yes)"
    return check("cgroup v2", trial.groups, lost, remedy, in_use=trial.divided)


def _of_supervisor() -> list[Check]:
    """What the supervisor itself uses wherever it is there."""
    rows = [
        ("pidfd", kernel.pidfd(), "the wrong process could be killed", "Linux from 5.3 on", True),
        ("SO_PASSPIDFD", kernel.pidfd_of_sender(), "a worker starts a little later",
         "Linux from 6.5 on", False),
        ("PIDFD_GET_INFO", kernel.exit_status(), "how a worker died is hearsay",
         "Linux from 6.15 on", False),
        ("sealed memory", kernel.sealed_memory(), "compiled code could change",
         "Linux from 3.17 on", True),
    ]  # fmt: skip
    return [
        check(name, found, lost, remedy, required=required)
        for name, found, lost, remedy, required in rows
    ]


# What no worker is less held by, if it is missing: it has no network then.
_FOR_NETWORK = {"doorbell"}
_CLOSE = "what is missing above; else tell the authors, it is a hole (SECURITY.md)"


def _tried(trial: Trial) -> list[Check]:
    """What workers tried and must not be able to; less is required where less is available."""
    required = not trial.lacking.keys() - _FOR_NETWORK
    if trial.tried:
        return [
            check(
                deed.name,
                there(how) if held else lacking(how),
                deed.lost_without,
                _CLOSE,
                required=required,
            )
            for deed, held, how in trial.tried
        ]
    found = lacking(f"no worker could try it: {trial.untried or 'no call runs'}")
    required = required and bool(trial.untried)
    return [
        check(deed.name, found, deed.lost_without, _CLOSE, required=required)
        for deed in probe.DEEDS
    ]
