"""What a worker has, and has not, as the system shows it from outside."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from support.pools import component, limited, settings_for
from support.processes import Seen, descendants, named, namespace_of, running_worker, until
from wassette_supervisor.pool.pool import open_pool
from wassette_worker.sandbox import namespaces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SPIN_MS = 20_000


@pytest.fixture
async def spinning(isolation: str) -> AsyncIterator[Seen]:
    """A worker in the middle of a call."""
    spin = await component("spin")
    long = limited(fuel=10**15, wall_time_ms=SPIN_MS)
    async with open_pool(settings_for(isolation)) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(spin.call, pool, "spin", "{}", long)
        yield await running_worker()
        tasks.cancel_scope.cancel()


async def test_a_worker_holds_only_null_its_pipe_its_socket_and_what_the_engine_opened(
    spinning: Seen,
) -> None:
    if os.geteuid() != 0:
        # It isn't dumpable: nobody but root can look. The worker asserts its list itself.
        with pytest.raises(PermissionError):
            spinning.descriptors()
        return
    held = spinning.descriptors()

    assert held.pop(0) == "/dev/null"
    assert held.pop(1) == held.pop(2)
    assert held.pop(3).startswith("socket:")
    # The engine's own handles on the pipe and the artefact; the gauge of the process' memory.
    assert all(what.startswith(("pipe:", "/proc/", "/memfd:artefact")) for what in held.values()), (
        held
    )
    assert len(held) <= 4, held


async def test_a_worker_and_its_parent_give_way_to_supervisor_and_zygote(spinning: Seen) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    [zygote] = named("wassette-zygote")
    assert os.getpriority(os.PRIO_PROCESS, zygote.pid) == own
    for pid in (spinning.pid, spinning.parent):
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(own + 5, 19)


async def test_a_worker_leads_a_session_of_its_own_without_a_terminal(spinning: Seen) -> None:
    stat = spinning.read("stat").rpartition(")")[2].split()
    terminal, session = int(stat[4]), int(stat[3])
    assert terminal == 0
    assert session != os.getsid(0)


async def test_a_worker_can_gain_no_privilege_and_has_none(spinning: Seen) -> None:
    assert spinning.status("NoNewPrivs") == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(spinning.status(kind), 16) == 0, kind
    if os.geteuid() == 0 or not namespaces.refusal():
        # An ordinary user may not change it, and an exec that gains nothing needs it not.
        assert int(spinning.status("CapBnd"), 16) == 0


async def test_a_worker_is_in_namespaces_of_its_own(spinning: Seen) -> None:
    assert len(spinning.status("NSpid").split()) == 2
    # Of a process that isn't dumpable nobody but root can read the others.
    for kind in ("user", "pid", "net", "ipc", "uts") if os.geteuid() == 0 else ():
        assert spinning.namespace(kind) != namespace_of(os.getpid(), kind), kind


async def test_a_worker_has_no_network_device_but_a_dead_loopback(spinning: Seen) -> None:
    lines = spinning.read("net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]
    assert spinning.read("net/route").splitlines()[1:] == []


async def test_a_worker_is_never_the_first_process_of_its_namespace(spinning: Seen) -> None:
    _, inside = spinning.status("NSpid").split()
    assert int(inside) > 1


async def test_a_worker_is_not_dumpable_so_its_memory_belongs_to_root_alone(
    spinning: Seen,
) -> None:
    # proc(5): the files of a process that isn't dumpable belong to root.
    assert spinning.owner_of("mem") == root_of_the_machine()


def root_of_the_machine() -> int:
    """As this user namespace shows it: that of those who are not in it, if there is one."""
    if Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
        return 0
    return int(Path("/proc/sys/kernel/overflowuid").read_text())


async def test_a_worker_of_root_is_a_user_that_nobody_is(spinning: Seen) -> None:
    uids = {int(word) for word in spinning.status("Uid").split()}
    if os.geteuid() == 0:
        assert all(uid >= 0x7000_0000 for uid in uids)
    else:
        assert uids == {os.geteuid()}


async def test_a_system_without_memory_ends_a_worker_before_anything_else(spinning: Seen) -> None:
    assert spinning.read("oom_score_adj") == "1000\n"


async def test_a_worker_is_held_by_two_filters_of_system_calls(spinning: Seen) -> None:
    assert spinning.status("Seccomp") == "2"
    # What runs the tests may be held by some itself.
    assert int(spinning.status("Seccomp_filters")) == filters_of_the_tests() + 2


def filters_of_the_tests() -> int:
    [line] = re.findall(r"Seccomp_filters:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(line)


async def test_a_worker_is_under_limits_that_it_cannot_raise(spinning: Seen) -> None:
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in spinning.read("limits").splitlines()
    }
    assert limits["Max core file size"] == ["0", "0"]
    assert limits["Max file size"] == ["0", "0"]
    assert limits["Max open files"] == ["64", "64"]
    soft, hard = limits["Max data size"]
    assert soft == hard
    assert int(soft) < 1 << 30


@pytest.mark.usefixtures("spinning")
async def test_a_worker_and_its_parents_have_an_empty_environment() -> None:
    for seen in descendants():
        if seen.name.startswith("wassette-") and os.access(f"/proc/{seen.pid}/environ", os.R_OK):
            assert seen.read("environ").strip("\0") == "", seen


async def test_the_parent_of_a_worker_dies_with_the_zygote_and_the_worker_with_it(
    isolation: str,
) -> None:
    add = await component("add")
    async with open_pool(settings_for(isolation)) as pool:
        await add.call(pool, "add", '{"a": 1, "b": 2}')
        [zygote] = named("wassette-zygote")
        os.kill(zygote.pid, 9)
        await until(lambda: not named("wassette-worker"), "no worker without a zygote")
        await until(lambda: not descendants(), "nothing left, and no zombie")
        outcome = await add.call(pool, "add", '{"a": 1, "b": 2}')
    assert outcome.value == {"result": 3}
