"""Resource limits of a process (setrlimit(2)); soft and hard alike, so none can be raised."""

from __future__ import annotations

import os
import resource
import signal

from wassette_protocol.capabilities import MAX_DIRECTORIES, Storage

MIB = 1 << 20

# What a worker needs beside its guest's memory: interpreter and engine some 40 MiB, a stack
# of 8 MiB for each of the engine's threads, and 32 bytes for each value of a call.
HOST_OVERHEAD = 384 * MIB
# A compiler of a Python or JavaScript guest peaks at some 450 MiB.
COMPILER_DATA = 3072 * MIB
COMPILER_CPU_S = 240
MAX_ARTEFACT_BYTES = 512 * MIB
# Of the broker: each of its requests has a few buffers of 64 KiB, and no body is held whole.
BROKER_DATA = 1024 * MIB
# Each request has a socket to its guest and one or two to the world; each worker has one number.
BROKER_FILES = 4096


# Open files of a worker, its own dozen included.
FEW_FILES = 64
# Its directories come all at once and are each opened again, and its guest opens files in them.
MANY_FILES = 2 * MAX_DIRECTORIES + 256

# Processes and threads of a template and its workers: by default a worker for each processor,
# each with a thread for each; and as many again. Asked for once: under a filter it is too late.
MAX_THREADS = 1024 + 2 * (os.cpu_count() or 1) ** 2


def limit_worker(memory: int, storage: Storage) -> None:
    """For a process that runs a guest with linear memories of `memory` bytes."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit_file_size(storage, 0)
    _limit(resource.RLIMIT_NOFILE, FEW_FILES if storage is Storage.NONE else MANY_FILES)
    # Not RLIMIT_AS: the engine reserves 4 GiB of address space for each memory.
    _limit(resource.RLIMIT_DATA, data_of_worker(memory))


def data_of_worker(memory: int) -> int:
    """Bytes of private writable memory for a guest whose linear memories have `memory`."""
    return memory + HOST_OVERHEAD


def limit_template(storage: Storage) -> None:
    """For a process that maps a component and forks workers."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit_file_size(storage, 0)


def limit_init(storage: Storage) -> None:
    """For a process that execs workers: it writes only what a worker is told, to memory."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit_file_size(storage, MIB)


def limit_files(size: int) -> None:
    """Let no file grow beyond so many bytes: whoever tries is told, and goes on."""
    # The interpreter ignores it already. It would end the process; so the guest has EFBIG.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _limit(resource.RLIMIT_FSIZE, size)


def limit_compiler() -> None:
    """For a process that compiles a component."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, MAX_ARTEFACT_BYTES)
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_DATA, COMPILER_DATA)
    _limit(resource.RLIMIT_CPU, COMPILER_CPU_S)


def limit_broker() -> None:
    """For the process that speaks with the world."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, files_of_broker())
    _limit(resource.RLIMIT_DATA, BROKER_DATA)


def files_of_broker() -> int:
    """How many descriptors it has: fewer where the system gives no more."""
    return _at_most(resource.RLIMIT_NOFILE, BROKER_FILES)


def limit_threads() -> None:
    """For a process in a user namespace of its own, in which its kin alone are counted.

    The kernel counts all the same, but refuses nothing, where it is the machine's root.
    """
    _limit(resource.RLIMIT_NPROC, MAX_THREADS)


def _limit_file_size(storage: Storage, otherwise: int) -> None:
    # Also bounds memory files; pipes and sockets are not concerned. Whoever may write to files
    # keeps the supervisor's own limit: no child could raise a lower one again.
    if storage is not Storage.WRITE:
        _limit(resource.RLIMIT_FSIZE, otherwise)


def _limit(kind: int, value: int) -> None:
    value = _at_most(kind, value)
    resource.setrlimit(kind, (value, value))


def _at_most(kind: int, value: int) -> int:
    _, hard = resource.getrlimit(kind)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
