"""Runs a command as on a kernel that lacks something: a filter says that the call isn't there.

`python tests/support/lesser_kernel.py CALL[,CALL…] COMMAND …`
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from wassette_worker.sandbox import bpf, seccomp
from wassette_worker.sandbox.identity import forbid_new_privileges
from wassette_worker.sandbox.syscall_numbers import NUMBERS

# The filter that makes it so is put in force by prctl(2), which the product doesn't use for that.
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def main() -> None:
    machine = os.uname().machine
    program = [bpf.load(bpf.NUMBER)]
    for call in sys.argv[1].split(","):
        refused = bpf.answer(seccomp.ERRNO | errno.ENOSYS)
        program += [bpf.unless_equal(getattr(NUMBERS[call], machine), 1), refused]
    program.append(bpf.answer(seccomp.ALLOW))
    code = ctypes.create_string_buffer(bpf.encode(program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    forbid_new_privileges()
    if ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _MODE_FILTER, filter_, 0, 0) != 0:
        raise OSError("this system takes no filter")
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - as told


if __name__ == "__main__":
    main()
