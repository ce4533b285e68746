"""Answers that a guest gets again and again: laid out once, with other numbers each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_worker import component_values as cv
from wassette_worker import host_functions as hf
from wassette_worker.guards.files import looking

if TYPE_CHECKING:
    import os

    from wassette_worker.guards.files.scope import Entry

_MAX_NAME = 255  # bytes, as Linux
_ZERO = hf.unsigned(cv.U64, 0)

DONE = hf.Prepared(hf.ok())
_LAST = hf.Prepared(hf.ok(hf.option(None)))
_errors: dict[str, hf.Prepared] = {}


def error(code: str) -> hf.Prepared:
    """A result that is this error-code."""
    found = _errors.get(code)
    if found is None:
        found = _errors[code] = hf.Prepared(hf.err(hf.enum_value(code)))
    return found


class _Entry:
    """A directory-entry of one kind."""

    def __init__(self, kind: str) -> None:
        fields = ("type", hf.enum_value(kind)), ("name", hf.text(""))
        self._answer = hf.Prepared(hf.ok(hf.option(hf.record(*fields))))
        _, self._name = hf.fields_at(hf.payload_at(self._answer.payload()))
        self._room = hf.Room(_MAX_NAME)

    def of(self, name: str) -> hf.Prepared:
        hf.put(self._name, self._room.value(name.encode()))
        return self._answer


_entries: dict[str, _Entry] = {}


def entry(each: Entry | None) -> hf.Prepared:
    """What `read-directory-entry` answers."""
    if each is None:
        return _LAST
    found = _entries.get(each.kind)
    if found is None:
        found = _entries[each.kind] = _Entry(each.kind)
    return found.of(each.name)


class _Hash:
    """What `metadata-hash` answers."""

    def __init__(self) -> None:
        self._answer = hf.Prepared(hf.ok(hf.record(("lower", _ZERO), ("upper", _ZERO))))
        self._lower, self._upper = hf.fields_at(self._answer.payload())

    def of(self, value: looking.Hash) -> hf.Prepared:
        hf.set_number(self._lower, value.lower)
        hf.set_number(self._upper, value.upper)
        return self._answer


hash_of = _Hash().of


class _Status:
    """What `stat` answers of one kind of file, which has some of the three times."""

    def __init__(self, kind: str, there: tuple[bool, ...]) -> None:
        names = "data-access-timestamp", "data-modification-timestamp", "status-change-timestamp"
        self._answer = hf.Prepared(
            hf.ok(
                hf.record(
                    ("type", hf.enum_value(kind)),
                    ("link-count", _ZERO),
                    ("size", _ZERO),
                    *((name, _time(one)) for name, one in zip(names, there, strict=True)),
                )
            )
        )
        _, self._links, self._size, *times = hf.fields_at(self._answer.payload())
        boxes = map(hf.payload_at, times)
        self._times = [hf.fields_at(each) if each else None for each in boxes]

    def of(self, status: os.stat_result, times: tuple[int, ...]) -> hf.Prepared:
        hf.set_number(self._links, status.st_nlink)
        hf.set_number(self._size, status.st_size)
        for fields, time in zip(self._times, times, strict=True):
            if fields is not None:
                seconds, nanoseconds = divmod(time, 1_000_000_000)
                hf.set_number(fields[0], seconds)
                hf.set_number(fields[1], nanoseconds)
        return self._answer


def _time(there: bool) -> hf.Value:  # noqa: FBT001 - that is what it is of
    if not there:
        return hf.option(None)
    nanoseconds = hf.unsigned(cv.U32, 0)
    return hf.option(hf.record(("seconds", _ZERO), ("nanoseconds", nanoseconds)))


_statuses: dict[tuple[str, tuple[bool, ...]], _Status] = {}


def status(found: os.stat_result) -> hf.Prepared:
    """What `stat` answers; a time before 1970 is none: WASI can't say it."""
    times = found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns
    there = (True, True, True) if min(times) >= 0 else tuple(time >= 0 for time in times)
    key = looking.kind_of(found.st_mode), there
    known = _statuses.get(key)
    if known is None:
        known = _statuses[key] = _Status(*key)
    return known.of(found, times)
