"""What the flags and the times that a guest gives a function of files mean."""

from __future__ import annotations

from functools import cache

from wassette_worker import host_functions as hf
from wassette_worker.guards.files import handles, opening
from wassette_worker.guards.files.codes import FileError

_SYNCS = {b"file-integrity-sync", b"data-integrity-sync", b"requested-write-sync"}
_MAX_SECONDS = (1 << 63) // 1_000_000_000 - 1


@cache
def wish(path: tuple[bytes, ...], how: tuple[bytes, ...], flags: tuple[bytes, ...]) -> opening.Wish:
    """What these flags of `open-at` ask for.

    Raises:
        FileError: Something that the engine can't do either.
    """
    if not _SYNCS.isdisjoint(flags):
        raise FileError("unsupported")
    return opening.Wish(
        follow=bool(path),
        create=b"create" in how,
        only_directory=b"directory" in how,
        exclusive=b"exclusive" in how,
        truncate=b"truncate" in how,
        read=b"read" in flags,
        write=b"write" in flags,
    )


def time_at(value: int) -> int | None:
    """A new-timestamp, as nanoseconds since the epoch; None: it is left as it is.

    Raises:
        FileError: It is later than a file can say.
    """
    case, payload = hf.case_at(value)
    if case == "no-change":
        return None
    if case == "now":
        return handles.NOW
    seconds, nanoseconds = (hf.number_at(each) for each in hf.fields_at(payload))
    if seconds > _MAX_SECONDS:
        raise FileError("overflow")
    return seconds * 1_000_000_000 + (nanoseconds & 0xFFFF_FFFF)
