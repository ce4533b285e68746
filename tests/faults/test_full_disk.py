"""A disk that is really full below a server: nothing that was said to be done is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from support import guests, served
from support.commands import refused

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

FULL = os.strerror(errno.ENOSPC)
MIB = 1 << 20


class Disk(NamedTuple):
    """A small disk in a mount namespace of its own."""

    store: Path  # as a server in it has it
    outer: Path  # the same, as it is seen from here
    within: list[str]  # put before a command, has it run there

    def fill(self) -> None:
        block = bytes(4096)
        with (self.outer.parent / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(block):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def make_room(self) -> None:
        (self.outer.parent / "filler").unlink()

    def operate(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        return served.operate(self.store, *words, before=self.within)


@pytest.fixture(scope="module")
def granted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = served.make_store(tmp_path_factory.mktemp("disk") / "store", ["granted", "sleep"])
    grant = ["permission", "grant", "storage", "granted", "fs://state", "--access", "read,write"]
    assert served.operate(store, *grant).returncode == 0
    return store


@pytest.fixture
def disk(granted_store: Path, tmp_path: Path) -> Iterator[Disk]:
    with _mounted(tmp_path / "disk", _size(granted_store) + MIB) as found:
        own = shutil.ignore_patterns("lock", "audit")
        shutil.copytree(granted_store, found.outer, ignore=own)
        found.outer.chmod(0o700)
        yield found


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[Disk]:
    folder.mkdir()
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = f'mount -t tmpfs -o size={size},mode=700 none "$0" && echo mounted && exec cat'
    with subprocess.Popen(  # noqa: S603 - our own words
        ["unshare", *user, "--mount", "sh", "-c", script, folder],  # noqa: S607 - of the system
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            reason = "NOT RUN: tests of a full disk: this system forbids mounts"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
        enter = ["--user", "--preserve-credentials"] if user else []
        # Whoever had to be root to mount it is no root in it.
        again = ["unshare", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
        within = ["nsenter", *enter, "--mount", "--target", str(holder.pid)]
        within += again if user else []
        outer = Path(f"/proc/{holder.pid}/root{folder}/store")
        yield Disk(folder / "store", outer, within)
        holder.communicate()


class Calls:
    """Calls of one server, numbered, and how many of them it said it had made."""

    def __init__(self, server: served.Raw) -> None:
        self._server = server
        self._asked = 0
        self.made = 0

    async def ask(self, tool: str, **arguments: Any) -> str:
        """What it answers, as text."""
        await self.begin(tool, **arguments)
        return await self.end()

    async def begin(self, tool: str, **arguments: Any) -> None:
        self._asked += 1
        await self._server.call(self._asked, tool, **arguments)

    async def end(self) -> str:
        answer = await self._server.answer(self._asked)
        said = "".join(block["text"] for block in answer["content"])
        assert "\n" not in said
        assert "internal error" not in said
        self.made += "audit log" not in said
        return said

    async def write(self, path: str, text: str) -> str:
        return await self.ask("write", directory="state", path=path, text=text)

    async def read(self, path: str) -> str:
        return await self.ask("read", directory="state", path=path)


async def test_calls_on_a_full_disk_are_made_and_on_record_or_refused_and_go_on_after_it(
    disk: Disk,
) -> None:
    async with served.raw(disk.store, before=disk.within) as server:
        calls = Calls(server)
        assert await calls.write("before", "kept") == ""
        await calls.begin("sleep-ms", milliseconds=1000)
        await served.busy_worker(server.pid)
        disk.fill()
        assert FULL not in await calls.end()  # it ran already
        said = await calls.write("large", "x" * 50_000)
        while "audit log" not in said:  # what fits into its last page is still recorded
            assert "insufficient-space" in said
            said = await calls.write("large", "x" * 50_000)
        assert FULL in said
        assert FULL in await calls.read("before")
        disk.make_room()
        assert await calls.read("before") == "kept"
        assert await calls.write("large", "x" * 50_000) == ""
        await server.stdin.aclose()
        with anyio.fail_after(20):
            assert await server.process.wait() == 0
    assert (disk.outer / "state" / "granted" / "large").stat().st_size == 50_000
    assert disk.operate("audit", "verify").returncode == 0
    log = disk.operate("audit").stdout.decode()
    assert log.count('"event":"call-started"') == calls.made


async def test_a_guest_whose_opens_fill_the_disk_is_ended_when_one_more_has_no_room(
    disk: Disk,
) -> None:
    async with served.raw(disk.store, "--audit-files", before=disk.within) as server:
        calls = Calls(server)
        assert await calls.write("file", "kept") == ""
        said = await calls.ask("open-often", directory="state", path="file", times=1_000_000)
        assert FULL in said
        assert FULL in await calls.read("file")
    assert disk.operate("audit", "verify").returncode == 0
    opens = disk.operate("audit", "--event", "file-open").stdout.splitlines()
    assert len(opens) > 500


def test_a_change_of_the_store_on_a_full_disk_is_not_made_and_is_made_after_it(
    disk: Disk,
) -> None:
    load = ["component", "load", guests.guest_path("add")]
    grant = ["permission", "grant", "environment-variable", "granted", "TZ"]
    disk.fill()
    for words in (load, grant):
        refused(disk.operate(*words), FULL, "free some space")
    invoked = disk.operate("tool", "invoke", "variables")
    refused(invoked, FULL, "free some space")
    disk.make_room()
    listed = disk.operate("component", "list").stdout.decode()
    assert '"add"' not in listed
    assert "TZ" not in disk.operate("policy", "get", "granted").stdout.decode()
    for words in (load, grant):
        done = disk.operate(*words)
        assert done.returncode == 0, done.stderr
    assert disk.operate("tool", "invoke", "add", "--args", '{"a": 2, "b": 3}').stdout == b"5\n"
    assert "TZ" in disk.operate("policy", "get", "granted").stdout.decode()
    assert disk.operate("audit", "verify").returncode == 0
    repaired = disk.operate("component", "repair", "--all")
    assert (repaired.returncode, repaired.stderr) == (0, b"")
