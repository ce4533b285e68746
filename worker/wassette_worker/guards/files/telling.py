"""Opening where each open is on record before the guest has what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_protocol.frames import MAX_PATH_BYTES, OPENED, FileOpened
from wassette_worker.guards.files import opening
from wassette_worker.guards.files.codes import FileError, code_of
from wassette_worker.guards.files.judge import READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from wassette_worker.guards.files.opening import Wish
    from wassette_worker.guards.files.scope import Directory, File, Path, Scope

    Tell = Callable[[FileOpened], None]  # returns when it is on record


def open_at(scope: Scope, start: Directory, text: str, wish: Wish, tell: Tell) -> Directory | File:
    """As `opening.open_at`, and told, whatever came of it.

    Raises:
        FileError: It is refused, or there is no such file.
        EOFError: Nobody is there to record it.
    """

    def say(path: Path, outcome: str) -> None:
        read, write = bool(wish.access & READ), bool(wish.access & WRITE)
        words = b"/".join(path)[:MAX_PATH_BYTES]
        tell(FileOpened(start.mount.number, words, read, write, outcome))

    try:
        opened = opening.open_at(scope, start, text, wish)
    except FileError as error:
        say(scope.looked, error.code)
        raise
    except OSError as error:  # for example no descriptor is left
        say(scope.looked, code_of(error))
        raise
    say(opened.path, OPENED)
    return opened
