"""Waiting for descriptors whose numbers are given out again."""

from __future__ import annotations

import asyncio
import os
import socket

import anyio
import pytest

from wassette_supervisor.pool import readiness


async def test_a_wait_is_not_lost_to_an_earlier_one_for_the_same_number() -> None:
    reader, writer = os.pipe()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_is_closed, reader)
        await anyio.wait_all_tasks_blocked()
        # Closed, and its number another pipe's that is waited for, before the first is awake.
        readiness.closing(reader)
        os.close(reader)
        again, other = os.pipe()
        assert again == reader
        os.write(other, b"x")
        with anyio.fail_after(5):
            await readiness.readable(again)
    for number in (again, other, writer):
        os.close(number)


async def _is_closed(number: int) -> None:
    with pytest.raises(anyio.ClosedResourceError):
        await readiness.readable(number)


async def test_nor_is_it_when_the_earlier_one_was_about_to_wake_up() -> None:
    reader, writer = os.pipe()
    woken = anyio.Event()

    async def wait() -> None:
        await readiness.readable(reader)
        woken.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        waits = readiness._of(asyncio.get_running_loop()).to_read
        readiness._wake(waits[reader])
        readiness.closing(reader)
        os.close(reader)
        again, other = os.pipe()
        assert again == reader
        os.write(other, b"x")
        assert not woken.is_set()
        with anyio.fail_after(5):
            await readiness.readable(again)
        assert woken.is_set()
    for number in (again, other, writer):
        os.close(number)


async def test_one_task_waits_for_a_descriptor_and_a_second_is_told() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(readiness.readable, ours.fileno())
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await readiness.readable(ours.fileno())
            await readiness.writable(ours.fileno())
            theirs.send(b"x")
    with pytest.raises(ValueError, match="Invalid file descriptor"):
        await readiness.readable(-1)


async def test_a_wait_that_is_given_up_leaves_nothing_behind() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with anyio.move_on_after(0.01):
            await readiness.readable(ours.fileno())
        theirs.send(b"x")
        with anyio.fail_after(5):
            await readiness.readable(ours.fileno())
