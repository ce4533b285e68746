"""A guest with one operation of Python's library for each thing that is tried with files."""

import errno
import os
import stat
from pathlib import Path

import wit_world

_KINDS = {
    stat.S_IFREG: "regular-file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic-link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character-device",
    stat.S_IFBLK: "block-device",
}


def _read(path: str, _: str, number: int) -> str:
    with Path(path).open("rb", buffering=0) as file:
        file.seek(number)
        return file.read().decode()


def _written(path: str, mode: str, text: str) -> str:
    with Path(path).open(mode, encoding="utf-8") as file:
        file.write(text)
    return ""


def _write_at(path: str, to: str, number: int) -> str:
    with Path(path).open("r+b", buffering=0) as file:
        file.seek(number)
        file.write(to.encode())
    return ""


def _truncate(path: str, _: str, number: int) -> str:
    os.truncate(path, number)
    return ""


def _told(found: os.stat_result) -> str:
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "unknown")
    size = f" {found.st_size}" if kind == "regular-file" else ""
    return f"{kind} {found.st_nlink}{size}"


def _names(path: str, *_: object) -> str:
    def kind(entry: os.DirEntry[str]) -> str:
        return _KINDS.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "unknown")

    with os.scandir(path) as entries:
        return "".join(f"{kind(entry)} {entry.name}\n" for entry in entries)


def _set_times(path: str, follow: bool, number: int) -> str:  # noqa: FBT001 - a row's column
    os.utime(path, (number, number), follow_symlinks=follow)
    return ""


def _done(_: object) -> str:
    return ""


_OPERATIONS = {
    "read": _read,
    "write": lambda path, to, _: _written(path, "w", to),
    "create": lambda path, to, _: _written(path, "x", to),
    "append": lambda path, to, _: _written(path, "a", to),
    "write-at": _write_at,
    "truncate": _truncate,
    "stat": lambda path, *_: _told(os.stat(path)),  # noqa: PTH116 - as it is called
    "lstat": lambda path, *_: _told(os.lstat(path)),
    "readlink": lambda path, *_: os.readlink(path),  # noqa: PTH115 - as it is called
    "names": _names,
    "mkdir": lambda path, *_: _done(os.mkdir(path)),  # noqa: PTH102 - as it is called
    "rmdir": lambda path, *_: _done(os.rmdir(path)),  # noqa: PTH106 - as it is called
    "unlink": lambda path, *_: _done(os.unlink(path)),  # noqa: PTH108 - as it is called
    "symlink": lambda path, to, _: _done(os.symlink(to, path)),  # noqa: PTH211 - as above
    "link": lambda path, to, _: _done(os.link(path, to)),
    "rename": lambda path, to, _: _done(os.rename(path, to)),  # noqa: PTH104 - as above
    "utime": lambda path, _, number: _set_times(path, True, number),  # noqa: FBT003 - as above
    "lutime": lambda path, _, number: _set_times(path, False, number),  # noqa: FBT003 - as above
}


def _answer(attempt: wit_world.Attempt) -> wit_world.Answer:
    operation = _OPERATIONS[attempt.operation]
    try:
        return wit_world.Answer(True, operation(attempt.path, attempt.to, attempt.number))  # noqa: FBT003 - generated
    except OSError as error:
        return wit_world.Answer(False, errno.errorcode.get(error.errno, str(error.errno)))  # noqa: FBT003 - as above
    except (ValueError, NotImplementedError) as error:
        return wit_world.Answer(False, type(error).__name__)  # noqa: FBT003 - as above


class WitWorld(wit_world.WitWorld):
    def run(self, attempts: list[wit_world.Attempt]) -> list[wit_world.Answer]:
        return [_answer(attempt) for attempt in attempts]
