"""The words of the table: what a guest does with files, and what comes of it."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from support.files_table.trees import GRANTED, Tree
from wassette_worker.guards.files.codes import CODES

READ, WRITE = "read", "write"
CREATE, EXCLUSIVE, TRUNCATE, ONLY_DIRECTORY = "create", "exclusive", "truncate", "directory"

# --- what is granted -------------------------------------------------------------------------


class Grant(NamedTuple):
    """The rules of exact mode; plain mode gives the whole directory, to read or to write, too."""

    allow: Mapping[str, Access]
    deny: Mapping[str, Access] = {}
    directory: str = GRANTED

    @property
    def plain(self) -> Grant:
        access = BOTH if any(WRITE in each for each in self.allow.values()) else TO_BE_READ
        return Grant({self.directory: access})


Access: TypeAlias = tuple[str, ...]
TO_BE_READ, TO_BE_WRITTEN, BOTH = (READ,), (WRITE,), (READ, WRITE)
_ENV = {f"{GRANTED}/**/.env": BOTH}
WHOLE = Grant({GRANTED: BOTH}, _ENV)
TO_READ = Grant({GRANTED: TO_BE_READ}, _ENV)
WITHOUT_DENY = Grant({GRANTED: BOTH})
PART_DENIED = Grant({GRANTED: BOTH}, {"d/sub": BOTH})
FILE_DENIED = Grant({GRANTED: BOTH}, {"d/sub/.env": BOTH})
# `kept` is only read, `drop` only written to.
BORDERS = Grant({GRANTED: BOTH}, {"d/kept": TO_BE_WRITTEN, "d/drop": TO_BE_READ})
SOME = Grant({"d/*.txt": TO_BE_READ})
DEVICES = Grant({"/dev": BOTH}, {"/dev/**/.env": BOTH}, "/dev")

# --- what is done ----------------------------------------------------------------------------

GIVEN, SIGNALS, FIRST, LAST = range(4)  # descriptors: the granted ones, and what was opened


class Step(NamedTuple):
    """One operation of the guest in C."""

    operation: str
    path: str = ""
    to: str = ""
    number: int = 0
    at: int = GIVEN
    other: int = GIVEN
    follow: bool = False
    how: tuple[str, ...] = ()
    access: tuple[str, ...] = ()

    def told(self, numbers: Sequence[int]) -> dict[str, Any]:
        """As the guest's argument: descriptors by their numbers."""
        return self._asdict() | {"at": numbers[self.at], "other": numbers[self.other]}


# Another process is told, and has done something.
READY, GO = "ready", "go"
MEANWHILE = (
    Step("make-directory", READY, at=SIGNALS),
    Step("await", GO, at=SIGNALS),
    Step("remove-directory", GO, at=SIGNALS),
)
Host: TypeAlias = Callable[[Path], None]  # another process, which gets the granted directory


class Python(NamedTuple):
    """The same by Python's library."""

    operation: str
    path: str
    to: str = ""
    number: int = 0


class Deed(NamedTuple):
    """Steps, up to the first that fails."""

    steps: tuple[Step | Host, ...]
    python: Python | None = None

    def then(self, *others: Deed | Host) -> Deed:
        steps = self.steps
        for other in others:
            steps += other.steps if isinstance(other, Deed) else (other,)
        return Deed(steps)


def opened(
    path: str, *access: str, how: tuple[str, ...] = (), follow: bool = True, at: int = GIVEN
) -> Deed:
    return Deed((Step("open", path, at=at, how=how, access=access or (READ,), follow=follow),))


def of(
    operation: str, to: str = "", number: int = 0, *, at: int = LAST, other: int = GIVEN
) -> Deed:
    """Of what is open."""
    return Deed((Step(operation, to=to, number=number, at=at, other=other),))


def read(path: str, number: int = 0) -> Deed:
    steps = opened(path).then(of("read-stream", number=number)).steps
    return Deed(steps, Python("read", path, number=number))


def write(path: str, text: str = "new") -> Deed:
    steps = opened(path, WRITE, how=(CREATE, TRUNCATE)).then(of("write-stream", text)).steps
    return Deed(steps, Python("write", path, text))


def create(path: str, text: str = "new") -> Deed:
    """Only if there is nothing yet."""
    steps = opened(path, WRITE, how=(CREATE, EXCLUSIVE)).then(of("write-stream", text)).steps
    return Deed(steps, Python("create", path, text))


def append(path: str, text: str = "+") -> Deed:
    steps = opened(path, WRITE, how=(CREATE,)).then(of("append", text)).steps
    return Deed(steps, Python("append", path, text))


def write_at(path: str, number: int, text: str = "!") -> Deed:
    steps = opened(path, READ, WRITE).then(of("write-stream", text, number)).steps
    return Deed(steps, Python("write-at", path, text, number))


def truncate(path: str, number: int = 0) -> Deed:
    steps = opened(path, WRITE).then(of("set-size", number=number)).steps
    return Deed(steps, Python("truncate", path, number=number))


def names(path: str = ".") -> Deed:
    steps = opened(path, how=(ONLY_DIRECTORY,)).then(of("names")).steps
    return Deed(steps, Python("names", path))


def look(path: str, *, follow: bool = True, at: int = GIVEN) -> Deed:
    step = Step("stat-at", path, follow=follow, at=at)
    return Deed((step,), Python("stat" if follow else "lstat", path))


def readlink(path: str) -> Deed:
    return Deed((Step("readlink-at", path),), Python("readlink", path))


def set_times(path: str, number: int = 1, *, follow: bool = True) -> Deed:
    step = Step("set-times-at", path, number=number, follow=follow)
    return Deed((step,), Python("utime" if follow else "lutime", path, number=number))


def make_directory(path: str, at: int = GIVEN) -> Deed:
    return Deed((Step("make-directory", path, at=at),), Python("mkdir", path))


def remove_directory(path: str) -> Deed:
    return Deed((Step("remove-directory", path),), Python("rmdir", path))


def unlink(path: str, at: int = GIVEN) -> Deed:
    return Deed((Step("unlink", path, at=at),), Python("unlink", path))


def symlink(path: str, to: str) -> Deed:
    return Deed((Step("symlink", path, to),), Python("symlink", path, to))


def link(path: str, to: str) -> Deed:
    return Deed((Step("link", path, to),), Python("link", path, to))


def rename(path: str, to: str) -> Deed:
    return Deed((Step("rename", path, to),), Python("rename", path, to))


def race(path: str) -> Deed:
    """Read a path again and again, while two entries are exchanged."""
    return Deed((Step("race", path),))


# --- what comes of it ------------------------------------------------------------------------

Left: TypeAlias = Mapping[str, str]  # what is another on disk, by its path in the granted directory


LATE = "wall_time"  # the limit: it would wait for ever


def ok(text: str = "") -> str:
    """An answer, in place of the name of an error."""
    return f"ok: {text}"


def in_order(answer: str) -> str:
    """The entries of a directory come in any."""
    if not answer.endswith("\n"):
        return answer
    lines = answer.removeprefix(ok()).splitlines()
    return ok("".join(f"{line}\n" for line in sorted(lines)))


NOTHING: Tree = MappingProxyType({})
UNCHANGED: Left = MappingProxyType({})


class Row(NamedTuple):
    name: str
    does: Deed
    plain: str
    exact: str
    # By Python, if not the errnos of the same errors: of both modes, or why it can't be said.
    python: str | tuple[str, str] | None = None
    disk: Tree = NOTHING
    grant: Grant = WHOLE
    left: Left = UNCHANGED
    left_exact: Left | None = None  # if it isn't that of plain mode
    why: str = ""  # why both modes differ, if it isn't that a rule denies it
    swaps: tuple[str, str] | None = None  # another process exchanges these at full speed
    needs: str | None = None  # a path of this machine, without which there is no such row

    @property
    def can_be(self) -> bool:
        return self.needs is None or Path(self.needs).exists()

    @property
    def is_disturbed(self) -> bool:
        """Whether another process changes something meanwhile."""
        return any(callable(each) for each in self.does.steps)

    def expected(self, mode: str) -> str:
        return in_order(self.exact if mode == "exact" else self.plain)

    def expected_of_python(self, mode: str) -> str:
        if isinstance(self.python, tuple):
            return in_order(self.python[mode == "exact"])
        expected = self.expected(mode)
        return _ERRNO.get(expected, expected)

    def expected_left(self, mode: str) -> Left:
        if mode == "exact" and self.left_exact is not None:
            return self.left_exact
        return self.left


_ERRNO = {code: errno.errorcode[number] for number, code in CODES.items()} | {"io": "EIO"}

# Why Python's library can't say it.
ONE_AT_A_TIME = "Python: one operation a call, and no other process meanwhile"
BY_DESCRIPTOR = "Python's open has no such flags, or no such operation on what is open"
NO_SUCH_PATH = "Python's library resolves or refuses such a path itself"


def identifier(item: str, row: Row) -> str:
    return re.sub(r"[^\w.,/ -]", "", f"{item}, {row.name}").replace(" ", "-")
