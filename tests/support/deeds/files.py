"""Files that were not granted."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING

from support.deeds.catalogue import deed
from support.deeds.raw import AT_FDCWD, call, path

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

_REMOVED_DIRECTORY = 0x200  # AT_REMOVEDIR, linux/fcntl.h
_FOLLOW_NOTHING = 0x1000  # AT_EMPTY_PATH


def _open(file: str, flags: int = os.O_RDONLY, mode: int = 0) -> None:
    os.close(call("openat", AT_FDCWD, path(file), flags, mode))


# --- reading --------------------------------------------------------------------------------


@deed("reading files")
def read_passwd(_: Scene) -> None:
    _open("/etc/passwd")


@deed("reading files")
def read_a_file_of_the_same_user(scene: Scene) -> None:
    _open(f"{scene.outside}/secret")


@deed("reading files")
def read_the_store(scene: Scene) -> None:
    _open(f"{scene.store}/record")


@deed("reading files")
def list_the_root(_: Scene) -> None:
    _open("/", os.O_RDONLY | os.O_DIRECTORY)


@deed("reading files")
def read_by_openat2(scene: Scene) -> None:
    how = bytes(24)  # struct open_how, linux/openat2.h
    os.close(call("openat2", AT_FDCWD, path(f"{scene.outside}/secret"), how, len(how)))


@deed("reading files")
def climb_out_of_a_descriptor(scene: Scene) -> None:
    """By `..` from whatever directory this process holds, or may open."""
    with contextlib.suppress(OSError):
        os.open(scene.inside, os.O_RDONLY | os.O_DIRECTORY)
    name = path(f"../{os.path.basename(scene.outside)}/secret")  # noqa: PTH119 - as bytes for the call
    refused = OSError(errno.EBADF, "no directory")
    for number in range(64):
        try:
            os.close(call("openat", number, name, os.O_RDONLY, 0))
        except OSError as error:
            refused = error if error.errno not in (errno.EBADF, errno.ENOTDIR) else refused
        else:
            return
    raise refused


@deed("reading files")
def open_by_handle(scene: Scene) -> None:
    """A file without its path: only for who may search everywhere."""
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
    mount = ctypes.c_int()
    name = path(f"{scene.outside}/secret")
    call("name_to_handle_at", AT_FDCWD, name, handle, ctypes.byref(mount), 0)
    beside = os.open(scene.outside, os.O_RDONLY)
    os.close(call("open_by_handle_at", beside, handle, os.O_RDONLY))


@deed("looking at files")
def stat_a_file(scene: Scene) -> None:
    call("newfstatat", AT_FDCWD, path(f"{scene.outside}/secret"), bytes(256), 0)


@deed("looking at files")
def read_a_link(scene: Scene) -> None:
    call("readlinkat", AT_FDCWD, path(f"{scene.outside}/link"), bytes(64), 64)


# --- changing -------------------------------------------------------------------------------


@deed("changing files")
def write_a_file(scene: Scene) -> None:
    _open(f"{scene.outside}/secret", os.O_WRONLY)


@deed("changing files")
def cut_a_file(scene: Scene) -> None:
    call("truncate", path(f"{scene.outside}/secret"), 1)


@deed("changing files")
def cut_a_file_as_it_is_opened(scene: Scene) -> None:
    _open(f"{scene.outside}/secret", os.O_WRONLY | os.O_TRUNC)


@deed("changing files")
def create_a_file(scene: Scene) -> None:
    _open(f"{scene.outside}/new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


@deed("changing files")
def create_a_nameless_file(scene: Scene) -> None:
    _open(scene.outside, os.O_WRONLY | os.O_TMPFILE, 0o600)


@deed("changing files")
def write_the_store(scene: Scene) -> None:
    _open(f"{scene.store}/policy", os.O_WRONLY | os.O_CREAT, 0o600)


@deed("changing files")
def remove_a_file(scene: Scene) -> None:
    call("unlinkat", AT_FDCWD, path(f"{scene.outside}/spare"), 0)


@deed("changing files")
def remove_a_directory(scene: Scene) -> None:
    call("unlinkat", AT_FDCWD, path(f"{scene.outside}/empty"), _REMOVED_DIRECTORY)


@deed("changing files")
def move_a_file(scene: Scene) -> None:
    old, new = path(f"{scene.outside}/moved"), path(f"{scene.outside}/moved-away")
    call("renameat", AT_FDCWD, old, AT_FDCWD, new)


@deed("changing files")
def take_a_file_by_a_second_name(scene: Scene) -> None:
    old, new = path(f"{scene.outside}/secret"), path(f"{scene.inside}/second")
    call("linkat", AT_FDCWD, old, AT_FDCWD, new, 0)


@deed("changing files")
def make_a_directory(scene: Scene) -> None:
    call("mkdirat", AT_FDCWD, path(f"{scene.outside}/made"), 0o700)


@deed("changing files")
def make_a_link(scene: Scene) -> None:
    call("symlinkat", b"/etc", AT_FDCWD, path(f"{scene.outside}/a-link"))


@deed("changing files")
def set_the_times_of_a_file(scene: Scene) -> None:
    call("utimensat", AT_FDCWD, path(f"{scene.outside}/secret"), bytes(32), 0)


@deed("owners and modes")
def change_a_mode(scene: Scene) -> None:
    call("fchmodat", AT_FDCWD, path(f"{scene.outside}/secret"), 0o644)


@deed("owners and modes")
def change_an_owner(scene: Scene) -> None:
    name = path(f"{scene.outside}/secret")
    call("fchownat", AT_FDCWD, name, os.geteuid(), os.getegid(), 0)


@deed("owners and modes")
def set_an_attribute(scene: Scene) -> None:
    call("setxattr", path(f"{scene.outside}/secret"), b"user.mark", b"x", 1, 0)
