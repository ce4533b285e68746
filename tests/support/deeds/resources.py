"""More than its share."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import struct
from typing import TYPE_CHECKING

from support.deeds import raw
from support.deeds.catalogue import deed
from support.deeds.raw import call
from wassette_worker.sandbox.rlimits import MAX_THREADS

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

_GIB = 1 << 30
# asm-generic/mman-common.h
_READ, _WRITE = 1, 2
_SHARED, _PRIVATE, _ANONYMOUS, _NORESERVE = 1, 2, 32, 0x4000
_THREAD = 0x003D_0F00  # linux/sched.h: as the C library starts one
# More than a component's workers may have together, so that no machine runs out of them.
_MANY_THREADS = 2 * MAX_THREADS
PAGES = 64 * mmap.PAGESIZE


@deed("memory")
def map_more_than_its_limit(_: Scene) -> None:
    call("mmap", 0, _GIB, _READ | _WRITE, _PRIVATE | _ANONYMOUS | _NORESERVE, -1, 0)


@deed("memory")
def grow_its_heap_beyond_its_limit(_: Scene) -> None:
    """An allocation of the C library's."""
    bytearray(_GIB)


@deed("memory")
def map_much_and_make_it_writable(_: Scene) -> None:
    """It counts when it can be written to, not when it is mapped."""
    place = call("mmap", 0, _GIB, 0, _PRIVATE | _ANONYMOUS | _NORESERVE, -1, 0)
    call("mprotect", place, _GIB, _READ | _WRITE)


@deed("memory")
def share_memory_that_counts_nowhere(_: Scene) -> None:
    call("mmap", 0, PAGES, _READ | _WRITE, _SHARED | _ANONYMOUS, -1, 0)


@deed("memory")
def keep_memory_in_a_nameless_file(_: Scene) -> None:
    number = os.memfd_create("much", os.MFD_CLOEXEC)
    os.write(number, bytes(PAGES))


@deed("memory")
def keep_memory_that_the_kernel_hides(_: Scene) -> None:
    os.close(call("memfd_secret", os.O_CLOEXEC))


@deed("memory")
def keep_memory_that_outlives_it(_: Scene) -> None:
    call("shmget", 0, PAGES, 0o600)  # IPC_PRIVATE


@deed("memory")
def keep_memory_from_being_swapped(_: Scene) -> None:
    call("mlock", call("mmap", 0, PAGES, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0), PAGES)


@deed("its own limits")
def raise_a_limit(_: Scene) -> None:
    """To what it is: it could lower it as well, for who comes after it."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    call("prlimit64", 0, resource.RLIMIT_NOFILE, struct.pack("=QQ", *limits), 0)


@deed("its own limits")
def run_before_others(_: Scene) -> None:
    call("setpriority", 0, 0, -5)


@deed("its own limits")
def run_in_real_time(_: Scene) -> None:
    call("sched_setscheduler", 0, 1, (1).to_bytes(4, "little"))  # SCHED_FIFO


@deed("its own limits")
def run_by_a_deadline(_: Scene) -> None:
    # struct sched_attr, linux/sched/types.h: SCHED_DEADLINE.
    call("sched_setattr", 0, struct.pack("=IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7), 0)


@deed("its own limits")
def read_and_write_before_others(_: Scene) -> None:
    call("ioprio_set", 1, 0, 1 << 13)  # IOPRIO_CLASS_RT


@deed("its own limits")
def run_on_every_processor(_: Scene) -> None:
    call("sched_setaffinity", 0, 8, b"\xff" * 8)


@deed("much of a kind")
def hold_many_descriptors(scene: Scene) -> None:
    """More than it has any use for, of whatever it may open."""
    for _number in range(1000):
        os.open(scene.inside or "/etc/passwd", os.O_RDONLY)


@deed("much of a kind")
def hold_many_pipes(_: Scene) -> None:
    for _number in range(100):
        os.pipe()


@deed("much of a kind")
def start_many_threads(_: Scene) -> None:
    """Without a stack, so that no limit of memory counts them."""
    raw.needs_x86_64()
    word = ctypes.create_string_buffer(8)
    place = ctypes.addressof(word)
    for _number in range(_MANY_THREADS):
        raw.run_code(raw.THREAD, _THREAD, 0, place + 4, place + 4, 0, place)


@deed("much of a kind")
def set_many_timers(_: Scene) -> None:
    for _number in range(100):
        call("timer_create", 0, 0, bytes(8))


@deed("much of a kind")
def hold_queues(_: Scene) -> None:
    call("msgget", 0, 0o600)  # IPC_PRIVATE


@deed("much of a kind")
def watch_many_files(_: Scene) -> None:
    os.close(call("inotify_init1", 0))
