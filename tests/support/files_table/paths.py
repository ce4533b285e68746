"""Paths as a guest may write them."""

from __future__ import annotations

from support.files_table.rows import (
    GIVEN,
    LAST,
    NO_SUCH_PATH,
    ONE_AT_A_TIME,
    Deed,
    Row,
    create,
    look,
    make_directory,
    names,
    of,
    ok,
    opened,
    read,
    readlink,
    remove_directory,
    rename,
    symlink,
    unlink,
    write,
)
from support.files_table.trees import DIRECTORY, GONE, Link, Tree, deep

# Python's library takes dots and slashes away.
_LIBRARY = (ok("inside"), ok("inside"))

PARENT = (
    Row("within", read("sub/../file"), ok("inside"), ok("inside")),
    Row("out", read("../beside/file"), "not-permitted", "not-permitted"),
    Row("out, after a name", read("sub/../../beside/file"), "not-permitted", "not-permitted"),
    Row("out and in again", read("../d/file"), "not-permitted", "not-permitted"),
    Row("out, written", write("../beside/new"), "not-permitted", "not-permitted"),
    Row("out, listed", names(".."), "not-permitted", "not-permitted"),
    Row("out, deleted", unlink("../beside/file"), "not-permitted", "not-permitted"),
    Row("out, moved there", rename("file", "../beside/new"), "not-permitted", "not-permitted"),
    Row("to what is denied", read("empty/../.env"), ok("SECRET"), "access"),
    Row("after a name that isn't there", read("none/../file"), "no-entry", "no-entry"),
    Row("after a file", read("file/../file"), "not-directory", "not-directory"),
    Row(
        "after a link: of where it leads", read("deep/../file"), ok("below"), ok("below"),
        disk={"sub/inner": None, "deep": Link("sub/inner")},
    ),
    Row(
        "out of a directory that was opened",
        opened("sub", how=("directory",)).then(opened("../file", at=LAST)),
        "not-permitted", "not-permitted", ONE_AT_A_TIME,
    ),
    Row("made", make_directory("sub/.."), "exist", "exist"),
    Row("removed", remove_directory("sub/.."), "invalid", "invalid"),
    Row("deleted", unlink("sub/.."), "is-directory", "is-directory"),
    Row("moved", rename("sub/..", "new"), "busy", "busy"),
)  # fmt: skip

DOT = (
    Row("first", read("./file"), ok("inside"), ok("inside")),
    Row("within", read("sub/./././file"), ok("below"), ok("below")),
    Row("to what is denied", read("./sub/./.env"), ok("SECRET"), "access"),
    Row("alone", look("."), ok("directory 4"), ok("directory 4")),
    Row("after a file", read("file/."), "not-directory", "not-directory", _LIBRARY),
    Row("made", make_directory("."), "exist", "exist"),
    Row("removed", remove_directory("empty/."), "invalid", "invalid"),
    Row("deleted", unlink("."), "is-directory", "is-directory"),
    Row("moved", rename(".", "new"), "busy", "busy"),
    Row("nothing at all", read(""), "no-entry", "no-entry", NO_SUCH_PATH),
)  # fmt: skip

SLASHES = (
    Row("doubled", read("sub//file"), ok("below"), ok("below")),
    Row("doubled, to what is denied", read("sub//.env"), ok("SECRET"), "access"),
    Row("after a directory", look("sub/"), ok("directory 2"), ok("directory 2")),
    Row("after a file", read("file/"), "not-directory", "not-directory", _LIBRARY),
    Row("after what is denied", read(".env/"), "not-directory", "access", (ok("SECRET"), "EACCES")),
    Row(
        "after a link to a directory", look("way/", follow=False), ok("directory 2"),
        ok("directory 2"), disk={"way": Link("sub")},
    ),
    Row(
        "after a link to a file", look("way/", follow=False), "not-directory", "not-directory",
        disk={"way": Link("file")},
    ),
    Row(
        "after a link, its text", readlink("way/"), "invalid", "invalid", disk={"way": Link("sub")},
    ),
    Row("a file is made", write("new/"), "is-directory", "is-directory", NO_SUCH_PATH),
    Row("a directory is made", make_directory("new/"), ok(), ok(), left={"new": DIRECTORY}),
    Row(
        "a directory is removed", remove_directory("empty/"), "invalid", ok(),
        left_exact={"empty": GONE}, why="Linux allows it, the engine doesn't",
    ),
    Row("a file is deleted", unlink("file/"), "not-directory", "not-directory"),
    Row(
        "a directory is moved", rename("empty/", "new/"), ok(), ok(),
        left={"empty": GONE, "new": DIRECTORY},
    ),
    Row("a file is moved", rename("file", "new/"), "not-directory", "not-directory"),
    Row("a link is made", symlink("new/", "file"), "no-entry", "no-entry"),
)  # fmt: skip

ABSOLUTE = (
    Row("read", read("/etc/passwd"), "not-permitted", "not-permitted", ("ENOENT", "ENOENT")),
    Row("its state", look("/"), "not-permitted", "not-permitted", ("ENOENT", "ENOENT")),
    Row("written", write("/new"), "not-permitted", "not-permitted", ("ENOENT", "ENOENT")),
    Row(
        "a directory is made", make_directory("/new"), "not-permitted", "not-permitted",
        ("ENOENT", "ENOENT"),
    ),
    Row(
        "moved there", rename("file", "/new"), "not-permitted", "not-permitted",
        ("ENOENT", "ENOENT"),
    ),
    Row("deleted", unlink("/etc/passwd"), "not-permitted", "not-permitted", ("ENOENT", "ENOENT")),
    Row(
        "two slashes", read("//etc/passwd"), "not-permitted", "not-permitted", ("ENOENT", "ENOENT"),
    ),
)  # fmt: skip

_NUL = ("ValueError", "ValueError")

NUL = (
    Row("within", read("file\0.txt"), "invalid", "invalid", _NUL),
    Row("before what is denied", read("none\0/../.env"), "invalid", "invalid", _NUL),
    Row("a file is made", write("new\0"), "invalid", "invalid", _NUL),
    Row("a directory is made", make_directory("new\0"), "invalid", "invalid", _NUL),
    Row("moved there", rename("file", "new\0"), "invalid", "invalid", _NUL),
    Row("a link leads there", symlink("new", "file\0"), "invalid", "not-permitted", _NUL),
)  # fmt: skip

_ODD: Tree = {"odd/a\udcff": "odd", "odd/b": "even", "way": Link(b"\xff")}

NON_UNICODE = (
    Row(
        "listed", names("odd"), "illegal-byte-sequence", ok("regular-file b\n"), disk=_ODD,
        why="the engine gives up, the guard leaves out what can't be named",
    ),
    Row(
        "what a link says", readlink("way"), "illegal-byte-sequence", "illegal-byte-sequence",
        disk=_ODD,
    ),
    Row(
        "what a link leads to", look("way"), ok("regular-file 1 3"), ok("regular-file 1 3"),
        disk={"way": Link(b"\xff"), "\udcff": "odd"},
    ),
    Row("asked for in other letters", read("odd/a\ufffd"), "no-entry", "no-entry", disk=_ODD),
    Row("its directory is removed", remove_directory("odd"), "not-empty", "not-empty", disk=_ODD),
    Row(
        "its directory is moved", rename("odd", "new"), ok(), ok(), disk=_ODD,
        left={
            "odd": GONE, "odd/a\udcff": GONE, "odd/b": GONE,
            "new": DIRECTORY, "new/a\udcff": "odd", "new/b": "even",
        },
    ),
)  # fmt: skip

_LONG, _TOO_LONG, _UMLAUTS = "n" * 255, "n" * 256, "ä" * 127 + "n"

LONG_NAMES = (
    Row("255 bytes, made", write(_LONG), ok(), ok(), left={_LONG: "new"}),
    Row("255 bytes, read", read(_LONG), ok("long"), ok("long"), disk={_LONG: "long"}),
    Row("255 bytes of 128 letters, made", create(_UMLAUTS), ok(), ok(), left={_UMLAUTS: "new"}),
    Row(
        "255 bytes, listed", names("odd"), ok(f"regular-file {_LONG}\n"),
        ok(f"regular-file {_LONG}\n"), disk={f"odd/{_LONG}": ""},
    ),
    Row("256 bytes, read", read(_TOO_LONG), "name-too-long", "name-too-long"),
    Row("256 bytes, made", write(_TOO_LONG), "name-too-long", "name-too-long"),
    Row("256 bytes, a directory", make_directory(_TOO_LONG), "name-too-long", "name-too-long"),
    Row("256 bytes, moved there", rename("file", _TOO_LONG), "name-too-long", "name-too-long"),
)  # fmt: skip

LONG_PATHS = (
    Row("4,095 bytes, read", read("./" * 2045 + "/file"), ok("inside"), ok("inside")),
    Row(
        "4,096 bytes, read", read("./" * 2046 + "file"), "name-too-long", "name-too-long", _LIBRARY,
    ),
    Row("4,095 bytes, to what is denied", read("./" * 2045 + "/.env"), ok("SECRET"), "access"),
    Row("4,095 bytes, made", write("./" * 2045 + "/new."), ok(), ok(), left={"new.": "new"}),
    Row(
        "5,000 bytes, made", write("./" * 2498 + "file"), "name-too-long", "name-too-long",
        NO_SUCH_PATH,
    ),
)  # fmt: skip

_LEVELS = 1000
_WAY = "deep/" + "n/" * _LEVELS
_QUARTER = "directory/" * (_LEVELS // 4)
_DEEP: Tree = {"deep": deep("n", _LEVELS)}
_BY_LINK: Tree = {**_DEEP, "way": Link("deep")}
_FAR: Tree = {"deep": deep("directory", _LEVELS)}


def _far(*deeds: Deed) -> Deed:
    """By four paths, each shorter than a path may be."""
    way = ("deep/" + _QUARTER, _QUARTER, _QUARTER, _QUARTER)
    first, *others = (
        opened(path, how=("directory",), at=LAST if number else GIVEN)
        for number, path in enumerate(way)
    )
    return first.then(*others, *deeds)


DEEP = (
    Row("read", read(f"{_WAY}file"), ok("deep"), ok("deep"), disk=_DEEP),
    Row("what is denied", read(f"{_WAY}.env"), ok("SECRET"), "access", disk=_DEEP),
    Row("written", write(f"{_WAY}file"), ok(), ok(), disk=_DEEP),
    Row(
        "listed", names(_WAY), ok("regular-file .env\nregular-file file\n"),
        ok("regular-file file\n"), disk=_DEEP,
    ),
    Row(
        "made and removed", make_directory(f"{_WAY}new").then(remove_directory(f"{_WAY}new")), ok(),
        ok(), ONE_AT_A_TIME, disk=_DEEP,
    ),
    Row(
        "up again", look(f"{_WAY}{'../' * (_LEVELS // 2)}n/../../n/n"), ok("directory 3"), "io",
        disk=_DEEP, why="of a path with `..` each directory is held open",
    ),
    Row(
        "by a link", read("way" + _WAY[4:] + "file"), ok("deep"), ok("deep"),
        disk=_BY_LINK,
    ),
    Row(
        "further than a path is long, read", _far(opened("file", at=LAST), of("read-stream")),
        ok("deep"), ok("deep"), NO_SUCH_PATH, disk=_FAR,
    ),
    Row(
        "further than a path is long, what is denied", _far(opened(".env", at=LAST)), ok(),
        "access", NO_SUCH_PATH, disk=_FAR,
    ),
    Row(
        "further than a path is long, made and deleted",
        _far(make_directory("new", at=LAST), opened("new", how=("directory",), at=LAST)), ok(),
        ok(), NO_SUCH_PATH, disk=_FAR,
    ),
    Row(
        "further than a path is long, listed", _far(of("names")),
        ok("regular-file .env\nregular-file file\n"), ok("regular-file file\n"), NO_SUCH_PATH,
        disk=_FAR,
    ),
)  # fmt: skip

_ALIKE: Tree = {
    ".ENV": "another",
    "sub/.Env": "a third",
    "e\u0301": "composed",
    ".env.": "",
    ".env ": "blank",
}

LOOK_ALIKES = (
    # Where names are compared by their case there are other files. Where they aren't, what is
    # denied could not be kept, and is refused: tests/authority/test_case_folding.py.
    Row("in capitals", read(".ENV"), ok("another"), ok("another"), disk=_ALIKE),
    Row("in capitals, where there is none", read("FILE"), "no-entry", "no-entry"),
    Row(
        "in capitals, written", write("sub/.Env"), ok(), ok(), disk=_ALIKE,
        left={"sub/.Env": "new"},
    ),
    Row(
        "in capitals, moved onto what is denied", rename(".ENV", ".env"), ok(), "access",
        disk=_ALIKE, left={".ENV": GONE, ".env": "another"}, left_exact={},
    ),
    Row("a dot or a blank at its end", read(".env "), ok("blank"), ok("blank"), disk=_ALIKE),
    Row("another way to write a letter", read("\xe9"), "no-entry", "no-entry", disk=_ALIKE),
    Row(
        "listed", names("sub"), ok("regular-file .Env\nregular-file .env\nregular-file file\n"),
        ok("regular-file .Env\nregular-file file\n"), disk=_ALIKE,
    ),
)  # fmt: skip
