"""What native code can do in the broker's place, after its own lock-down: speak with the world.

No namespaces hold it, and as root no change of user here: the filter and Landlock have to.
"""

from __future__ import annotations

import ast
import os
import resource
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from support import processes
from support.brokers import broker
from support.held import Done, does
from wassette_supervisor.pool import sandbox
from wassette_supervisor.pool.sandbox import Sandbox
from wassette_worker.sandbox.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED = Done("", signal.SIGSYS)


def broker_does(deed: str, *, without_filter: bool = False) -> Done:
    return does(deed, kind="broker", profile=Profile.BROKER, without_filter=without_filter)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


async def test_the_running_process_has_given_up_what_the_supervisor_requires() -> None:
    async with broker() as running:
        [seen] = processes.named("wassette-broker")
        required = Sandbox(available=False).of_broker(becomes_other=running.started.becomes_other)
        sandbox.check(running.steps, required)
        assert seen.pid == running.pid
        assert seen.status("Threads") == "1"
        assert seen.status("NoNewPrivs") == "1"
        assert seen.status("Seccomp") == "2"  # SECCOMP_MODE_FILTER
        assert {seen.status(kind) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {
            "0" * 16
        }
        if running.started.becomes_other:
            assert "0" not in seen.status("Uid").split()
            assert "0" not in seen.status("Gid").split()
            assert seen.status("Groups") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a process that isn't dumpable")
async def test_the_running_process_has_no_file_no_variable_and_the_systems_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET", "of the supervisor's")
    for passed_on in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(passed_on, raising=False)
    async with broker():
        [seen] = processes.named("wassette-broker")
        kinds = {number: place.split(":")[0] for number, place in seen.descriptors().items()}
        # Null, the log, its socket; what the event loop waits with and is woken by.
        assert [kinds.pop(number) for number in range(4)] == ["/dev/null", "pipe", "pipe", "socket"]
        assert set(kinds.values()) <= {"anon_inode", "socket"}
        assert seen.read("environ") == ""
        assert seen.namespace("net") == processes.namespace_of(os.getpid(), "net")


def test_it_connects_to_the_world(server: socket.socket) -> None:
    place = server.getsockname()
    deed = f"""
made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
made.connect({place!r})
found = made.send(b"from the broker")
"""
    assert broker_does(deed) == Done("15", None)
    with server.accept()[0] as peer:
        assert peer.recv(100) == b"from the broker"


def test_it_sends_datagrams_for_name_servers_answer_them() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.settimeout(10)
        name_server.bind(("127.0.0.1", 0))
        deed = f"""
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
made.connect({name_server.getsockname()!r})
found = made.send(b"where?")
"""
        assert broker_does(deed) == Done("6", None)
        assert name_server.recv(100) == b"where?"


DEEDS = {
    "an unconnected unix socket": "ask('socket', 1, 1, 0)",
    "a unix socket of datagrams": "ask('socketpair', 1, 2, 0, 0)",
    "a socket of the kernel's routes": "ask('socket', 16, 3, 0)",
    "a socket that sees all packets": "ask('socket', 17, 3, 0)",
    "a raw socket": "ask('socket', 2, 3, 1)",
    "MPTCP": "ask('socket', 2, 1, 262)",
    "SCTP": "ask('socket', 2, 1, 132)",
    "UDP-Lite": "ask('socket', 2, 2, 136)",
    "a socket to a hypervisor": "ask('socket', 40, 1, 0)",
    "a socket of the kernel's ciphers": "ask('socket', 38, 5, 0)",
    "an address of its own": "made.bind(('127.0.0.1', 0))",
    "listening": "made.listen()",
    "accepting": "ask('accept4', made.fileno(), 0, 0, 0)",
    "many messages at once": "ask('sendmmsg', made.fileno(), 0, 0, 0)",
    "descriptors from somebody": "made.recvmsg(1, 100)",
    "another device": "made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')",
    "a mark for the firewall": "made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)",
    "a program in the kernel": "made.setsockopt(socket.SOL_SOCKET, 26, bytes(16))",
    "who is at the other end": "made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)",
    "the system's network devices": "fcntl.ioctl(made, 0x8912, bytes(16))",
    "typing into a terminal": "ask('ioctl', 1, 0x5412, 0)",
    "a file by another call": "libc.syscall(437, -100, b'/', 0, 0)",
    "a child": "os.fork()",
    "a thread": "__import__('_thread').start_new_thread(os.getpid, ()); signal.pause()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a program by descriptor": "ask('execveat', 1, 0, 0, 0, 0x1000)",
    "a signal for its parent": "os.kill(place.parent, 0)",
    "a signal for itself": "os.kill(os.getpid(), 0)",
    "a handle on its parent": "ask('pidfd_open', place.parent, 0)",
    "a descriptor of its parent's": "ask('pidfd_getfd', 1, 1, 0)",
    "tracing its parent": "ask('ptrace', 16, place.parent, 0, 0)",
    "memory of its parent's": "ask('process_vm_readv', place.parent, 0, 0, 0, 0, 0)",
    "memory to be executed": "mmap.mmap(-1, 4096, prot=7, flags=2)",
    "memory that becomes executable": "ask('pkey_mprotect', 0, 4096, 5, -1)",
    "memory that others share": "mmap.mmap(-1, 4096, flags=1)",
    "a file without a name": "ask('memfd_create', 0, 0)",
    "a namespace": "ask('unshare', 0x10000000)",
    "another filter": "ask('seccomp', 1, 0, 0)",
    "being dumpable": "ask('prctl', 4, 1)",
    "higher limits": "ask('prlimit64', 0, 7, 0, 0)",
    "being before others": "ask('setpriority', 0, 0, -5)",
    "a ring for calls": "ask('io_uring_setup', 8, 0)",
    "a program for the kernel": "ask('bpf', 0, 0, 0)",
    "a mount": "ask('mount', 0, 0, 0, 0, 0)",
    "a key": "ask('keyctl', 0, 0, 0, 0, 0)",
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_it_dies_of_asking_for(deed: str) -> None:
    # One under a number that is not the control socket's, which may do more.
    several = "sockets = [socket.socket(2, 1, 6) for _ in range(8)]\nmade = sockets[-1]\n"
    assert broker_does(f"{several}{deed}\nfound = 1") == KILLED


def test_it_opens_no_file_and_learns_nothing_of_one(tmp_path: object) -> None:
    paths = ("/etc/passwd", "/proc/self/environ", "/dev/null", "/", str(tmp_path))
    deed = f"found = [tried(os.open, path, os.O_RDONLY) for path in {paths}]"
    assert broker_does(deed).found == str(["EACCES"] * len(paths))
    deed = f"found = [tried(os.stat, path) for path in {paths}]"
    assert broker_does(deed).found == str(["EACCES"] * len(paths))


def test_without_its_filter_it_opens_no_file_binds_no_port_and_signals_nobody(
    server: socket.socket,
) -> None:
    name = f"\0wassette-{os.getpid()}"
    deed = f"""
tcp = socket.socket()
found = [
    tried(os.open, "/etc/passwd", os.O_RDONLY),
    tried(os.mkdir, "/tmp/wassette-made"),
    tried(tcp.bind, ("127.0.0.1", 0)),
    tried(os.kill, os.getppid(), 0),
    tried(socket.socket(socket.AF_UNIX).connect, {name!r}),
    tried(tcp.connect, {server.getsockname()!r}),
]
"""
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(name)
        abstract.listen()
        found = ast.literal_eval(broker_does(deed, without_filter=True).found)
    assert found == ["EACCES", "EACCES", "EACCES", "EPERM", "EPERM", None]


def test_without_its_filter_no_memory_becomes_executable() -> None:
    deed = """
memory = mmap.mmap(-1, 4096, flags=2)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
found = libc.mprotect(address, 4096, 5)
"""
    assert broker_does(deed, without_filter=True).found == "-1"


def test_its_limits_cannot_be_raised() -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        resource.RLIMIT_DATA: 1 << 30,
    }
    deed = f"import resource\nfound = [*map(resource.getrlimit, {[*limits]})]"
    found = ast.literal_eval(broker_does(deed, without_filter=True).found)
    assert found == [(limit, limit) for limit in limits.values()]
