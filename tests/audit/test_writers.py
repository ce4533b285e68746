"""Several writers, writers that are killed, and systems that refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from wassette_supervisor.audit.entry import Entry, Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import entries
from wassette_supervisor.audit.verify import verify
from wassette_supervisor.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def log(directory: Path) -> Iterator[AuditLog]:
    made = AuditLog(directory)
    yield made
    made.close()


def first_file(directory: Path) -> Path:
    return directory / "audit-000001.jsonl"


def found_in(directory: Path) -> list[Entry]:
    """All entries of a whole log."""
    assert verify(directory).problems == []
    found = list(entries(directory))
    return [entry for entry in found if isinstance(entry, Entry)]


def refusal(error: pytest.ExceptionInfo[AuditError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# --- several writers ------------------------------------------------------------------------


def test_threads_of_one_process_keep_one_chain(log: AuditLog, directory: Path) -> None:
    def write(name: str) -> None:
        for number in range(50):
            log.append(Event.CALL_STARTED, call=f"{name}{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = found_in(directory)
    assert len(kept) == 200
    assert {entry.call for entry in kept} == {f"{n}{i}" for n in "abcd" for i in range(50)}


WRITER = """
import pathlib, sys
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.log import AuditLog
log = AuditLog(pathlib.Path(sys.argv[1]), rotate_bytes=int(sys.argv[3]), keep_files=1000)
print("ready", flush=True)
"""
MANY = (
    WRITER
    + """
sys.stdin.readline()
for number in range(150):
    log.append(Event.CALL_STARTED, call=f"{sys.argv[2]}{number}")
"""
)
ENDLESS = (
    WRITER
    + """
for number in range(1 << 30):
    entry = log.append(Event.CALL_STARTED, call=sys.argv[2], detail={"x": "y" * 250})
    print(entry.seq, entry.hash, flush=True)
"""
)
HOLDER = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1] + "/head", os.O_RDWR), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def child(script: str, *arguments: str | Path | int) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process whose output is read by line; killed at the end."""
    with subprocess.Popen(  # noqa: S603 - this Python, our script
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@pytest.mark.parametrize("rotate_bytes", [1 << 20, 3000], ids=["one file", "rotation"])
def test_processes_that_append_at_once_lose_nothing_and_keep_one_chain(
    directory: Path, rotate_bytes: int
) -> None:
    with (
        child(MANY, directory, "a", rotate_bytes) as one,
        child(MANY, directory, "b", rotate_bytes) as two,
        child(MANY, directory, "c", rotate_bytes) as three,
    ):
        writers = (one, two, three)
        for process in writers:
            assert pipe(process.stdout).readline() == b"ready\n"
        for process in writers:
            pipe(process.stdin).write(b"\n")
            pipe(process.stdin).flush()
        while any(process.poll() is None for process in writers):
            assert verify(directory).problems == []
        assert [process.returncode for process in writers] == [0, 0, 0]
    kept = found_in(directory)
    assert [entry.seq for entry in kept] == list(range(1, 451))
    assert {entry.call for entry in kept} == {f"{n}{i}" for n in "abc" for i in range(150)}


@pytest.mark.parametrize("rotate_bytes", [1 << 20, 5000], ids=["one file", "rotation"])
def test_a_writer_killed_while_appending_loses_no_acknowledged_entry(
    directory: Path, rotate_bytes: int
) -> None:
    acknowledged: dict[int, str] = {}
    for kept in range(1, 11):
        with child(ENDLESS, directory, str(kept), rotate_bytes) as writer:
            output = pipe(writer.stdout)
            assert output.readline() == b"ready\n"
            lines = [output.readline() for _ in range(5 * kept)]
            writer.send_signal(signal.SIGKILL)
            lines += [line for line in output.readlines() if line.endswith(b"\n")]
        acknowledged |= {int(seq): digest.decode() for seq, digest in map(bytes.split, lines)}
        # What it left; the next one goes on from there.
        left = [problem.what for problem in verify(directory).problems]
        assert left in ([], ["it is cut off: a write that did not come to its end"])
    log = AuditLog(directory)
    log.append(Event.SERVER_STOP)
    log.close()
    found = {entry.seq: entry.hash for entry in found_in(directory)}
    assert acknowledged.items() <= found.items()


def test_a_writer_that_is_kept_out_too_long_says_so(log: AuditLog, directory: Path) -> None:
    log.append(Event.LOAD)
    with child(HOLDER, directory) as holder:
        assert pipe(holder.stdout).readline() == b"held\n"
        waiter = AuditLog(directory, lock_wait_s=0.05)
        with pytest.raises(AuditError) as error:
            waiter.append(Event.LOAD)
        assert "locked for 0.05 seconds; end it, or wait for it" in refusal(error)
        holder.kill()
        holder.wait()
        assert waiter.append(Event.LOAD).seq == 2
        waiter.close()


# --- a system that refuses ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["audit", "audit/head", "audit/audit-000001.jsonl"])
@pytest.mark.parametrize("kind", ["link", "broken link", "fifo", "other"])
def test_what_stands_in_the_place_of_the_log_is_refused_and_left_alone(
    tmp_path: Path, name: str, kind: str
) -> None:
    place, target = tmp_path / name, tmp_path / "target"
    place.parent.mkdir(exist_ok=True)
    make_in_place(place, target, kind)
    before = {str(path) for path in tmp_path.rglob("*")}
    with pytest.raises(AuditError, match="can't write to the audit log") as error:
        AuditLog(tmp_path / "audit").append(Event.LOAD)
    assert "move it away" in refusal(error)
    after = {str(path) for path in tmp_path.rglob("*")}
    assert after - before <= {str(tmp_path / "audit" / "head")}
    assert not target.is_file() or target.read_bytes() == b""


def make_in_place(place: Path, target: Path, kind: str) -> None:
    is_folder = place.name == "audit"
    match kind:
        case "fifo":
            os.mkfifo(place)
        case "other":
            place.touch() if is_folder else place.mkdir()
        case "link":
            target.mkdir() if is_folder else target.touch()
            place.symlink_to(target)
        case _:
            place.symlink_to(target)


PREPARED = """
import os, pathlib, sys
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import entries
from wassette_supervisor.audit.verify import verify
from wassette_supervisor.errors import AuditError

def tried(log, **fields):
    try:
        log.append(Event.CALL_STARTED, **fields)
    except AuditError as error:
        print(error)
        return False
    return True
"""
# A file system of 64 KiB: filled by the log itself, down to the last byte, then emptied.
TINY_DISK = (
    PREPARED
    + """
import contextlib, io
directory = pathlib.Path(sys.argv[1]) / "audit"
log = AuditLog(directory, rotate_bytes=50_000)
acknowledged = 0
for size in range(1, 40):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        while tried(log, detail={"x": "y" * size}): acknowledged += 1
    refused = said.getvalue()
print(refused, end="")
def state():
    found = list(entries(directory))
    return acknowledged == len(found) == found[-1].seq, verify(directory).problems
print(acknowledged > 50, *state())
tried(AuditLog(directory))
print(*state())
min(directory.glob("*.jsonl")).unlink()
acknowledged += tried(log)
print(len(verify(directory).problems), log.append(Event.LOAD).seq == acknowledged + 1)
"""
)
UNPRIVILEGED = (
    PREPARED
    + """
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
tried(AuditLog(pathlib.Path("audit")))
tried(AuditLog(pathlib.Path("new") / "audit"))
"""
)
SMALL_FILES = (
    PREPARED
    + """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
log = AuditLog(pathlib.Path(sys.argv[1]))
while tried(log): pass
print(verify(pathlib.Path(sys.argv[1])).problems)
"""
)


def said(script: str, *arguments: str | Path, prefix: tuple[str, ...] = ()) -> list[str]:
    command = [*prefix, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - this Python, our script
        command, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def tiny_disk(folder: Path) -> tuple[str, ...]:
    """What to put before a command to give it a disk of its own there."""
    mount = 'mount -t tmpfs -o size=64k,nr_inodes=16 none "$0" && exec "$@"'
    new_user = () if os.geteuid() == 0 else ("--map-root-user",)
    prefix = ("unshare", *new_user, "--mount", "sh", "-c", mount, str(folder))
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if tried.returncode != 0:
        reason = f"NOT RUN: tests of a full disk: this system forbids mounts: {tried.stderr}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return prefix


def test_a_disk_that_fills_is_a_clear_error_and_leaves_no_half_line(tmp_path: Path) -> None:
    refused, full, again, still, mended = said(TINY_DISK, tmp_path, prefix=tiny_disk(tmp_path))
    assert refused == again
    assert refused == (
        f"can't write to the audit log {tmp_path}/audit: No space left on device; "
        "free some space on its disk and try again"
    )
    assert full == "True True []"
    assert still == "True []"
    assert mended == "1 True"  # the file that was deleted to make room


def test_a_folder_that_may_not_be_written_to_is_a_clear_error(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    log.append(Event.LOAD)
    log.close()
    for path in (*tmp_path.rglob("*"), tmp_path):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        old, new = said(UNPRIVILEGED, tmp_path)
    finally:
        for path in (tmp_path, tmp_path / "audit", *(tmp_path / "audit").iterdir()):
            path.chmod(0o700)
    advice = "; give this user access to it, or choose another folder with --component-dir"
    for text, folder in ((old, "audit"), (new, "new/audit")):
        assert text.startswith(f"can't write to the audit log {folder}: ")
        assert text.endswith(advice)


def test_a_limit_on_the_size_of_files_is_a_clear_error(tmp_path: Path) -> None:
    refused, problems = said(SMALL_FILES, tmp_path)
    assert "File too large; raise the limit on the size of files (ulimit -f)" in refused
    assert problems == "[]"
