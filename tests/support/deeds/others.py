"""Other processes: workers beside this one, their template, the zygote, the supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

from support.deeds.catalogue import deed
from support.deeds.raw import AT_FDCWD, at, call, path

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

# Nothing happens to a process that gets it and is not stopped.
_HARMLESS = signal.SIGCONT
_PTRACE_SEIZE = 0x4206  # linux/ptrace.h
_QUEUED = struct.Struct("=iiiiii104x")  # siginfo_t: number, error, code, padding, pid, uid
_SI_QUEUE = -1


def _kill(pid: int) -> None:
    os.kill(pid, _HARMLESS)


def _read(file: str, flags: int = os.O_RDONLY) -> None:
    os.close(call("openat", AT_FDCWD, path(file), flags, 0))


def _queue(pid: int) -> None:
    information = _QUEUED.pack(_HARMLESS, 0, _SI_QUEUE, 0, os.getpid(), 0)
    call("rt_sigqueueinfo", pid, _HARMLESS, information)


def _trace(pid: int) -> None:
    call("ptrace", _PTRACE_SEIZE, pid, 0, 0)


# --- signals --------------------------------------------------------------------------------


@deed("signals")
def kill_a_sibling(scene: Scene) -> None:
    _kill(scene.sibling)


@deed("signals")
def kill_the_template(scene: Scene) -> None:
    _kill(scene.template)


@deed("signals")
def kill_the_zygote(scene: Scene) -> None:
    _kill(scene.zygote)


@deed("signals")
def kill_the_supervisor(scene: Scene) -> None:
    _kill(scene.supervisor)


@deed("signals")
def tgkill_a_sibling(scene: Scene) -> None:
    call("tgkill", scene.sibling, scene.sibling, _HARMLESS)


@deed("signals")
def tgkill_the_template(scene: Scene) -> None:
    call("tgkill", scene.template, scene.template, _HARMLESS)


@deed("signals")
def tkill_a_sibling(scene: Scene) -> None:
    call("tkill", scene.sibling, _HARMLESS)


@deed("signals")
def queue_a_signal_of_a_sibling(scene: Scene) -> None:
    _queue(scene.sibling)


@deed("signals")
def signal_by_pidfd(scene: Scene) -> None:
    pidfd = call("pidfd_open", scene.sibling, 0)
    call("pidfd_send_signal", pidfd, _HARMLESS, 0, 0)


# --- memory ---------------------------------------------------------------------------------


@deed("others' memory")
def open_the_memory_of_a_sibling(scene: Scene) -> None:
    _read(f"/proc/{scene.sibling}/mem")


@deed("others' memory")
def open_the_memory_of_the_template(scene: Scene) -> None:
    _read(f"/proc/{scene.template}/mem", os.O_RDWR)


@deed("others' memory")
def open_the_memory_of_the_supervisor(scene: Scene) -> None:
    _read(f"/proc/{scene.supervisor}/mem")


def _vector(address: int) -> ctypes.Array[ctypes.c_char]:
    """A struct iovec of 8 bytes there."""
    return ctypes.create_string_buffer(struct.pack("=QQ", address, 8), 16)


def _copy(how: str, pid: int) -> None:
    address = id(None)  # a place that all forks of an interpreter have
    buffer = ctypes.create_string_buffer(8)
    ctypes.memmove(buffer, at(address), 8)  # so that what is written is what stood there
    call(how, pid, _vector(ctypes.addressof(buffer)), 1, _vector(address), 1, 0)


@deed("others' memory")
def read_the_memory_of_a_sibling(scene: Scene) -> None:
    _copy("process_vm_readv", scene.sibling)


@deed("others' memory")
def write_the_memory_of_a_sibling(scene: Scene) -> None:
    _copy("process_vm_writev", scene.sibling)


@deed("others' memory")
def read_the_memory_of_the_template(scene: Scene) -> None:
    _copy("process_vm_readv", scene.template)


@deed("tracing")
def trace_a_sibling(scene: Scene) -> None:
    _trace(scene.sibling)


@deed("tracing")
def trace_the_template(scene: Scene) -> None:
    _trace(scene.template)


@deed("tracing")
def trace_the_supervisor(scene: Scene) -> None:
    _trace(scene.supervisor)


@deed("tracing")
def compare_with_a_sibling(scene: Scene) -> None:
    call("kcmp", os.getpid(), scene.sibling, 1, 0, 0)


# --- descriptors ----------------------------------------------------------------------------


@deed("descriptors")
def take_a_descriptor_of_a_sibling(scene: Scene) -> None:
    os.close(call("pidfd_getfd", call("pidfd_open", scene.sibling, 0), 0, 0))


@deed("descriptors")
def take_a_descriptor_of_the_supervisor(scene: Scene) -> None:
    os.close(call("pidfd_getfd", call("pidfd_open", scene.supervisor, 0), 0, 0))


@deed("descriptors")
def open_a_descriptor_of_the_zygote(scene: Scene) -> None:
    _read(f"/proc/{scene.zygote}/fd/0")


@deed("descriptors")
def send_a_descriptor(_: Scene) -> None:
    """Over its own socket, which everybody here has at the same number."""
    byte, vector = ctypes.create_string_buffer(b"x"), ctypes.create_string_buffer(16)
    vector.raw = struct.pack("=QQ", ctypes.addressof(byte), 1)
    rights = ctypes.create_string_buffer(24)  # struct cmsghdr, and one number
    rights.raw = struct.pack("=QiiiI", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, 0, 0)
    places = (ctypes.addressof(vector), 1, ctypes.addressof(rights), 24)
    call("sendmsg", 3, struct.pack("=QQQQQQQ", 0, 0, *places, 0), 0)  # struct msghdr


@deed("descriptors")
def duplicate_a_descriptor_over_another(_: Scene) -> None:
    os.dup2(1, 0)


# --- scheduling, limits ---------------------------------------------------------------------


@deed("others' resources")
def move_a_sibling_to_a_processor(scene: Scene) -> None:
    call("sched_setaffinity", scene.sibling, 8, (1).to_bytes(8, "little"))


@deed("others' resources")
def slow_a_sibling(scene: Scene) -> None:
    os.setpriority(os.PRIO_PROCESS, scene.sibling, 19)


@deed("others' resources")
def limit_a_sibling(scene: Scene) -> None:
    call("prlimit64", scene.sibling, 7, struct.pack("=QQ", 64, 64), 0)  # open files


@deed("others' resources")
def schedule_a_sibling(scene: Scene) -> None:
    call("sched_setscheduler", scene.sibling, 3, bytes(4))  # SCHED_BATCH


# --- /proc ----------------------------------------------------------------------------------


@deed("/proc")
def read_the_variables_of_the_supervisor(scene: Scene) -> None:
    _read(f"/proc/{scene.supervisor}/environ")


@deed("/proc")
def read_the_maps_of_a_sibling(scene: Scene) -> None:
    _read(f"/proc/{scene.sibling}/maps")


@deed("/proc")
def write_own_memory_through_proc(_: Scene) -> None:
    _read("/proc/self/mem", os.O_RDWR)


@deed("/proc")
def list_processes(_: Scene) -> None:
    _read("/proc", os.O_RDONLY | os.O_DIRECTORY)


@deed("/proc")
def change_a_setting_of_the_kernel(_: Scene) -> None:
    _read("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@deed("/proc")
def be_killed_last(_: Scene) -> None:
    _read("/proc/self/oom_score_adj", os.O_WRONLY)
