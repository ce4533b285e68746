"""What a process reaches of files, ports and other processes (landlock(7)): what it was granted.

Layers nest, and each can only take away. A rule belongs to a directory itself, wherever it is
moved; without a rule for it a file can't be opened, created or removed, by whatever path.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from functools import cache
from typing import TYPE_CHECKING

from wassette_worker.sandbox.libc import check, libc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_protocol.capabilities import Reach

# The same on all processors (include/uapi/asm-generic/unistd.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# linux/landlock.h
_ONLY_VERSION = 1
_PATH_BENEATH = 1
(
    _EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR,
    _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM, _REFER, _TRUNCATE, _IOCTL_DEV,
) = (1 << bit for bit in range(16))  # fmt: skip
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1, 2

# Rights that a rule on a file can have; those on directories are refused for it.
_OF_A_FILE = _WRITE_FILE | _READ_FILE | _TRUNCATE
# No program is run, no device, socket or pipe is made, whatever is granted.
_WRITE = _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
_WRITE |= _MAKE_SYM

_RULESET = struct.Struct("=QQQ")  # struct landlock_ruleset_attr
_PATH_RULE = struct.Struct("=Qi")  # struct landlock_path_beneath_attr


@cache
def abi() -> int:
    """The version that the kernel speaks, from 1 on.

    Raises:
        OSError: It speaks none, or may not.
    """
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ONLY_VERSION))


def files(version: int) -> int:
    """The rights on files that this version knows: all of them are taken away."""
    count = 13 + sum(version >= needed for needed in (2, 3, 5))
    return (1 << count) - 1


def reach(version: int) -> tuple[int, int]:
    """The rights on TCP ports, and the scopes, of this version."""
    ports = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    scopes = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL if version >= 6 else 0
    return ports, scopes


def restrict_to(hull: Iterable[tuple[int, Reach]], *, connects: bool = False) -> None:
    """Leave these directories and files, by descriptor, and nothing else.

    With `connects` also connections to TCP ports; none is bound in any case.

    Raises:
        OSError: The kernel refuses it.
    """
    known = files(abi())
    rules = [(number, _rights(number, reach) & known) for number, reach in hull]
    _restrict(known, rules, left=_CONNECT_TCP if connects else 0)


def _rights(number: int, reach: Reach) -> int:
    rights = _READ_DIR
    if reach.read:
        rights |= _READ_FILE
    if reach.write:
        rights |= _WRITE
    return rights if stat.S_ISDIR(os.fstat(number).st_mode) else rights & _OF_A_FILE


def has_reach() -> bool:
    """Whether the kernel can keep a process from ports or from signals."""
    return any(reach(abi()))


def restrict_reach() -> None:
    """A layer of this process' own: no port, and no signal or socket name of a sibling's.

    Raises:
        OSError: The kernel refuses it.
    """
    # A layer that says nothing of moving files between directories denies it: this one leaves
    # that to the layer before.
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _restrict(_REFER, [(root, _REFER)])
    finally:
        os.close(root)


def _restrict(handled: int, rules: list[tuple[int, int]], left: int = 0) -> None:
    """Take away the rights on files that are handled, but for those on these directories.

    Those on ports go as well, but for what is `left`.
    """
    ports, scopes = reach(abi())
    # A kernel takes a longer structure than its own if the rest is zero.
    attributes = _RULESET.pack(handled, ports & ~left, scopes)
    size = ctypes.c_size_t(len(attributes))
    ruleset = _call(_CREATE_RULESET, attributes, size, ctypes.c_uint32(0))
    try:
        for number, rights in rules:
            rule = _PATH_RULE.pack(rights, number)
            _call(_ADD_RULE, ctypes.c_int(ruleset), _PATH_BENEATH, rule, ctypes.c_uint32(0))
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _call(number: int, *arguments: object) -> int:
    return check(libc.syscall(ctypes.c_long(number), *arguments), "landlock")
