"""What native code can do that stands in a guest's place, after the product's own lock-down.

No namespaces hold it here, and as root no change of user: the filters and Landlock have to.
"""

from __future__ import annotations

import ast
import os
import signal
from typing import TYPE_CHECKING

import pytest

from support.held import NUMBERS, Done, does
from wassette_worker.sandbox.profiles import Profile

if TYPE_CHECKING:
    from pathlib import Path

KILLED = Done("", signal.SIGSYS)
WORKERS = ("forked worker", "fresh worker")

FORBIDDEN = (
    "socket", "socketpair", "connect", "bind", "sendmsg", "sendmmsg", "accept4",
    "execve", "execveat", "ptrace", "io_uring_setup", "unshare", "setns", "keyctl", "add_key",
    "bpf", "userfaultfd", "perf_event_open", "process_vm_readv", "process_vm_writev", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "mount", "open_tree", "kill", "tkill", "memfd_create",
    "memfd_secret", "shmget", "mknodat", "fchmodat", "chroot", "seccomp", "personality",
    "prlimit64", "setpriority", "pkey_mprotect", "open_by_handle_at", "name_to_handle_at",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir(mode=0o777)
    (made / "file").write_text("inside")
    (tmp_path / "beside").write_text("outside")
    return made


@pytest.mark.parametrize("kind", [*WORKERS, "template", "compile worker"])
def test_a_process_that_does_nothing_wrong_is_let_be(kind: str) -> None:
    assert does("found = 1", kind=kind, profile=Profile.COMPUTE) == Done("1", None)


@pytest.mark.parametrize("kind", WORKERS)
@pytest.mark.parametrize(
    "deed",
    [
        pytest.param("ask('socket', 2, 1, 0)", id="tcp"),
        pytest.param("ask('socket', 2, 2, 0)", id="udp"),
        pytest.param("ask('socket', 1, 1, 0)", id="unix"),
        pytest.param("os.fork()", id="fork"),
        pytest.param("os.execv('/bin/true', ['true'])", id="exec"),
        pytest.param("mmap.mmap(-1, 4096, prot=7, flags=2)", id="executable"),
        pytest.param("libc.mprotect(ctypes.addressof(told_) & ~4095, 4096, 5)", id="to-executable"),
        pytest.param("mmap.mmap(-1, 4096, flags=1)", id="shared"),
        pytest.param("ask('tgkill', place.parent, place.parent, 0)", id="signal-its-parent"),
        pytest.param("os.open('/etc/passwd', os.O_RDONLY)", id="open"),
        pytest.param("ask('ioctl', 1, 0x5412, 0)", id="type-into-a-terminal"),
        pytest.param("ask('prctl', 4, 1)", id="dumpable-again"),
    ],
)
def test_a_worker_that_broke_out_dies_of(deed: str, kind: str) -> None:
    prepared = "told_ = ctypes.create_string_buffer(8)\n" if "told_" in deed else ""
    assert does(f"{prepared}{deed}\nfound = 1", kind=kind, profile=Profile.COMPUTE) == KILLED


def test_a_filter_has_no_row_for_what_only_an_attacker_calls() -> None:
    attempts = "\n".join(
        f"pid = os.fork()\nif pid == 0:\n    ask({call!r})\n    os._exit(0)\n"
        f"found[{call!r}] = os.waitpid(pid, 0)[1] & 127"
        for call in FORBIDDEN
    )
    # In the template's profile, which alone can fork; a worker's can only take away from it.
    done = does(f"found = {{}}\n{attempts}", kind="template", profile=Profile.TEMPLATE)
    template_may = {"pidfd_open", "unshare", "seccomp", "prlimit64"}
    ended = ast.literal_eval(done.found)
    survived = {call for call, died_of in ended.items() if died_of != signal.SIGSYS}
    assert survived <= template_may


@pytest.mark.parametrize("kind", WORKERS)
def test_a_call_by_another_name_of_the_same_processor_is_none(kind: str) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("only x86_64 has a second set of numbers")
    deed = "NUMBER['x32'] = 0x40000000 + NUMBER['getpid']\nask('x32')\nfound = 1"
    assert does(deed, kind=kind, profile=Profile.RUNTIME) == KILLED


@pytest.mark.parametrize("kind", WORKERS)
def test_an_engine_that_aborts_is_not_taken_for_an_attacker(kind: str) -> None:
    done = does("os.abort()", kind=kind, profile=Profile.COMPUTE)
    assert done.died_of == signal.SIGABRT


def test_a_thread_can_be_started_and_is_held_as_well() -> None:
    deed = "import _thread, time\n_thread.start_new_thread(os.fork, ())\nwhile True: pass"
    assert does(deed, kind="forked worker", profile=Profile.COMPUTE) == KILLED


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_reads_what_was_granted_and_nothing_else(kind: str, folder: Path) -> None:
    deed = f"""
found = [
    tried(lambda: os.pread(os.open("{folder}/file", os.O_RDONLY), 9, 0)),
    tried(os.open, "{folder}/file", os.O_WRONLY),
    tried(os.open, "{folder}/new", os.O_WRONLY | os.O_CREAT),
    tried(os.open, "{folder.parent}/beside", os.O_RDONLY),
    tried(os.open, "{folder}/../beside", os.O_RDONLY),
    tried(os.open, "/proc/self/environ", os.O_RDONLY),
    tried(os.open, "/", os.O_RDONLY),
]
"""
    done = does(deed, kind=kind, profile=Profile.FILES, folder=folder)
    assert done.found == str([b"inside", *["EACCES"] * 6])


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_changes_what_was_granted_and_nothing_else(kind: str, folder: Path) -> None:
    deed = f"""
found = [
    tried(lambda: os.pwrite(os.open("{folder}/file", os.O_RDWR), b"changed", 0)),
    tried(os.mkdir, "{folder}/made"),
    tried(os.rename, "{folder}/file", "{folder}/made/file"),
    tried(os.rename, "{folder}/made/file", "{folder.parent}/file"),
    tried(os.link, "{folder.parent}/beside", "{folder}/beside"),
    tried(os.unlink, "{folder.parent}/beside"),
    tried(os.mkdir, "{folder.parent}/made"),
    tried(os.open, "{folder.parent}/beside", os.O_RDWR),
]
"""
    # What these functions call is not what the engine calls: only Landlock is looked at.
    done = does(
        deed,
        kind=kind,
        profile=Profile.CHANGES,
        folder=folder,
        writable=True,
        without_filter=True,
    )
    allowed = [7, None, None]
    assert done.found[: len(str(allowed)) - 1] == str(allowed)[:-1]
    refused = done.found.removeprefix(str(allowed)[:-1]).strip(", ]").split(", ")
    assert set(refused) <= {"'EACCES'", "'EXDEV'"}
    assert len(refused) == 5
    assert (folder.parent / "beside").read_text() == "outside"


@pytest.mark.parametrize("kind", [*WORKERS, "template", "compile worker"])
def test_without_a_grant_no_file_is_opened_whoever_the_process_is(kind: str) -> None:
    deed = "found = [tried(os.open, path, os.O_RDONLY) for path in ('/etc/passwd', '/', '/tmp')]"
    done = does(deed, kind=kind, profile=Profile.COMPUTE, without_filter=True)
    assert done.found == str(["EACCES"] * 3)


def test_a_worker_signals_no_process_but_itself_also_without_its_filter() -> None:
    deed = "found = tried(os.kill, os.getppid(), 0)"
    done = does(deed, kind="forked worker", profile=Profile.COMPUTE, without_filter=True)
    assert done.found == "'EPERM'"


@pytest.mark.parametrize("kind", WORKERS)
def test_no_memory_becomes_executable_also_without_the_filter(kind: str) -> None:
    deed = """
memory = mmap.mmap(-1, 4096, flags=2)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
found = libc.mprotect(address, 4096, 5)
"""
    done = does(deed, kind=kind, profile=Profile.COMPUTE, without_filter=True)
    assert done.found == "-1"


def test_numbers_of_both_processors_are_of_the_same_calls() -> None:
    only_old = {"open", "fork", "modify_ldt"}
    assert set(NUMBERS["x86_64"]) - set(NUMBERS["aarch64"]) == only_old
