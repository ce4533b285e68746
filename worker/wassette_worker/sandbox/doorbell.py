"""Whether a worker's connections can be answered by somebody else here (seccomp_unotify(2)).

A connect() is told to whoever holds the listener of the worker's filter, who plants a socket in the
worker's place: no address is looked at, and no packet is sent. Nothing else here reaches a network.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from wassette_worker.sandbox import identity, seccomp

if TYPE_CHECKING:
    from wassette_worker.sandbox.profiles import Profile

# linux/seccomp.h: SECCOMP_IOW(3, struct seccomp_notif_addfd), from Linux 5.9 on.
_ADDFD = 1 << 30 | 24 << 16 | ord("!") << 8 | 3


class Bell:
    """A worker's listener, from its last step on until it is given away."""

    def __init__(self) -> None:
        self.descriptor: int | None = None

    def hang(self, profile: Profile) -> None:
        """Put the filter in force, with a listener.

        Raises:
            OSError: The kernel refuses it.
        """
        self.descriptor = seccomp.restrict_told(profile)


def refusal() -> str:
    """Why it can't be done; empty if it can. Tried by a child, which ends with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, _tried().encode()[:200])
        finally:
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 200).decode("utf-8", "replace")
    os.close(reader)
    os.waitpid(pid, 0)
    return "" if said == _DONE else said or "the filter ended the process"


_DONE = "done"


def _tried() -> str:
    try:
        identity.forbid_new_privileges()
        listener = seccomp.listen_only()
    except OSError as error:
        held = error.errno == errno.EBUSY
        return "somebody listens already, as some container runtimes do" if held else str(error)
    try:
        # Of no call that waits: a kernel that can plant a descriptor looks for that call first.
        fcntl.ioctl(listener, _ADDFD, struct.pack("=QIIII", 0, 0, listener, 0, 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return _DONE
        return f"no descriptor can be planted: {error.strerror}"
    return "a descriptor was planted nowhere"
