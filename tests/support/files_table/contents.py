"""Bytes, listings, what is no file, and what is moved away while it is open."""

from __future__ import annotations

from support.files_table.rows import (
    BORDERS,
    BY_DESCRIPTOR,
    DEVICES,
    FIRST,
    LAST,
    LATE,
    ONE_AT_A_TIME,
    PART_DENIED,
    SOME,
    TO_READ,
    Deed,
    Host,
    Row,
    Step,
    link,
    look,
    make_directory,
    names,
    of,
    ok,
    opened,
    read,
    readlink,
    rename,
    set_times,
    truncate,
    unlink,
    write,
    write_at,
)
from support.files_table.trees import (
    DIRECTORY,
    GONE,
    SECRET,
    Link,
    Tree,
    deleted,
    fifo,
    moved,
    replaced_by,
    sparse,
    unix_socket,
)

PAST_END = (
    Row("read", read("file", 100), ok(), ok()),
    Row("read from within", read("file", 4), ok("de"), ok("de")),
    Row(
        "read by an offset", opened("file").then(of("read", number=100)), ok(), ok(), BY_DESCRIPTOR,
    ),
    Row("written", write_at("file", 8), ok(), ok(), left={"file": "inside\0\0!"}),
    Row(
        "written by an offset", opened("file", "write").then(of("write", "!", 8)), ok("1"), ok("1"),
        BY_DESCRIPTOR, left={"file": "inside\0\0!"},
    ),
    Row(
        "written, what is denied", write_at(".env", 8), ok(), "access",
        left={".env": "SECRET\0\0!"}, left_exact={},
    ),
    Row(
        "read, further than a file can be", opened("file").then(of("read", number=1 << 63)),
        "invalid", "invalid", BY_DESCRIPTOR,
    ),
    Row(
        "written, further than a file can be",
        opened("file", "write").then(of("write", "!", 1 << 63)), "invalid", "invalid",
        BY_DESCRIPTOR,
    ),
    Row(
        "by a stream, further than a file can be",
        opened("file").then(of("read-stream", number=1 << 63)), "invalid", "invalid", BY_DESCRIPTOR,
    ),
)  # fmt: skip

_GIB = 1 << 30
_SPARSE: Tree = {"holes": sparse(_GIB, b"end")}

SPARSE = (
    Row("its end is read", read("holes", _GIB - 3), ok("end"), ok("end"), disk=_SPARSE),
    Row(
        "its middle is read", opened("holes").then(of("read", number=_GIB // 2)), ok("\0" * 65536),
        ok("\0" * 65536), BY_DESCRIPTOR, disk=_SPARSE,
    ),
    Row(
        "its size", look("holes"), ok(f"regular-file 1 {_GIB}"), ok(f"regular-file 1 {_GIB}"),
        disk=_SPARSE,
    ),
    Row("made by its size", truncate("file", _GIB), ok(), ok(), left={"file": f"{_GIB} bytes"}),
    Row(
        "made by writing behind the end", write_at("file", _GIB), ok(), ok(),
        left={"file": f"{_GIB + 1} bytes"},
    ),
)  # fmt: skip

_USUAL = "directory empty\nregular-file file\ndirectory sub\n"
_ALL = "regular-file .env\n" + _USUAL
_MORE = (
    "directory drop\nregular-file one.txt\ndirectory open\nsymbolic-link secret\n"
    "regular-file two.txt\nsymbolic-link way\n"
)
_KINDS: Tree = {
    "way": Link("sub"),
    "secret": Link(".env"),
    "one.txt": "1",
    "two.txt": "2",
    "drop/in": "",
    "open/in": "",
}

LISTED = (
    Row("all", names(), ok(_ALL), ok(_USUAL)),
    Row("where it may only be read", names(), ok(_ALL), ok(_USUAL), grant=TO_READ),
    Row(
        "a directory below", names("sub"), ok("regular-file .env\nregular-file file\n"),
        ok("regular-file file\n"),
    ),
    Row(
        "by a link", names("way"), ok("regular-file .env\nregular-file file\n"),
        ok("regular-file file\n"), disk=_KINDS,
    ),
    Row("a file", names("file"), "not-directory", "not-directory"),
    Row(
        "what is denied", names("sub"), ok("regular-file .env\nregular-file file\n"), "access",
        grant=PART_DENIED,
    ),
    Row(
        "around what is denied", names(), ok(_ALL),
        ok("regular-file .env\ndirectory empty\nregular-file file\n"), grant=PART_DENIED,
    ),
    Row(
        "links, to what is denied too", names(), ok(_ALL + _MORE), ok(_USUAL + _MORE), disk=_KINDS,
    ),
    Row(
        "where only a pattern is granted", names(),
        ok(_ALL + "regular-file one.txt\nregular-file two.txt\n"),
        ok("regular-file one.txt\nregular-file two.txt\n"), grant=SOME, why="it is not granted",
        disk={"one.txt": "1", "two.txt": "2"},
    ),
    Row(
        "what no pattern grants, by its name", look("file"), ok("regular-file 1 6"), "access",
        grant=SOME,
    ),
    Row(
        "what no pattern grants and isn't there, by its name", look("none"), "no-entry", "access",
        grant=SOME,
    ),
    Row(
        "what is only written to", names("drop"), ok("regular-file in\n"), "access", grant=BORDERS,
        disk=_KINDS,
    ),
    Row("a directory of nothing", names("empty"), ok(), ok()),
)  # fmt: skip

_PROC: Tree = {
    "environ": Link("/proc/self/environ"),
    "root": Link("/proc/self/root"),
    "near": Link("../../../../../../../../proc/self/environ"),
}  # fmt: skip

PROC = (
    # To grant it is refused: tests/authority/test_directories.py.
    Row("by a link", read("environ"), "not-permitted", "not-permitted", disk=_PROC),
    Row(
        "by a link to the root", read("root/etc/passwd"), "not-permitted", "not-permitted",
        disk=_PROC,
    ),
    Row("by a link that goes up", read("near"), "not-permitted", "not-permitted", disk=_PROC),
    Row(
        "by its path", read("../../../../../../../../proc/self/environ"), "not-permitted",
        "not-permitted",
    ),
    Row("what a link says", readlink("environ"), "not-permitted", "not-permitted", disk=_PROC),
)  # fmt: skip

DEVICE = (
    # To grant it is refused, too; here it is granted all the same.
    Row(
        "read", read("null"), ok(), "not-permitted", grant=DEVICES,
        why="to open one does something already",
    ),
    Row("written", write("null"), ok(), "not-permitted", grant=DEVICES),
    Row(
        "its state", look("null"), ok("character-device 1"), ok("character-device 1"),
        grant=DEVICES,
    ),
)  # fmt: skip

_WAITS = "the engine opens it, and waits for its other end"
_KIND_UNTOLD = "the engine doesn't tell the kind"
_UNKNOWN = ok("unknown 1")
_FIFO: Tree = {"pipe": fifo}

FIFOS = (
    Row("read", read("pipe"), LATE, "not-permitted", disk=_FIFO, why=_WAITS),
    Row(
        "its state", look("pipe"), ok("unknown 1"), ok("fifo 1"), (_UNKNOWN, _UNKNOWN), disk=_FIFO,
        why=_KIND_UNTOLD,
    ),
    Row(
        "listed", names(), ok(_ALL + "unknown pipe\n"), ok(_USUAL + "fifo pipe\n"),
        (ok(_ALL + "unknown pipe\n"), ok(_USUAL + "unknown pipe\n")), disk=_FIFO, why=_KIND_UNTOLD,
    ),
    Row(
        "cut short", opened("pipe", "write", how=("truncate",)), LATE, "not-permitted",
        BY_DESCRIPTOR, disk=_FIFO, why=_WAITS,
    ),
    Row(
        "its times", set_times("pipe"), LATE, ok(), disk=_FIFO, left_exact={"pipe": "fifo @1"},
        why=_WAITS,
    ),
    # Nor may a worker make one: landlock(7).
    Row("moved", rename("pipe", "new"), "access", "access", disk=_FIFO),
    Row("deleted", unlink("pipe"), ok(), ok(), disk=_FIFO, left={"pipe": GONE}),
)  # fmt: skip

_SOCKET: Tree = {"socket": unix_socket}

SOCKETS = (
    Row("read", read("socket"), "io", "not-permitted", disk=_SOCKET),
    Row("written", write("socket"), "io", "not-permitted", disk=_SOCKET),
    Row(
        "its state", look("socket"), ok("unknown 1"), ok("socket 1"), disk=_SOCKET,
        why=_KIND_UNTOLD,
    ),
    Row("a second name", link("socket", "new"), "access", "not-permitted", disk=_SOCKET),
    Row("deleted", unlink("socket"), ok(), ok(), disk=_SOCKET, left={"socket": GONE}),
)  # fmt: skip

_NOT_OURS = "what is mounted there is not what was granted"

MOUNTS = (
    Row(
        "its state", look("pts", follow=False), ok("directory 2"), "access", grant=DEVICES,
        needs="/dev/pts/ptmx", why=_NOT_OURS,
    ),
    Row(
        "below it", look("pts/ptmx"), ok("character-device 1"), "access", grant=DEVICES,
        needs="/dev/pts/ptmx", why=_NOT_OURS,
    ),
    Row(
        "below and up again", look("pts/../null"), ok("character-device 1"), "access",
        grant=DEVICES, needs="/dev/pts/ptmx", why=_NOT_OURS,
    ),
)  # fmt: skip

_BY_PATH = "a file is opened by the path that its directory had"
_IN = ("directory",)


def _while_open(host: Host, *deeds: Deed) -> Deed:
    return opened("sub", how=_IN).then(host, *deeds)


_IT = opened("file", at=LAST).then(of("read-stream"))
_SUB_MOVED = {"sub": GONE, "sub/file": GONE, "sub/.env": GONE}
_TO_NEW = _SUB_MOVED | {"new": DIRECTORY, "new/file": "below", "new/.env": SECRET}
_TO_OUTSIDE = _SUB_MOVED | {
    "../beside/new": DIRECTORY,
    "../beside/new/file": "below",
    "../beside/new/.env": SECRET,
}

OPEN_DIRECTORIES = (
    Row(
        "deleted, listed", _while_open(deleted("sub"), of("names")), ok(), ok(), ONE_AT_A_TIME,
        left=_SUB_MOVED,
    ),
    Row(
        "deleted, a file in it", _while_open(deleted("sub"), _IT), "no-entry", "no-entry",
        ONE_AT_A_TIME, left=_SUB_MOVED,
    ),
    Row(
        "deleted, a file is made in it",
        _while_open(deleted("sub"), opened("new", "write", how=("create",), at=LAST)), "no-entry",
        "no-entry", ONE_AT_A_TIME, left=_SUB_MOVED,
    ),
    Row(
        "deleted, its state", _while_open(deleted("sub"), of("stat")), ok("directory 0"),
        ok("directory 0"), ONE_AT_A_TIME, left=_SUB_MOVED,
    ),
    Row(
        "moved, listed", _while_open(moved("sub", "new"), of("names")),
        ok("regular-file .env\nregular-file file\n"), ok("regular-file file\n"), ONE_AT_A_TIME,
        left=_TO_NEW,
    ),
    Row(
        "moved, a file in it", _while_open(moved("sub", "new"), _IT), ok("below"), "no-entry",
        ONE_AT_A_TIME, left=_TO_NEW, why=_BY_PATH,
    ),
    Row(
        "moved, what is denied in it", _while_open(moved("sub", "new"), opened(".env", at=LAST)),
        ok(), "access", ONE_AT_A_TIME, left=_TO_NEW,
    ),
    Row(
        "moved, a directory is made in it",
        _while_open(moved("sub", "new"), make_directory("made", at=LAST)), ok(), ok(),
        ONE_AT_A_TIME, left=_TO_NEW | {"new/made": DIRECTORY},
    ),
    Row(
        "moved out, a file in it", _while_open(moved("sub", "../beside/new"), _IT), "access",
        "no-entry", ONE_AT_A_TIME, left=_TO_OUTSIDE, why=_BY_PATH,
    ),
    Row(
        "moved, another file in its place", _while_open(replaced_by("sub", "no directory"), _IT),
        ok("below"), "not-directory", ONE_AT_A_TIME,
        left=_SUB_MOVED | {
            "sub": "no directory", "old": DIRECTORY, "old/file": "below", "old/.env": SECRET,
        },
        why=_BY_PATH,
    ),
    Row(
        "moved by the guest, a file in it", opened("sub", how=_IN).then(rename("sub", "new"), _IT),
        ok("below"), ok("below"), ONE_AT_A_TIME, left=_TO_NEW,
    ),
    Row(
        "moved by the guest, it is the same",
        opened("sub", how=_IN).then(
            rename("sub", "new"), opened("new", how=_IN),
            Deed((Step("same", at=FIRST, other=LAST),)),
        ),
        ok("yes"), ok("yes"), ONE_AT_A_TIME, left=_TO_NEW,
    ),
    Row(
        "moved by the guest, it has the same hash",
        opened("sub", how=_IN).then(
            rename("sub", "new"), Deed((Step("same-hash", "new", other=FIRST),)),
        ),
        ok("yes"), ok("yes"), ONE_AT_A_TIME, left=_TO_NEW,
    ),
    Row(
        "the granted one is moved, a file in it",
        look("file").then(
            moved(".", "../new"), opened("file"), moved("../new", "."), of("read-stream"),
        ),
        ok("inside"), ok("inside"), ONE_AT_A_TIME,
    ),
    Row(
        "a file that is moved, read on",
        opened("file").then(moved("file", "new"), of("read-stream")), ok("inside"), ok("inside"),
        ONE_AT_A_TIME, left={"file": GONE, "new": "inside"},
    ),
)  # fmt: skip
