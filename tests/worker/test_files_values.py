"""What a guest says to the guard of files and hears from it: by our layer as by the public API.

The guest is wasi:filesystem itself (`support.wasi_files`), so that each function, value and error
code is seen as it comes. Both guards have a folder of their own that was made alike.
"""

from __future__ import annotations

import atexit
import os
import random
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from wasmtime import WasiConfig
from wasmtime.component import Component, Linker, Record, ResourceAny, Variant

from support import wasi_files
from support.public_guard import PublicGuard
from wassette_protocol.capabilities import Limits, Preopen
from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.patterns import Pattern
from wassette_worker.engine import build_engine, build_store
from wassette_worker.guards import shims
from wassette_worker.guards.files.guard import TYPES, FilesGuard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wasmtime import Engine, Store

EVERYTHING = (Clause(Pattern((), below=True), read=True, write=True),)
DENIED = (
    Clause(Pattern((b"**", b"*.key"), below=True), read=True, write=True),
    Clause(Pattern((b"only-read",), below=True), read=False, write=True),
)
RULES = FileRules((Layer(EVERYTHING, DENIED),))
FOLLOW, READ, BOTH = {"symlink-follow"}, {"read"}, {"read", "write"}
NOTHING: set[str] = set()


class Built(NamedTuple):
    engine: Engine
    wasi: str
    shim: Component
    native: Linker
    guest: Component


@cache
def built() -> Built:
    engine = build_engine()
    wasi = shims.find_version(engine, TYPES, "filesystem-error-code")
    native = Linker(engine)
    native.add_wasip2()
    shim = Component(engine, shims.text("files.wat", wasi))
    return Built(engine, wasi, shim, native, Component(engine, wasi_files.text(wasi)))


# The engine is gone before what it made can be, once the interpreter ends.
atexit.register(built.cache_clear)


class Guest:
    """Says one thing after the other; what it opened it knows by a number."""

    def __init__(self, store: Store, linker: Linker, guard: FilesGuard | PublicGuard) -> None:
        self.guard = guard
        self._store = store
        self._instance = linker.instantiate(store, built().guest)
        self.held: list[ResourceAny] = []
        [(root, name)] = self.raw("get-directories")
        assert name == "d"
        self.held.append(root)

    def raw(self, name: str, *arguments: object) -> Any:
        func = self._instance.get_func(self._store, name)
        assert func is not None
        return func(self._store, *arguments)

    def says(self, name: str, of: int, *arguments: object) -> Any:
        """What it hears; of a handle its number."""
        with_handles = [
            self.held[each.number] if isinstance(each, H) else each for each in arguments
        ]
        return self._plain(self.raw(name, self.held[of], *with_handles))

    def drop(self, number: int) -> None:
        self.held.pop(number).drop(self._store)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, ResourceAny):
            self.held.append(value)
            return f"handle {len(self.held) - 1}"
        if isinstance(value, Record):
            return {name: self._plain(each) for name, each in vars(value).items()}
        if isinstance(value, Variant):
            return value.tag, self._plain(value.payload)
        if isinstance(value, tuple):
            return tuple(map(self._plain, value))
        return bytes(value) if isinstance(value, bytearray) else value


def time_of(seconds: int, nanoseconds: int) -> Variant:
    """A new-timestamp."""
    time: Any = Record()
    time.seconds, time.nanoseconds = seconds, nanoseconds
    return Variant("timestamp", time)


class H(NamedTuple):
    """A handle as an argument."""

    number: int


@contextmanager
def guest_of(api: str, folder: Path, files: int | None = None) -> Iterator[Guest]:
    linker = Linker(built().engine)
    linker.add_wasip2()
    guard = FilesGuard() if api == "c-api" else PublicGuard()
    guard.define(linker, built().wasi)
    store = build_store(built().engine, Limits())
    store.set_epoch_deadline(1 << 30)
    config = WasiConfig()
    config.preopen_dir(str(folder), "d", True)  # noqa: FBT003 - the library's
    store.set_wasi(config)
    given = Preopen("d", writable=True, rules=RULES), os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        if isinstance(guard, FilesGuard):
            guard.attach(store, built().native, built().shim, [given], files)
        else:
            guard.attach(store, built().native, built().shim, given, files)
        yield Guest(store, linker, guard)
    finally:
        store.close()
        os.close(given[1])


def fill(folder: Path) -> None:
    """The same each time, but for what a file system chooses itself."""
    for name in ("sub/deep", "only-read", "\u00e9t\u00e9"):
        (folder / name).mkdir(parents=True)
    for name in ("file", "sub/file", "sub/secret.key", "only-read/file", "sub/deep/long"):
        (folder / name).write_bytes(name.encode() * 10)
    (folder / "link").symlink_to("sub/file")
    (folder / "to-key").symlink_to("sub/secret.key")
    (folder / "out").symlink_to("../..")
    (folder / "absolute").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    for path in folder.rglob("*"):
        os.utime(path, ns=(1_500_000_000, 1_600_000_001), follow_symlinks=False)
    os.utime(folder / "file", ns=(-5_000_000_000, 1))  # before 1970


@pytest.fixture(params=["c-api", "public-api"])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    (tmp_path / "d").mkdir()
    fill(tmp_path / "d")
    with guest_of(request.param, tmp_path / "d") as made:
        yield made


def opened(guest: Guest, path: str, how: set[str] = NOTHING, flags: set[str] = READ) -> int:
    found = guest.says("open-at", 0, FOLLOW, path, how, flags)
    assert str(found).startswith("handle"), found
    return len(guest.held) - 1


def test_a_file_is_known_read_and_written_by_all_methods_of_what_is_open(guest: Guest) -> None:
    file = opened(guest, "link", flags=BOTH)
    assert guest.says("get-type", file) == ("ok", "regular-file")
    assert guest.says("get-flags", file) == BOTH
    assert guest.says("read", file, 8, 4) == (b"file" + b"sub/", False)
    assert guest.says("read", file, 100, 80) == (b"", True)
    assert guest.says("write", file, b"\x00\xff!", 90) == 3
    assert guest.says("stat", file)["size"] == 93
    assert guest.says("set-size", file, 5) is None
    assert guest.says("read", file, 100, 0) == (b"sub/f", False)
    for method in ("sync", "sync-data"):
        assert guest.says(method, file) is None
    assert guest.says("advise", file, 0, 10, "will-need") is None
    assert guest.says("is-same-object", file, H(opened(guest, "sub/file"))) is True
    assert guest.says("is-same-object", file, H(0)) is False
    assert guest.says("read", file, 10, 1 << 63) == "invalid"


def test_times_are_told_and_set_to_the_nanosecond_and_none_is_before_1970(guest: Guest) -> None:
    found = guest.says("stat-at", 0, FOLLOW, "file")
    assert found["type"], found["link-count"] == ("regular-file", 1)
    assert found["data-access-timestamp"] is None
    assert found["data-modification-timestamp"] == {"seconds": 0, "nanoseconds": 1}
    assert found["status-change-timestamp"]["seconds"] > 1_600_000_000
    given = time_of(7, 999_999_999), Variant("no-change")
    assert guest.says("set-times-at", 0, FOLLOW, "link", *given) is None
    found = guest.says("stat-at", 0, NOTHING, "sub/file")
    assert found["data-access-timestamp"] == {"seconds": 7, "nanoseconds": 999_999_999}
    assert found["data-modification-timestamp"] == {"seconds": 1, "nanoseconds": 600_000_001}
    file = opened(guest, "only-read/file")
    assert guest.says("set-times", file, *given) == "access"
    late = time_of(1 << 63, 0), Variant("now")
    assert guest.says("set-times-at", 0, FOLLOW, "link", *late) == "overflow"


def test_streams_are_given_by_what_a_file_was_opened_for(guest: Guest) -> None:
    reads, writes = opened(guest, "file"), opened(guest, "sub/file", flags={"write"})
    folder = opened(guest, "sub")
    assert str(guest.says("read-via-stream", reads, 3)).startswith("handle")
    assert guest.says("read-via-stream", writes, 0) == "bad-descriptor"
    assert str(guest.says("write-via-stream", writes, 0)).startswith("handle")
    assert str(guest.says("append-via-stream", writes)).startswith("handle")
    for method, rest in (("write-via-stream", (0,)), ("append-via-stream", ())):
        assert guest.says(method, reads, *rest) == "bad-descriptor"
        assert guest.says(method, folder, *rest) == "is-directory"


def test_names_are_listed_but_what_is_denied_is_not(guest: Guest) -> None:
    def names(path: str) -> dict[str, str]:
        found = guest.says("read-directory", opened(guest, path))
        entries = len(guest.held) - 1
        assert found == f"handle {entries}"
        listed = iter(lambda: guest.says("read-directory-entry", entries), None)
        return {each["name"]: each["type"] for each in listed}

    assert names("sub") == {"deep": "directory", "file": "regular-file"}
    everything = names(".")
    assert everything["\u00e9t\u00e9"] == "directory"
    assert everything["fifo"] == "fifo"
    assert everything["to-key"] == "symbolic-link"
    assert guest.says("read-directory", opened(guest, "file")) == "not-directory"


def test_links_and_hashes_are_told(guest: Guest) -> None:
    assert guest.says("readlink-at", 0, "link") == ("ok", "sub/file")
    assert guest.says("readlink-at", 0, "absolute") == ("err", "not-permitted")
    assert guest.says("readlink-at", 0, "file") == ("err", "invalid")
    known = guest.says("metadata-hash-at", 0, FOLLOW, "link")
    assert known == guest.says("metadata-hash-at", 0, NOTHING, "sub/file")
    assert known == guest.says("metadata-hash", opened(guest, "link"))
    assert known != guest.says("metadata-hash-at", 0, NOTHING, "link")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("sub/secret.key", "access"),
        ("to-key", "access"),
        ("sub/new.key", "access"),
        ("none", "no-entry"),
        ("file/x", "not-directory"),
        ("out", "not-permitted"),
        ("absolute", "not-permitted"),
        ("loop", "loop"),
        ("fifo", "not-permitted"),
        ("/etc/passwd", "not-permitted"),
        ("../x", "not-permitted"),
        ("a\0b", "invalid"),
        ("x" * 256, "name-too-long"),
        ("x/" * 2048, "name-too-long"),
        ("", "no-entry"),
    ],
    ids=lambda value: str(value)[:20].replace("\0", "NUL"),
)
def test_what_may_not_be_opened_is_an_error_code(guest: Guest, path: str, code: str) -> None:
    assert guest.says("open-at", 0, FOLLOW, path, NOTHING, READ) == code


def test_each_flag_of_an_open_is_heard(guest: Guest) -> None:
    def code(path: str, how: set[str], flags: set[str] = READ) -> Any:
        return guest.says("open-at", 0, NOTHING, path, how, flags)

    assert code("file", {"create", "exclusive"}) == "exist"
    assert code("file", {"directory"}) == "not-directory"
    assert code("sub", {"create", "directory"}) == "invalid"
    assert code("sub", {"truncate"}) == "is-directory"
    assert code("link", NOTHING) == "loop"
    assert code("file", NOTHING, {"read", "data-integrity-sync"}) == "unsupported"
    assert code("only-read/file", NOTHING, {"write"}) == "access"
    made = opened(guest, "new", {"create"}, BOTH)
    assert guest.says("write", made, b"x", 0) == 1
    assert guest.says("stat", opened(guest, "new", {"truncate"}, {"write"}))["size"] == 0


def test_directories_are_changed_or_not(guest: Guest) -> None:
    sub = opened(guest, "sub")
    assert guest.says("create-directory-at", 0, "made") is None
    assert guest.says("create-directory-at", 0, "made") == "exist"
    assert guest.says("symlink-at", 0, "file", "made/link") is None
    assert guest.says("symlink-at", 0, "../../x", "made/out") == "not-permitted"
    assert guest.says("remove-directory-at", 0, "made") == "not-empty"
    assert guest.says("unlink-file-at", 0, "made/link") is None
    assert guest.says("remove-directory-at", 0, "made") is None
    assert guest.says("rename-at", sub, "file", H(0), "moved") is None
    assert guest.says("rename-at", sub, "secret.key", H(0), "open") == "access"
    assert guest.says("rename-at", sub, "none", H(opened(guest, "moved")), "x") == "not-directory"
    assert guest.says("link-at", 0, NOTHING, "file", H(sub), "second") == "not-permitted"
    assert guest.says("link-at", 0, FOLLOW, "file", H(sub), "second") == "invalid"
    assert [bytes(each.path) for each in guest.guard.refused] == [b"sub/secret.key"]


def test_an_error_of_a_stream_is_told_as_one_of_files(guest: Guest) -> None:
    file = opened(guest, "file", flags={"write"})
    guest.says("write-via-stream", file, (1 << 63) - 1)
    stream = len(guest.held) - 1
    failed = guest.says("blocking-write-and-flush", stream, b"beyond the end of all files")
    error = len(guest.held) - 1
    assert failed == ("err", f"handle {error}")
    assert guest.says("filesystem-error-code", error) == "invalid"


def test_what_was_opened_ends_when_it_is_dropped(guest: Guest) -> None:
    opened(guest, "file")  # the engine's threads
    guest.drop(1)
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone
    for path in ("file", "sub", "link") * 20:
        opened(guest, path)
        guest.says("read-directory", len(guest.held) - 1)
    while len(guest.held) > 1:
        guest.drop(len(guest.held) - 1)
    assert len(guest.guard.scope.open) == 1
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


# --- the same at random ---------------------------------------------------------------------

OPERATIONS = 3000
_NAMES = ("file", "sub", "link", "to-key", "out", "loop", "secret.key", "only-read", "new", "deep")


class _Random:
    """The next thing that is said, of the same seed the same."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated

    def path(self) -> str:
        names = self._random.choices((*_NAMES, ".", "..", ""), k=self._random.randint(1, 3))
        return "/".join(names)

    def some(self, *names: str) -> set[str]:
        return {name for name in names if self._random.random() < 0.3}

    def time(self) -> Variant:
        time = time_of(self._random.randrange(1 << 31), 5)
        return self._random.choice([Variant("no-change"), time, time])

    def next(self, held: int) -> tuple[str, int, tuple[object, ...]]:
        pick = self._random.choice
        number, other = self._random.randrange(held), H(self._random.randrange(held))
        follow = self.some("symlink-follow")
        path, offset = self.path(), pick([0, 3, 70_000, 1 << 63])
        how = self.some("create", "directory", "exclusive", "truncate")
        flags = self.some("read", "write", "file-integrity-sync") or {"read"}
        name, arguments = pick(
            [
                *([("open-at", (follow, path, how, flags))] * 5),
                ("stat-at", (follow, path)),
                ("metadata-hash-at", (follow, path)),
                ("readlink-at", (path,)),
                ("create-directory-at", (path,)),
                ("remove-directory-at", (path,)),
                ("unlink-file-at", (path,)),
                ("symlink-at", (self.path(), path)),
                ("rename-at", (path, other, self.path())),
                ("link-at", (follow, path, other, self.path())),
                ("set-times-at", (follow, path, self.time(), self.time())),
                ("set-times", (self.time(), self.time())),
                ("read", (pick([0, 10, 100_000]), offset)),
                ("write", (b"some bytes", pick([0, 3, 100]))),
                ("set-size", (pick([0, 5, 200]),)),
                ("advise", (0, 10, "normal")),
                ("stat", ()),
                ("metadata-hash", ()),
                ("get-type", ()),
                ("get-flags", ()),
                ("is-same-object", (other,)),
                ("sync-data", ()),
                ("read-directory", ()),
            ]
        )
        return name, number, arguments


def _comparable(value: Any) -> Any:
    """Without what the file system chooses itself, or its clock."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name in {"type", "link-count"}}
        modified = value.get("data-modification-timestamp") or {}
        if modified.get("nanoseconds") == 5:
            kept["modified"] = modified
        return kept | ({"size": value["size"]} if value.get("type") == "regular-file" else {})
    return value


@pytest.mark.timeout(120)
def test_3000_random_operations_are_answered_alike_by_both(tmp_path: Path) -> None:
    with ExitStack() as stack:
        guests = []
        for api in ("c-api", "public-api"):
            folder = tmp_path / api / "d"
            folder.mkdir(parents=True)
            fill(folder)
            guests.append(stack.enter_context(guest_of(api, folder)))
        words, codes, values = _Random(20_261_124), 0, 0
        for number in range(OPERATIONS):
            name, of, arguments = words.next(len(guests[0].held))
            ours, theirs = (_comparable(each.says(name, of, *arguments)) for each in guests)
            assert ours == theirs, f"{number}: {name} {arguments}"
            codes += isinstance(ours, str) and not ours.startswith("handle")
            values += not isinstance(ours, str)
            _end_newest(guests)
        assert codes > OPERATIONS / 5
        assert values > OPERATIONS / 5
        assert guests[0].guard.refused == guests[1].guard.refused


def _end_newest(guests: list[Guest]) -> None:
    """Let no more be open than a few descriptors; a listing is no place to open below."""
    for each in guests:
        kept = each.guard.scope.open
        if len(each.held) > 8 or type(list(kept.values())[-1]).__name__ == "Listing":
            each.drop(len(each.held) - 1)
