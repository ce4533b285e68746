"""Records the system calls of a zygote and all below it, or of a broker, and under which filter.

The kernel tells of each call before it is carried out (SECCOMP_RET_USER_NOTIF), and is told to
carry it out. No tracer is needed, nor root; what the product's own filters refuse is not told.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wassette_worker.sandbox import bpf, seccomp
from wassette_worker.sandbox.identity import forbid_new_privileges
from wassette_worker.sandbox.profiles import ROWS, Profile, Row, rows_of
from wassette_worker.sandbox.syscall_numbers import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[1]

# linux/seccomp.h
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_USER_NOTIF = 0x7FC0_0000
_RECEIVE, _SEND, _CONTINUE = 0xC050_2100, 0xC018_2101, 1
_TOLD = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp

_MACHINE = os.uname().machine
_NAMES = {getattr(numbers, _MACHINE): name for name, numbers in NUMBERS.items()}
_SENDMSG = NUMBERS["sendmsg"]
# No process of the product has a descriptor of this number.
_HANDOVER = 900


class Use(NamedTuple):
    """A row that a process used, and the one profile for which it has it."""

    row: Row
    profile: Profile


class Recorder:
    """A process that records; nothing below the zygote goes on while it is busy."""

    def __init__(self, program: str, process: subprocess.Popen[str]) -> None:
        self.program = program  # to be started in the place of what is recorded
        self._process = process

    def expect(self, profile: Profile) -> None:
        """Say which profile workers have from now on."""
        self._ask(str(profile.value))

    def report(self) -> tuple[set[Use], list[str]]:
        """What was used, and which calls were made without any row for them."""
        used, without_row = json.loads(self._ask("report"))
        return {Use(ROWS[row], Profile(profile)) for row, profile in used}, without_row

    def _ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextlib.contextmanager
def recording(module: str = "wassette_worker.zygote") -> Iterator[Recorder]:
    """Records what a process with its program does, in which it runs a module, and those below."""
    with tempfile.TemporaryDirectory() as folder:
        door, program = f"{folder}/door", Path(folder, "recorded.py")
        program.write_text(
            f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
            f"from support import recorder\nrecorder.main({door!r}, {module!r})\n"
        )
        command = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
        command += f"from support import recorder; recorder.serve({door!r})"
        with subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [sys.executable, "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "listening\n"
            try:
                yield Recorder(str(program), process)
            finally:
                process.kill()


# --- in the process that records ----------------------------------------------------------------


def serve(door: str) -> None:
    """Record until killed; lines of standard input are answered one by one."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(door)
        listening.listen()
        _say("listening")
        peer, _ = listening.accept()
    with peer:
        _, [listener], _, _ = socket.recv_fds(peer, 1, 1)
    record = _Record(listener)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener:
                record.one()
            else:
                _say(record.answer(sys.stdin.readline().strip()))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Record:
    def __init__(self, listener: int) -> None:
        self._worker = Profile.COMPUTE
        self._used: set[tuple[int, int]] = set()
        self._without_row: set[str] = set()
        self._listener = listener
        self._filters: dict[int, int] = {}  # process -> filters that it has put in force

    def answer(self, asked: str) -> str:
        if asked == "report":
            return json.dumps([sorted(self._used), sorted(self._without_row)])
        self._worker = Profile(int(asked))
        return ""

    def one(self) -> None:
        """Let one call happen."""
        told = bytearray(_TOLD.size)
        with contextlib.suppress(FileNotFoundError):  # killed meanwhile
            fcntl.ioctl(self._listener, _RECEIVE, told)
            number, thread, _, call, _, _, *arguments = _TOLD.unpack(told)
            refused = self._note(thread, _NAMES.get(call, str(call)), arguments)
            answer = bytearray(_ANSWER.pack(number, 0, -refused, 0 if refused else _CONTINUE))
            fcntl.ioctl(self._listener, _SEND, answer)

    def _note(self, thread: int, call: str, arguments: list[int]) -> int:
        """Note what was used; return the error that the call gets, if it is to be refused."""
        process, profile = self._profile(thread)
        if call == "seccomp" and arguments[0] == _SET_MODE_FILTER:
            self._filters[process] = self._filters.get(process, 0) + 1
        if profile is None:
            return 0
        rows = [(place, row) for place, row in enumerate(ROWS) if row.call == call]
        # A template's filter lets through what its workers need.
        held_by = profile | Profile.CHANGES if profile is Profile.TEMPLATE else profile
        rows = [(place, row) for place, row in rows if row.profiles & held_by]
        fitting = [(place, row) for place, row in rows if _fits(row, arguments)]
        allowed = [(place, row) for place, row in fitting if not row.refused]
        self._used |= {(place, profile.value) for place, _ in allowed or fitting}
        if not rows:
            self._without_row.add(f"{call} in {profile.name}")
        return 0 if allowed or not fitting else fitting[0][1].refused

    def _profile(self, thread: int) -> tuple[int, Profile | None]:
        """The process of a thread, and which filter of the product's holds it, if any does."""
        name, process, parent = _status(thread)
        filters = self._filters.get(process, 0)
        if name == "wassette-broker":
            return process, Profile.BROKER if filters else None
        if name == "wassette-compil":
            return process, Profile.COMPILE if filters else None
        if name == "wassette-worker" and _status(parent)[0] == "wassette-init":
            return process, (None, Profile.TEMPLATE, self._worker)[min(filters, 2)]
        if name not in {"wassette-templ", "wassette-worker"}:
            return process, None
        if name == "wassette-worker" or _status(parent)[0] == name:  # a fork, perhaps not named yet
            return process, self._worker if filters else Profile.TEMPLATE
        return process, Profile.TEMPLATE if filters else None


def _fits(row: Row, arguments: list[int]) -> bool:
    return all(arguments[test.argument] & test.mask == test.value for test in row.tests)


def _status(thread: int) -> tuple[str, int, int]:
    """The name of a thread's process, its number, and its parent's."""
    try:
        fields = _fields(thread)
        process = int(fields["Tgid"])
        name = fields["Name"] if process == thread else _fields(process)["Name"]
        return name, process, int(fields["PPid"])
    except (OSError, KeyError):  # it has ended
        return "", thread, 0


def _fields(thread: int) -> dict[str, str]:
    lines = Path(f"/proc/{thread}/status").read_text().splitlines()[:8]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


# --- in what is recorded ----------------------------------------------------------------------


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Rights(ctypes.Structure):
    """struct cmsghdr with one descriptor, cmsg(3)."""

    _fields_ = (
        ("length", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("type", ctypes.c_int),
        ("descriptor", ctypes.c_int),
        ("padding", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct msghdr, recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.POINTER(_Rights)),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


def main(door: str, module: str) -> None:
    """Be what the module is, its calls, and those of whatever it starts, told to who listens."""
    runs = importlib.import_module(module)  # not in the process that records

    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(door)
        os.dup2(peer.fileno(), _HANDOVER, inheritable=False)
    # What they refuse would not be told: it is refused by who records.
    vars(seccomp)["rows_of"] = _refusing_nothing
    forbid_new_privileges()
    listener = _tell_everything()
    os.close(_HANDOVER)
    os.close(listener)
    runs.main()


def _refusing_nothing(profile: Profile) -> list[Row]:
    return [row._replace(refused=0) for row in rows_of(profile)]


def _tell_everything() -> int:
    """Put the filter in force and hand its listener over: from then on each call waits for it."""
    program = [
        bpf.load(bpf.NUMBER),
        bpf.unless_equal(getattr(_SENDMSG, _MACHINE), 3),
        bpf.load_argument(0),
        bpf.unless_equal(_HANDOVER, 1),
        bpf.answer(seccomp.ALLOW),
        bpf.answer(_USER_NOTIF),
    ]
    code = ctypes.create_string_buffer(bpf.encode(program))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    listener = os.dup(_HANDOVER)  # the lowest free number: the listener will have it
    os.close(listener)
    rights = _Rights(20, socket.SOL_SOCKET, socket.SCM_RIGHTS, listener, 0)
    vector = _Vector(b"l", 1)
    message = _Message(None, 0, ctypes.pointer(vector), 1, ctypes.pointer(rights), 24, 0)
    # Nothing else may happen between these two: it would wait for who doesn't listen yet.
    call = ctypes.PyDLL(None).syscall
    send = ctypes.PyDLL(None).sendmsg
    arguments = (getattr(NUMBERS["seccomp"], _MACHINE), _SET_MODE_FILTER, _NEW_LISTENER, filter_)
    sending = (_HANDOVER, ctypes.byref(message), 0)
    call(*arguments)
    send(*sending)
    return listener
