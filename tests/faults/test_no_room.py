"""No descriptor, process or disk left: one clear error, nothing leaks, the next call works."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import served
from support.pools import component, settings_for
from support.processes import descendants, named, open_descriptors, until
from wassette_supervisor.errors import CallError, NoRoomError
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wassette_supervisor.pool.pool import Pool

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

FIVE = '{"a": 2, "b": 3}'


async def adds(pool: Pool) -> bool:
    return (await (await component("add")).call(pool, "add", FIVE)).value == {"result": 5}


# --- descriptors ----------------------------------------------------------------------------


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process, which is the supervisor here, may open only so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling = [os.open(os.devnull, os.O_RDONLY)]
    while filling[-1] < max(open_descriptors()):  # no gap is left below the limit
        filling.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (filling[-1] + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in filling:
            os.close(number)


@pytest.mark.parametrize("cold", [False, True], ids=["the next template", "the first zygote"])
async def test_whichever_descriptor_is_not_had_the_call_says_so_and_none_leaks(
    cold: bool,  # noqa: FBT001 - of the parametrization
) -> None:
    add = await component("add")
    worked, refused = set(), set()
    async with open_pool(settings_for()) as pool:
        await adds(pool)
        pool.forget(add.digest)
        await until(lambda: not named("wassette-templ"), "it is cold")
        before = len(open_descriptors())
        for count in range(0, 30, 6) if cold else range(0, 21, 3):
            if cold:
                await pool._zygote.end()
                pool._zygote._ending = False
                await until(lambda: pool._zygote._channel is None, "no zygote")
            with descriptors_left(count):
                try:
                    assert await adds(pool)
                    worked.add(count)
                except NoRoomError:
                    refused.add(count)
            assert await adds(pool)
            pool.forget(add.digest)
            await until(lambda: not named("wassette-templ"), "all is given back")
            await until(lambda: len(open_descriptors()) <= before + cold, f"none leaked at {count}")
    assert refused
    assert worked
    assert max(refused) < max(worked)
    assert pool.held_back(add.digest) is None
    await until(lambda: not descendants(), "no process left")


# --- processes ------------------------------------------------------------------------------

# A real zygote, and real templates; but each second fork of each process is refused.
PROGRAM = """
import errno
import os
from wassette_worker import template, zygote
from wassette_worker.sandbox import namespaces

def every_second(fork):
    asked = 0
    def fork_or_not(*arguments):
        nonlocal asked
        asked += 1
        if asked % 2 == 0:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork(*arguments)
    return fork_or_not

os.fork = every_second(os.fork)
namespaces.fork_into_namespaces = every_second(namespaces.fork_into_namespaces)
zygote.namespaces.refusal = lambda: ""
zygote.doorbell.refusal = lambda: ""  # which forks as well
zygote.main()
"""


async def test_a_process_that_can_not_be_forked_fails_its_call_and_no_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "refused.py").write_text(PROGRAM)
    refused, right = [], 0
    async with open_pool(settings_for(), str(tmp_path / "refused.py")) as pool:
        for _ in range(20):
            try:
                right += await adds(pool)
            except CallError as error:
                refused.append(str(error))
        assert len(named("wassette-zygote")) == 1
    assert right >= 5
    assert refused
    why = "no process could be started (Resource temporarily unavailable)"
    assert all(why in text for text in refused), refused
    await until(lambda: not descendants(), "no process left")


# --- disk -----------------------------------------------------------------------------------


@contextmanager
def full_disk(server: int) -> Iterator[None]:
    """What the server writes to is full: no file of its grows any more."""
    soft, hard = resource.prlimit(server, resource.RLIMIT_FSIZE)
    resource.prlimit(server, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.prlimit(server, resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_call_that_a_full_disk_keeps_off_the_record_does_not_run_and_the_next_does(
    scratch: Path,
) -> None:
    async with served.raw(scratch) as server:
        assert await server.adds(1)
        with full_disk(server.pid):
            for request in (2, 3):
                refused = await call(server, request)
                assert refused["isError"]
                text = refused["content"][0]["text"]
                assert "can't write to the audit log" in text
                assert "\n" not in text
        assert await server.adds(4)
        await server.stdin.aclose()
        with anyio.fail_after(20):
            assert await server.process.wait() == 0
    assert served.operate(scratch, "audit", "verify").returncode == 0
    log = served.operate(scratch, "audit").stdout.decode()
    assert log.count('"event":"call-started"') == log.count('"event":"call-ended"') == 2


async def test_a_call_that_runs_when_the_disk_fills_is_answered(scratch: Path) -> None:
    async with served.raw(scratch) as server:
        await server.call(1, "sleep-ms", milliseconds=1000)
        await served.busy_worker(server.pid)
        with full_disk(server.pid):
            assert not (await server.answer(1)).get("isError")
        assert await server.adds(2)
    assert served.operate(scratch, "audit", "verify").returncode == 0


async def call(server: served.Raw, request: int) -> dict[str, Any]:
    await server.call(request, "add", a=2, b=3)
    return await server.answer(request)
