"""What is wrong with a file, or what the system refused: in a line that tells what to do."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wassette_supervisor.errors import StoreError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ELSEWHERE = "give this user write access to it, or choose another folder with --component-dir"
_ADVICE = {
    errno.ENOSPC: "free some space on its disk and try again",
    errno.EDQUOT: "free some of this user's quota on its disk and try again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and try again",
    errno.EIO: "its disk may be failing; choose another folder with --component-dir",
}


class DamagedError(Exception):
    """A file is not what was written; the text says in what."""


@contextmanager
def explained(doing: str, path: Path, advice: str = _ELSEWHERE) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        what_to_do = _ADVICE.get(error.errno or 0, advice)
        raise StoreError(f"can't {doing} {shown(path)}: {why}; {what_to_do}") from error


def shown(path: Path) -> str:
    return one_line(str(path))
