"""The guard of files in this process, on the real engine: as a guest reaches it."""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from wasmtime import WasiConfig
from wasmtime.component import Component, Linker

from wassette_protocol.capabilities import Limits, Preopen
from wassette_worker.engine import build_engine, build_store
from wassette_worker.guards import shims
from wassette_worker.guards.files import changes, looking, opening
from wassette_worker.guards.files.codes import FileError
from wassette_worker.guards.files.guard import TYPES, FilesGuard
from wassette_worker.guards.files.judge import Access
from wassette_worker.guards.files.scope import Directory, File

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wasmtime import Engine

    from wassette_protocol.file_rules import FileRules


class _Built(NamedTuple):
    engine: Engine
    wasi: str
    shim: Component
    native: Linker


@cache
def _built() -> _Built:
    engine = build_engine()
    wasi = shims.find_version(engine, TYPES, "filesystem-error-code")
    native = Linker(engine)
    native.add_wasip2()
    return _Built(engine, wasi, Component(engine, shims.text("files.wat", wasi)), native)


# The engine is gone before what it made can be, once the interpreter ends.
atexit.register(_built.cache_clear)


class Guarded:
    """What a guest does with one directory that it was given."""

    def __init__(self, guard: FilesGuard) -> None:
        self.guard = guard
        self.scope = guard.scope
        mount, _ = guard._mounts[0]
        self.root = Directory(mount, mount.handle, (), mount.judge.start)

    def open(self, text: str, **wish: bool) -> object:
        opened = opening.open_at(self.scope, self.root, text, _wish(**wish))
        try:
            if isinstance(opened, Directory):
                return "directory"
            if opened.access & Access.READ:
                return os.pread(opened.number, 1 << 20, 0)
            return "write only"
        finally:
            self._close(opened)

    def stat(self, text: str, *, follow: bool) -> object:
        found = looking.stat_at(self.scope, self.root, text, follow=follow)
        return looking.kind_of(found.st_mode)

    def readlink(self, text: str) -> object:
        return looking.readlink_at(self.scope, self.root, text)

    def names(self, text: str) -> object:
        opened = opening.open_at(self.scope, self.root, text, _wish(follow=True, read=True))
        try:
            if isinstance(opened, File):
                raise FileError("not-directory")
            listing = looking.read_directory(self.scope, opened)
            try:
                return sorted(
                    (e.name, e.kind) for e in iter(lambda: looking.next_entry(listing), None)
                )
            finally:
                os.close(listing.handle)
        finally:
            self._close(opened)

    def make_directory(self, text: str) -> None:
        changes.create_directory_at(self.scope, self.root, text)

    def remove_directory(self, text: str) -> None:
        changes.remove_directory_at(self.scope, self.root, text)

    def unlink(self, text: str) -> None:
        changes.unlink_file_at(self.scope, self.root, text)

    def symlink(self, target: str, text: str) -> None:
        changes.symlink_at(self.scope, self.root, target, text)

    def rename(self, text: str, to: str) -> None:
        changes.rename_at(self.scope, self.root, text, self.root, to)

    def _close(self, opened: Directory | File) -> None:
        if isinstance(opened, Directory):
            os.close(opened.handle)
        else:
            self.scope.native.drop(opened.native)


def _wish(**flags: bool) -> opening.Wish:
    if "directory" in flags:
        flags["only_directory"] = flags.pop("directory")
    return opening.Wish(**(dict.fromkeys(opening.Wish._fields, False) | flags))


@contextmanager
def guarded(folder: Path, rules: FileRules, files: int | None = None) -> Iterator[Guarded]:
    """The folder given by these rules, to a store of its own."""
    built = _built()
    guard = FilesGuard()
    linker = Linker(built.engine)
    linker.add_wasip2()
    guard.define(linker, built.wasi)
    store = build_store(built.engine, Limits())
    store.set_epoch_deadline(1 << 30)
    config = WasiConfig()
    config.preopen_dir(str(folder), "d", True)  # noqa: FBT003 - the library's
    store.set_wasi(config)
    handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        preopen = Preopen("d", writable=True, rules=rules)
        guard.attach(store, built.native, built.shim, [(preopen, handle)], files)
        yield Guarded(guard)
    finally:
        store.close()
        os.close(handle)
