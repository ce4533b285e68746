"""The guard of files bound by wasmtime-py's public API alone: the reference for `host_functions`.

What it decides is the guard's own; how values come and go is the library's, slow and not ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from wasmtime.component import Record, ResourceHost, ResourceType, Variant

from wassette_worker.guards.files import changes, content, handles, looking, opening
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.guard import PREOPENS, TYPES
from wassette_worker.guards.files.judge import READ, WRITE, Judge
from wassette_worker.guards.files.scope import Directory, File, Listing, Mount, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmtime import Store
    from wasmtime.component import Component, Linker, ResourceAny

    from wassette_protocol.capabilities import Preopen
    from wassette_protocol.frames import RefusedFile

_DESCRIPTOR, _LISTING = 7001, 7002
_SYNCS = {"file-integrity-sync", "data-integrity-sync", "requested-write-sync"}
_MAX_SECONDS = (1 << 63) // 1_000_000_000 - 1
# Of results with two kinds of text the library wants to be told which one it is.
_TAGGED = {"get-type", "readlink-at"}


class _PublicFiles:
    """The engine's files by the same shim; its handles by numbers of ours."""

    def __init__(self, store: Store, native: Linker, shim: Component) -> None:
        self._store = store
        self._instance = native.instantiate(store, shim)
        self.held: dict[int, ResourceAny] = {}
        self._next = 1
        self._is_ready = False

    def call(self, name: str, *arguments: object) -> Any:
        func = self._instance.get_func(self._store, name)
        assert func is not None
        return func(self._store, *arguments)

    def hold(self, handle: ResourceAny) -> int:
        number, self._next = self._next, self._next + 1
        self.held[number] = handle
        return number

    def ready(self, directory: int) -> None:
        if not self._is_ready:
            self.drop(self.open(directory, b".", read=True, write=False, directory_only=True))
            self._is_ready = True

    def open(
        self, directory: int, path: bytes, *, read: bool, write: bool, directory_only: bool
    ) -> int:
        how = {"directory"} if directory_only else set()
        flags = {name for name, is_set in (("read", read), ("write", write)) if is_set}
        found = self.call("open-at", self.held[directory], set(), path.decode(), how, flags)
        if isinstance(found, str):
            raise FileError(found)
        return self.hold(found)

    def drop(self, handle: int) -> None:
        self.held.pop(handle).drop(self._store)


class PublicGuard:
    """As FilesGuard, for one directory."""

    def __init__(self) -> None:
        self.refused: list[RefusedFile] = []
        self._next = 1

    def define(self, linker: Linker, wasi: str) -> None:
        linker.allow_shadowing = True
        with linker.root() as root:
            with root.add_instance(f"{TYPES}@{wasi}") as instance:
                instance.add_resource("descriptor", ResourceType.host(_DESCRIPTOR), self._drop)
                of_listing = ResourceType.host(_LISTING)
                instance.add_resource("directory-entry-stream", of_listing, self._drop)
                for name, body in self._methods().items():
                    method = _answering(body, tagged=name in _TAGGED)
                    instance.add_func(f"[method]descriptor.{name}", method)
                instance.add_func("[method]descriptor.is-same-object", self._is_same_object)
                entry = "[method]directory-entry-stream.read-directory-entry"
                instance.add_func(entry, _answering(self._next_entry))
                instance.add_func("filesystem-error-code", self._error_code)
            with root.add_instance(f"{PREOPENS}@{wasi}") as instance:
                instance.add_func("get-directories", self._get_directories)

    def attach(
        self,
        store: Store,
        native: Linker,
        shim: Component,
        given: tuple[Preopen, int],
        files: int | None,
    ) -> None:
        preopen, handle = given
        assert preopen.rules is not None
        self.engine = _PublicFiles(store, native, shim)
        self.scope = Scope(self.engine, files, self.refused, {})
        [(own, self._name)] = self.engine.call("get-directories")
        self._mount = Mount(0, handle, self.engine.hold(own), Judge(preopen.rules))

    def _own(self, each: Directory | File | Listing) -> ResourceHost:
        number, self._next = self._next, self._next + 1
        self.scope.open[number] = each
        return ResourceHost.own(number, _LISTING if isinstance(each, Listing) else _DESCRIPTOR)

    def _get(self, store: Any, handle: Any) -> Any:
        return self.scope.open[handle.to_host(store).rep]

    def _directory(self, store: Any, handle: Any) -> Directory:
        return _as_directory(self._get(store, handle))

    def _drop(self, _: Any, number: int) -> None:
        each = self.scope.open.pop(number)
        if isinstance(each, File):
            self.engine.drop(each.native)
        else:
            os.close(each.handle)
        if isinstance(each, Listing):
            each.entries.close()  # type: ignore[attr-defined]  # os.scandir's has it

    def _get_directories(self, _: Any) -> list[tuple[ResourceHost, str]]:
        mount = self._mount
        start = Directory(mount, os.dup(mount.handle), (), mount.judge.start)
        return [(self._own(start), self._name)]

    def _error_code(self, store: Any, error: ResourceAny) -> Any:
        try:
            return self.engine.call("filesystem-error-code", error)
        finally:
            error.drop(store)

    def _is_same_object(self, store: Any, one: Any, other: Any) -> bool:
        first, second = self._get(store, one), self._get(store, other)
        mine, its = looking.status_of(first), looking.status_of(second)
        return (mine.st_dev, mine.st_ino) == (its.st_dev, its.st_ino)

    def _methods(self) -> dict[str, Callable[..., object]]:
        get, directory = self._get, self._directory

        def scope() -> Scope:  # there is none yet
            return self.scope

        return {
            "read-via-stream": lambda s, d, at: self._stream("read", get(s, d), READ, at),
            "write-via-stream": lambda s, d, at: self._stream("write", get(s, d), WRITE, at),
            "append-via-stream": lambda s, d: self._stream("append", get(s, d), WRITE),
            "advise": lambda s, d, at, size, how: content.advise(get(s, d), at, size, how),
            "sync-data": lambda s, d: content.sync(get(s, d), data_only=True),
            "sync": lambda s, d: content.sync(get(s, d), data_only=False),
            "get-flags": lambda s, d: _flags(get(s, d)),
            "get-type": lambda s, d: "regular-file" if isinstance(get(s, d), File) else "directory",
            "set-size": lambda s, d, size: content.set_size(get(s, d), size),
            "set-times": lambda s, d, *times: changes.set_times(scope(), get(s, d), _times(times)),
            "read": lambda s, d, size, at: tuple(content.read(get(s, d), size, at)),
            "write": lambda s, d, data, at: content.write(get(s, d), bytes(data), at),
            "read-directory": lambda s, d: self._own(
                looking.read_directory(scope(), directory(s, d))
            ),
            "stat": lambda s, d: _status(looking.status_of(get(s, d))),
            "stat-at": lambda s, d, how, path: _status(
                looking.stat_at(scope(), directory(s, d), path, follow=bool(how))
            ),
            "metadata-hash": lambda s, d: _hash(looking.hash_of(looking.status_of(get(s, d)))),
            "metadata-hash-at": lambda s, d, how, path: _hash(
                looking.hash_at(scope(), directory(s, d), path, follow=bool(how))
            ),
            "readlink-at": lambda s, d, path: looking.readlink_at(scope(), directory(s, d), path),
            "open-at": self._open_at,
            "link-at": self._link_at,
            "rename-at": self._rename_at,
            "set-times-at": lambda s, d, how, path, *times: changes.set_times_at(
                scope(), directory(s, d), path, _times(times), follow=bool(how)
            ),
            "create-directory-at": lambda s, d, path: changes.create_directory_at(
                scope(), directory(s, d), path
            ),
            "remove-directory-at": lambda s, d, path: changes.remove_directory_at(
                scope(), directory(s, d), path
            ),
            "unlink-file-at": lambda s, d, path: changes.unlink_file_at(
                scope(), directory(s, d), path
            ),
            "symlink-at": lambda s, d, target, path: changes.symlink_at(
                scope(), directory(s, d), target, path
            ),
        }

    def _stream(self, kind: str, each: Directory | File, access: int, *offset: int) -> Any:
        file = content.file_of(each, access)
        return self.engine.call(f"{kind}-via-stream", self.engine.held[file.native], *offset)

    def _open_at(  # noqa: PLR0913, PLR0917 - as wasi:filesystem has them
        self, store: Any, handle: Any, path: set[str], text: str, how: set[str], flags: set[str]
    ) -> ResourceHost:
        start = self._directory(store, handle)
        if flags & _SYNCS:
            raise FileError("unsupported")
        wish = opening.Wish(
            follow=bool(path),
            create="create" in how,
            only_directory="directory" in how,
            exclusive="exclusive" in how,
            truncate="truncate" in how,
            read="read" in flags,
            write="write" in flags,
        )
        return self._own(opening.open_at(self.scope, start, text, wish))

    def _link_at(  # noqa: PLR0913, PLR0917 - as above
        self, store: Any, one: Any, how: set[str], text: str, other: Any, new: str
    ) -> None:
        old, target = self._get(store, one), self._get(store, other)
        if how:
            raise FileError("invalid")
        start, to = _as_directory(old), _as_directory(target)
        changes.link_at(self.scope, start, text, to, new)

    def _rename_at(self, store: Any, one: Any, text: str, other: Any, new: str) -> None:
        old, target = self._get(store, one), self._get(store, other)
        changes.rename_at(self.scope, _as_directory(old), text, _as_directory(target), new)

    def _next_entry(self, store: Any, handle: Any) -> Record | None:
        entry = looking.next_entry(self._get(store, handle))
        return None if entry is None else _record(type=entry.kind, name=entry.name)


def _answering(body: Callable[..., object], *, tagged: bool = False) -> Callable[..., object]:
    def run(*arguments: object) -> object:
        try:
            answer = body(*arguments)
        except FileError as error:
            return Variant("err", error.code) if tagged else error.code
        except OSError as error:
            return Variant("err", code_of(error)) if tagged else code_of(error)
        return Variant("ok", answer) if tagged else answer

    return run


def _as_directory(each: Directory | File) -> Directory:
    if isinstance(each, File):
        raise FileError("not-directory")
    return each


def _flags(each: Directory | File) -> set[str]:
    if isinstance(each, File):
        return {name for bit, name in ((READ, "read"), (WRITE, "write")) if each.access & bit}
    judge = each.mount.judge
    writable = (judge.rights(each.state) | judge.reach(each.state)) & WRITE
    return {"read", "mutate-directory"} if writable else {"read"}


def _record(**members: object) -> Record:
    record = Record()
    for name, value in members.items():
        setattr(record, name.replace("_", "-"), value)
    return record


def _status(found: os.stat_result) -> Record:
    return _record(
        type=looking.kind_of(found.st_mode),
        link_count=found.st_nlink,
        size=found.st_size,
        data_access_timestamp=_datetime(found.st_atime_ns),
        data_modification_timestamp=_datetime(found.st_mtime_ns),
        status_change_timestamp=_datetime(found.st_ctime_ns),
    )


def _datetime(time: int) -> Record | None:
    if time < 0:
        return None
    seconds, nanoseconds = divmod(time, 1_000_000_000)
    return _record(seconds=seconds, nanoseconds=nanoseconds)


def _hash(value: looking.Hash) -> Record:
    return _record(lower=value.lower, upper=value.upper)


def _times(given: tuple[Variant, ...]) -> tuple[int | None, int | None]:
    first, second = map(_time, given)
    return first, second


def _time(given: Variant) -> int | None:
    if given.tag == "no-change":
        return None
    if given.tag == "now":
        return handles.NOW
    time: Any = given.payload
    if time.seconds > _MAX_SECONDS:
        raise FileError("overflow")
    seconds: int = time.seconds
    nanoseconds: int = time.nanoseconds
    return seconds * 1_000_000_000 + nanoseconds
