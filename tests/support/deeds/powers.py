"""What a process may ask of the kernel for itself, or for all."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import termios
import time
from typing import TYPE_CHECKING

from support.deeds.catalogue import deed
from support.deeds.raw import AT_FDCWD, call, path

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

# linux/sched.h
_NEWNS, _NEWUTS, _NEWUSER, _NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
_THREAD_KEYRING, _SESSION_KEYRING = -1, -3  # linux/keyctl.h


# --- keys -----------------------------------------------------------------------------------


@deed("keys")
def add_a_key(_: Scene) -> None:
    call("add_key", b"user", b"wassette", b"x", 1, _THREAD_KEYRING)


@deed("keys")
def find_the_keyring_of_the_session(_: Scene) -> None:
    call("keyctl", 0, _SESSION_KEYRING, 0)  # KEYCTL_GET_KEYRING_ID


@deed("keys")
def join_another_keyring(_: Scene) -> None:
    call("keyctl", 1, 0)  # KEYCTL_JOIN_SESSION_KEYRING


# --- mounts: in a namespace of its own, so that nothing stays -------------------------------


@deed("mounts")
def mount(scene: Scene) -> None:
    call("unshare", _NEWNS)
    call("mount", b"none", b"/", 0, 0x44000, 0)  # MS_REC | MS_PRIVATE
    call("mount", b"tmpfs", path(scene.outside), b"tmpfs", 0, 0)


@deed("mounts")
def unmount(scene: Scene) -> None:
    mount(scene)
    call("umount2", path(scene.outside), 0)


@deed("mounts")
def change_the_root(scene: Scene) -> None:
    call("chroot", path(scene.outside))


@deed("mounts")
def open_a_new_file_system(_: Scene) -> None:
    os.close(call("fsopen", b"tmpfs", 1))


@deed("mounts")
def copy_a_mount(_: Scene) -> None:
    os.close(call("open_tree", AT_FDCWD, b"/", 1))  # OPEN_TREE_CLONE


@deed("mounts")
def swap_the_root(scene: Scene) -> None:
    mount(scene)
    os.mkdir(f"{scene.outside}/old")  # noqa: PTH102 - a call, not a path
    call("pivot_root", path(scene.outside), path(f"{scene.outside}/old"))


# --- namespaces -----------------------------------------------------------------------------


@deed("namespaces")
def be_root_of_a_namespace(_: Scene) -> None:
    call("unshare", _NEWUSER)


@deed("namespaces")
def have_a_network_of_its_own(_: Scene) -> None:
    call("unshare", _NEWNET)


@deed("namespaces")
def have_mounts_of_its_own(_: Scene) -> None:
    call("unshare", _NEWUSER | _NEWNS)


@deed("namespaces")
def enter_the_namespace_of_another(scene: Scene) -> None:
    call("setns", os.open(f"/proc/{scene.supervisor}/ns/uts", os.O_RDONLY), _NEWUTS)


# --- the clock ------------------------------------------------------------------------------


@deed("the clock")
def set_the_clock(_: Scene) -> None:
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    call("clock_settime", 0, struct.pack("=qq", now // 10**9, now % 10**9))


@deed("the clock")
def set_the_time_of_day(_: Scene) -> None:
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    call("settimeofday", struct.pack("=qq", now // 10**9, now % 10**9 // 1000), 0)


def _by_nothing() -> bytes:
    """A struct timex, sys/timex.h: the offset is set (ADJ_SETOFFSET), to nothing."""
    return struct.pack("=I", 0x0100) + bytes(204)


@deed("the clock")
def adjust_the_clock(_: Scene) -> None:
    call("adjtimex", _by_nothing())


@deed("the clock")
def adjust_a_clock(_: Scene) -> None:
    call("clock_adjtime", 0, _by_nothing())


# --- privileges -----------------------------------------------------------------------------


@deed("privileges")
def become_another_user(_: Scene) -> None:
    call("setresuid", 1, 1, 1)


@deed("privileges")
def take_groups(_: Scene) -> None:
    call("setgroups", 1, struct.pack("=I", 6))


@deed("privileges")
def set_capabilities(_: Scene) -> None:
    call("capset", struct.pack("=Ii", 0x20080522, 0), bytes(24))


@deed("privileges")
def be_dumpable(_: Scene) -> None:
    call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE


@deed("privileges")
def outlive_its_parent(_: Scene) -> None:
    call("prctl", 1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG


@deed("privileges")
def adopt_what_its_children_leave(_: Scene) -> None:
    call("prctl", 36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


@deed("privileges")
def have_an_address_layout_that_is_known(_: Scene) -> None:
    call("personality", 0x0040000)  # ADDR_NO_RANDOMIZE


@deed("privileges")
def have_a_filter_of_its_own(_: Scene) -> None:
    call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000), 8)
    call("seccomp", 1, 0, struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))


# --- the terminal ---------------------------------------------------------------------------


@deed("the terminal")
def type_into_the_terminal(_: Scene) -> None:
    fcntl.ioctl(0, termios.TIOCSTI, b"x")


@deed("the terminal")
def resize_the_terminal(_: Scene) -> None:
    fcntl.ioctl(0, termios.TIOCSWINSZ, bytes(8))


@deed("the terminal")
def open_the_terminal(_: Scene) -> None:
    os.close(os.open("/dev/tty", os.O_RDWR))


# --- the machine ----------------------------------------------------------------------------


@deed("the machine")
def name_the_machine(_: Scene) -> None:
    name = socket.gethostname().encode()
    call("sethostname", name, len(name))


@deed("the machine")
def read_the_log_of_the_kernel(_: Scene) -> None:
    call("syslog", 3, bytes(64), 64)


@deed("the machine")
def say_what_keys_do(scene: Scene) -> None:
    # LINUX_REBOOT_CMD_CAD_ON or _OFF, linux/reboot.h: as it is already.
    call("reboot", -18751827, 672274793, 0x89ABCDEF if scene.ctrl_alt_del else 0, 0)


@deed("the machine")
def have_all_ports(_: Scene) -> None:
    call("iopl", 3)


@deed("the machine")
def watch_all_files(_: Scene) -> None:
    os.close(call("fanotify_init", 0, 0))


# Nothing on this list could be done without harm, so nobody can: what is given is wrong.


@deed("the machine")
def load_another_kernel(_: Scene) -> None:
    call("kexec_load", 0, 1000, 0, 0)


@deed("the machine")
def load_a_module(_: Scene) -> None:
    call("init_module", b"", 0, b"")


@deed("the machine")
def unload_a_module(_: Scene) -> None:
    call("delete_module", b"wassette-has-none", 0o4000)


@deed("the machine")
def swap_to_a_file(scene: Scene) -> None:
    call("swapon", path(f"{scene.outside}/none"), 0)


@deed("the machine")
def keep_accounts(scene: Scene) -> None:
    call("acct", path(f"{scene.outside}/none"))


@deed("the machine")
def change_quotas(scene: Scene) -> None:
    call("quotactl", 0, path(f"{scene.outside}/none"), 0, 0)
