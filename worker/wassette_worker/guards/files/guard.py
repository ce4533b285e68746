"""The functions of wasi:filesystem that a guest finds in the place of the engine's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.patterns import Pattern
from wassette_worker import component_values as cv
from wassette_worker import host_functions as hf
from wassette_worker.guards.files import (
    answers,
    changes,
    content,
    looking,
    opening,
    telling,
    words,
)
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.engine_files import EngineFiles
from wassette_worker.guards.files.judge import READ, WRITE, Judge
from wassette_worker.guards.files.scope import Directory, File, Listing, Mount, Scope
from wassette_worker.host_definitions import Definitions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmtime import Store
    from wasmtime.component import Component, Linker

    from wassette_protocol.capabilities import Preopen
    from wassette_protocol.frames import RefusedFile
    from wassette_worker.guards.files.telling import Tell

TYPES, PREOPENS = "wasi:filesystem/types", "wasi:filesystem/preopens"

# Numbers of our resources' types, within the engine.
_DESCRIPTOR, _LISTING = 9001, 9002

_SIZE = cv.VALUE_SIZE


class FilesGuard:
    """All of it for the one store of this process."""

    def __init__(self) -> None:
        self.error: BaseException | None = None  # why it ended a call itself
        self.refused: list[RefusedFile] = []
        self.tell: Tell | None = None  # records an open before the guest has it
        self._scope: Scope | None = None
        self._engine: EngineFiles | None = None
        self._mounts: list[tuple[Mount, str]] = []
        self._next = 1
        self._lists: hf.ByteLists | None = None
        self._definitions = Definitions(self._fail)

    def define(self, linker: Linker, wasi: str) -> None:
        """Replace the native functions; only after `linker.add_wasip2()`, or they replace ours."""
        linker.allow_shadowing = True
        define = self._definitions
        with linker.root() as root:
            with root.add_instance(f"{TYPES}@{wasi}") as instance:
                define.resource(instance, "descriptor", _DESCRIPTOR, self._drop)
                define.resource(instance, "directory-entry-stream", _LISTING, self._drop)
                for name, body in self._methods().items():
                    define.function(instance, name, body)
            with root.add_instance(f"{PREOPENS}@{wasi}") as instance:
                define.function(instance, "get-directories", self._get_directories)

    def attach(
        self,
        store: Store,
        native: Linker,
        shim: Component,
        directories: Sequence[tuple[Preopen, int]],
        files: int | None,
    ) -> None:
        """Reach the engine's files in this store.

        Args:
            store: It has its configuration, with these directories.
            native: A linker with the engine's own functions.
            shim: The compiled shim.
            directories: Each with a handle, which becomes the guard's.
            files: What may be created.

        Raises:
            OSError: The engine has other directories.
        """
        self._engine = engine = EngineFiles(store, native, shim)
        found = engine.directories()
        if [name for _, name in found] != [preopen.guest for preopen, _ in directories]:
            raise OSError("the engine has other directories than those that were granted")
        self._scope = Scope(engine, files, self.refused, {})
        for number, ((preopen, handle), (own, _)) in enumerate(
            zip(directories, found, strict=True)
        ):
            judge = Judge(preopen.rules or _everything(preopen))
            self._mounts.append((Mount(number, handle, own, judge), preopen.guest))

    # --- the guest's handles ----------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        if self._scope is None:
            raise RuntimeError("the guard of files is not attached")
        return self._scope

    @property
    def engine(self) -> EngineFiles:
        if self._engine is None:
            raise RuntimeError("the guard of files is not attached")
        return self._engine

    def _own(self, context: int, each: Directory | File | Listing) -> hf.Value:
        number, self._next = self._next, self._next + 1
        self.scope.open[number] = each
        return hf.own(context, _LISTING if isinstance(each, Listing) else _DESCRIPTOR, number)

    def _descriptor(self, context: int, value: int) -> Directory | File:
        each = self.scope.open[hf.number_of_resource(context, value)]
        if isinstance(each, Listing):
            raise TypeError("a listing in the place of a descriptor")
        return each

    def _drop(self, context: int, number: int) -> None:
        each = self.scope.open.pop(number)
        match each:
            case Directory(handle=handle):
                os.close(handle)
            case File(native=native):
                hf.drop_handle(context, native)
            case Listing(handle=handle, entries=entries):
                entries.close()  # type: ignore[attr-defined]  # os.scandir's has it
                os.close(handle)

    def _fail(self, error: BaseException) -> None:
        self.error = error

    # --- the functions ----------------------------------------------------------------------

    def _methods(self) -> dict[str, Callable[[int, int, int], None]]:
        found: dict[str, Callable[[int, int, int], None]] = {
            "filesystem-error-code": self._error_code,
            "[method]descriptor.is-same-object": self._is_same_object,
            "[method]directory-entry-stream.read-directory-entry": _answering(self._next_entry),
        }
        answering: dict[str, Callable[[int, int], hf.Value | hf.Prepared | None]] = {
            "get-flags": self._get_flags,
            "get-type": self._get_type,
            "stat": self._stat,
            "metadata-hash": self._hash,
            "set-times": self._set_times,
            "read": self._read,
            "write": self._write,
            "set-size": self._set_size,
            "sync": self._sync,
            "sync-data": self._sync_data,
            "advise": self._advise,
            "read-directory": self._read_directory,
            "open-at": self._open_at,
            "stat-at": self._stat_at,
            "metadata-hash-at": self._hash_at,
            "readlink-at": self._readlink_at,
            "set-times-at": self._set_times_at,
            "create-directory-at": self._create_directory_at,
            "remove-directory-at": self._remove_directory_at,
            "unlink-file-at": self._unlink_file_at,
            "symlink-at": self._symlink_at,
            "link-at": self._link_at,
            "rename-at": self._rename_at,
        }
        for name, body in answering.items():
            found[f"[method]descriptor.{name}"] = _answering(body)
        for name, access in _STREAMS.items():
            found[f"[method]descriptor.{name}"] = self._stream(name, access)
        return found

    def _get_directories(self, context: int, _: int, results: int) -> None:
        given = []
        for mount, name in self._mounts:
            start = Directory(mount, os.dup(mount.handle), (), mount.judge.start)
            given.append(hf.tuple_value(self._own(context, start), hf.text(name)))
        hf.put(results, hf.list_value(given))

    def _stream(self, name: str, access: int) -> Callable[[int, int, int], None]:
        """The engine's stream of an open file: no byte of it comes by here."""
        count = 1 if name == "append-via-stream" else 2

        def body(context: int, at: int, results: int) -> None:
            each = self._descriptor(context, at)
            try:
                file = content.file_of(each, access)
            except FileError as error:
                answers.error(error.code).put(results)
                return
            rest = hf.raw_at(at + _SIZE, count - 1)
            self.engine.pass_on(name, context, hf.handle_value(file.native) + rest, results)

        return body

    def _error_code(self, context: int, at: int, results: int) -> None:
        self.engine.pass_on("filesystem-error-code", context, hf.raw_at(at, 1), results)
        hf.end_loan(context, at)

    def _is_same_object(self, context: int, at: int, results: int) -> None:
        one, other = self._descriptor(context, at), self._descriptor(context, at + _SIZE)
        mine, its = looking.status_of(one), looking.status_of(other)
        same = (mine.st_dev, mine.st_ino) == (its.st_dev, its.st_ino)
        hf.put(results, hf.bool_value(same))

    # --- of what is open

    def _get_flags(self, context: int, at: int) -> hf.Value:
        each = self._descriptor(context, at)
        if isinstance(each, File):
            names = [name for bit, name in _FLAGS if each.access & bit]
        else:
            judge = each.mount.judge
            writable = (judge.rights(each.state) | judge.reach(each.state)) & WRITE
            names = ["read", "mutate-directory"] if writable else ["read"]
        return hf.flags_value(names)

    def _get_type(self, context: int, at: int) -> hf.Value:
        each = self._descriptor(context, at)
        return hf.enum_value("regular-file" if isinstance(each, File) else "directory")

    def _stat(self, context: int, at: int) -> hf.Prepared:
        return answers.status(looking.status_of(self._descriptor(context, at)))

    def _hash(self, context: int, at: int) -> hf.Prepared:
        return answers.hash_of(looking.hash_of(looking.status_of(self._descriptor(context, at))))

    def _set_times(self, context: int, at: int) -> None:
        each = self._descriptor(context, at)
        times = words.time_at(at + _SIZE), words.time_at(at + 2 * _SIZE)
        changes.set_times(self.scope, each, times)

    def _read(self, context: int, at: int) -> hf.Value:
        each = self._descriptor(context, at)
        length, offset = hf.number_at(at + _SIZE), hf.number_at(at + 2 * _SIZE)
        chunk = content.read(each, length, offset)
        if self._lists is None:  # two megabytes, which most guests never need
            self._lists = hf.ByteLists(content.MAX_READ)
        return hf.tuple_value(self._lists.value(chunk.data), hf.bool_value(chunk.at_end))

    def _write(self, context: int, at: int) -> hf.Value:
        each = self._descriptor(context, at)
        written = content.write(each, hf.bytes_at(at + _SIZE), hf.number_at(at + 2 * _SIZE))
        return hf.unsigned(cv.U64, written)

    def _set_size(self, context: int, at: int) -> None:
        content.set_size(self._descriptor(context, at), hf.number_at(at + _SIZE))

    def _sync(self, context: int, at: int) -> None:
        content.sync(self._descriptor(context, at), data_only=False)

    def _sync_data(self, context: int, at: int) -> None:
        content.sync(self._descriptor(context, at), data_only=True)

    def _advise(self, context: int, at: int) -> None:
        each = self._descriptor(context, at)
        offset, length = hf.number_at(at + _SIZE), hf.number_at(at + 2 * _SIZE)
        content.advise(each, offset, length, hf.text_at(at + 3 * _SIZE))

    def _read_directory(self, context: int, at: int) -> hf.Value:
        directory = _directory(self._descriptor(context, at))
        return self._own(context, looking.read_directory(self.scope, directory))

    def _next_entry(self, context: int, at: int) -> hf.Prepared:
        listing = self.scope.open[hf.number_of_resource(context, at)]
        if not isinstance(listing, Listing):
            raise TypeError("a descriptor in the place of a listing")
        return answers.entry(looking.next_entry(listing))

    # --- of a path

    def _open_at(self, context: int, at: int) -> hf.Value:
        start = _directory(self._descriptor(context, at))
        text = hf.text_at(at + 2 * _SIZE)
        wish = words.wish(*(hf.flags_at(at + number * _SIZE) for number in (1, 3, 4)))
        if self.tell is None:
            return self._own(context, opening.open_at(self.scope, start, text, wish))
        return self._own(context, telling.open_at(self.scope, start, text, wish, self.tell))

    def _stat_at(self, context: int, at: int) -> hf.Prepared:
        start, follow, text = self._at(context, at)
        return answers.status(looking.stat_at(self.scope, start, text, follow=follow))

    def _hash_at(self, context: int, at: int) -> hf.Prepared:
        start, follow, text = self._at(context, at)
        return answers.hash_of(looking.hash_at(self.scope, start, text, follow=follow))

    def _set_times_at(self, context: int, at: int) -> None:
        start, follow, text = self._at(context, at)
        times = words.time_at(at + 3 * _SIZE), words.time_at(at + 4 * _SIZE)
        changes.set_times_at(self.scope, start, text, times, follow=follow)

    def _readlink_at(self, context: int, at: int) -> hf.Value:
        start = _directory(self._descriptor(context, at))
        return hf.text(looking.readlink_at(self.scope, start, hf.text_at(at + _SIZE)))

    def _create_directory_at(self, context: int, at: int) -> None:
        start = _directory(self._descriptor(context, at))
        changes.create_directory_at(self.scope, start, hf.text_at(at + _SIZE))

    def _remove_directory_at(self, context: int, at: int) -> None:
        start = _directory(self._descriptor(context, at))
        changes.remove_directory_at(self.scope, start, hf.text_at(at + _SIZE))

    def _unlink_file_at(self, context: int, at: int) -> None:
        start = _directory(self._descriptor(context, at))
        changes.unlink_file_at(self.scope, start, hf.text_at(at + _SIZE))

    def _symlink_at(self, context: int, at: int) -> None:
        start = _directory(self._descriptor(context, at))
        target, text = hf.text_at(at + _SIZE), hf.text_at(at + 2 * _SIZE)
        changes.symlink_at(self.scope, start, target, text)

    def _link_at(self, context: int, at: int) -> None:
        # Both loans end before any error: the engine traps otherwise.
        one = self._descriptor(context, at)
        other = self._descriptor(context, at + 3 * _SIZE)
        if hf.flags_at(at + _SIZE):
            raise FileError("invalid")
        changes.link_at(
            self.scope,
            _directory(one),
            hf.text_at(at + 2 * _SIZE),
            _directory(other),
            hf.text_at(at + 4 * _SIZE),
        )

    def _rename_at(self, context: int, at: int) -> None:
        one = self._descriptor(context, at)
        other = self._descriptor(context, at + 2 * _SIZE)
        changes.rename_at(
            self.scope,
            _directory(one),
            hf.text_at(at + _SIZE),
            _directory(other),
            hf.text_at(at + 3 * _SIZE),
        )

    def _at(self, context: int, at: int) -> tuple[Directory, bool, str]:
        start = _directory(self._descriptor(context, at))
        return start, bool(hf.flags_at(at + _SIZE)), hf.text_at(at + 2 * _SIZE)


_STREAMS = {
    "read-via-stream": READ,
    "write-via-stream": WRITE,
    "append-via-stream": WRITE,
}
_FLAGS = ((READ, "read"), (WRITE, "write"))


def _everything(preopen: Preopen) -> FileRules:
    """The rules of a directory that is given whole."""
    return FileRules((Layer((Clause(Pattern((), below=True), True, preopen.writable),)),))  # noqa: FBT003 - read


def _answering(
    body: Callable[[int, int], hf.Value | hf.Prepared | None],
) -> Callable[[int, int, int], None]:
    """A function whose result is a `result` with an error-code."""

    def run(context: int, at: int, results: int) -> None:
        try:
            answer = body(context, at)
        except FileError as error:
            answer = answers.error(error.code)
        except OSError as error:  # for example no descriptor is left
            answer = answers.error(code_of(error))
        if isinstance(answer, hf.Prepared):
            answer.put(results)
        elif answer is None:
            answers.DONE.put(results)
        else:
            hf.put(results, hf.ok(answer))

    return run


def _directory(each: Directory | File) -> Directory:
    if isinstance(each, File):
        raise FileError("not-directory")
    return each
