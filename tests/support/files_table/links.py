"""Links: pointing out, to what is denied, in chains and loops, and swapped in the moment of use."""

from __future__ import annotations

from support.files_table.rows import (
    ONE_AT_A_TIME,
    PART_DENIED,
    Row,
    look,
    names,
    of,
    ok,
    opened,
    race,
    read,
    readlink,
    rename,
    set_times,
    symlink,
    truncate,
    unlink,
    write,
)
from support.files_table.trees import DIRECTORY, GONE, Link, Tree, replaced_by

_OUT: Tree = {
    "out": Link("../beside/file"),
    "up": Link(".."),
    "absolute": Link("/etc/passwd"),
    "sub/in": Link("../file"),
    "../s/there": "another grant",
    "other": Link("../s/there"),
}

OUT = (
    Row("read", read("out"), "not-permitted", "not-permitted", disk=_OUT),
    Row("written", write("out"), "not-permitted", "not-permitted", disk=_OUT),
    Row("cut short", truncate("out"), "not-permitted", "not-permitted", disk=_OUT),
    Row("its state", look("out"), "not-permitted", "not-permitted", disk=_OUT),
    Row(
        "its own state", look("out", follow=False), ok("symbolic-link 1"), ok("symbolic-link 1"),
        disk=_OUT,
    ),
    Row("its text", readlink("out"), ok("../beside/file"), ok("../beside/file"), disk=_OUT),
    Row("its times", set_times("out"), "not-permitted", "not-permitted", disk=_OUT),
    Row("listed", names("up"), "not-permitted", "not-permitted", disk=_OUT),
    Row("on the way", read("up/beside/file"), "not-permitted", "not-permitted", disk=_OUT),
    Row("made below", write("up/new"), "not-permitted", "not-permitted", disk=_OUT),
    Row("moved to below", rename("file", "up/new"), "not-permitted", "not-permitted", disk=_OUT),
    Row("deleted", unlink("out"), ok(), ok(), disk=_OUT, left={"out": GONE}),
    Row("deleted below", unlink("up/beside/file"), "not-permitted", "not-permitted", disk=_OUT),
    Row("absolute, read", read("absolute"), "not-permitted", "not-permitted", disk=_OUT),
    Row("absolute, its text", readlink("absolute"), "not-permitted", "not-permitted", disk=_OUT),
    Row("absolute, written", write("absolute"), "not-permitted", "not-permitted", disk=_OUT),
    Row("to another grant", read("other"), "not-permitted", "not-permitted", disk=_OUT),
    Row(
        "made by the guest", symlink("new", "../beside/file"), ok(), "not-permitted",
        left={"new": "-> ../beside/file"}, left_exact={},
        why="a program of the host might follow it",
    ),
    Row(
        "made by the guest, absolute", symlink("new", "/etc/passwd"), "not-permitted",
        "not-permitted",
    ),
    Row(
        "made by the guest, within", symlink("sub/new", "../file"), ok(), ok(),
        left={"sub/new": "-> ../file"},
    ),
    Row(
        "made by the guest, over a name and up", symlink("new", "sub/../file"), ok(),
        "not-permitted",
        left={"new": "-> sub/../file"}, left_exact={}, why="`sub` may be made a link",
    ),
    Row(
        "made by a move", rename("sub/in", "in"), ok(), "not-permitted", disk=_OUT,
        left={"sub/in": GONE, "in": "-> ../file"}, left_exact={},
        why="nearer to the top it leads out",
    ),
    Row(
        "made by a move of its directory", rename("sub/inner", "inner"), ok(), "cross-device",
        disk={"sub/inner/in": Link("../../file")},
        left={
            "sub/inner": GONE, "sub/inner/in": GONE, "inner": DIRECTORY,
            "inner/in": "-> ../../file",
        },
        left_exact={}, why="programs then copy each entry, and each is looked at",
    ),
)  # fmt: skip

_DENIED: Tree = {
    "secret": Link("sub/.env"),
    "closed/file": "SECRET",
    "way": Link("closed"),
    "empty/.env": Link("../file"),
    "dangling": Link("empty/sub/.env"),
    "empty/sub": None,
}

TO_DENIED = (
    Row("read", read("secret"), ok("SECRET"), "access", disk=_DENIED),
    Row(
        "written", write("secret"), ok(), "access", disk=_DENIED, left={"sub/.env": "new"},
        left_exact={},
    ),
    Row(
        "cut short", truncate("secret"), ok(), "access", disk=_DENIED, left={"sub/.env": ""},
        left_exact={},
    ),
    Row("its state", look("secret"), ok("regular-file 1 6"), "access", disk=_DENIED),
    Row(
        "its own state", look("secret", follow=False), ok("symbolic-link 1"), ok("symbolic-link 1"),
        disk=_DENIED,
    ),
    Row("its text", readlink("secret"), ok("sub/.env"), ok("sub/.env"), disk=_DENIED),
    Row(
        "its times", set_times("secret"), ok(), "access", disk=_DENIED,
        left={"sub/.env": "SECRET @1"}, left_exact={},
    ),
    Row(
        "its own times", set_times("secret", follow=False), ok(), ok(), disk=_DENIED,
        left={"secret": "-> sub/.env @1"},
    ),
    Row(
        "created through it", write("dangling"), ok(), "access", disk=_DENIED,
        left={"empty/sub/.env": "new"}, left_exact={},
    ),
    Row("deleted", unlink("secret"), ok(), ok(), disk=_DENIED, left={"secret": GONE}),
    Row(
        "moved", rename("secret", "s"), ok(), ok(), disk=_DENIED,
        left={"secret": GONE, "s": "-> sub/.env"},
    ),
    Row(
        "to a denied directory, listed", names("way"), ok("regular-file .env\nregular-file file\n"),
        "access", grant=PART_DENIED, disk={"way": Link("sub")},
    ),
    Row(
        "to a denied directory, below", read("way/file"), ok("below"), "access", grant=PART_DENIED,
        disk={"way": Link("sub")},
    ),
    Row(
        "that is denied itself and leads to what isn't", read("empty/.env"), ok("inside"),
        ok("inside"), disk=_DENIED,
    ),
    Row(
        "that is denied itself, its text", readlink("empty/.env"), ok("../file"), "access",
        disk=_DENIED,
    ),
    Row(
        "that is denied itself, deleted", unlink("empty/.env"), ok(), "access", disk=_DENIED,
        left={"empty/.env": GONE}, left_exact={},
    ),
    Row(
        "made by the guest", symlink("new", "sub/.env").then(read("new")), ok("SECRET"), "access",
        ONE_AT_A_TIME,
        left={"new": "-> sub/.env"},
    ),
)  # fmt: skip

_CHAIN: Tree = {f"l{number}": Link(f"l{number + 1}") for number in range(1, 41)} | {
    "l41": Link("file")
}
_LOOP: Tree = {
    "a": Link("b"),
    "b": Link("a"),
    "self": Link("self"),
    "here": Link("."),
    "round": Link("sub/../round/x"),
}

CHAINS = (
    Row("40 links", read("l2"), ok("inside"), ok("inside"), disk=_CHAIN),
    Row("41 links", read("l1"), "loop", "loop", disk=_CHAIN),
    Row(
        "41 links, its own state", look("l1", follow=False), ok("symbolic-link 1"),
        ok("symbolic-link 1"), disk=_CHAIN,
    ),
    Row("a loop of two", read("a"), "loop", "loop", disk=_LOOP),
    Row("a loop of two, written", write("a"), "loop", "loop", disk=_LOOP),
    Row("a loop of two, on the way", read("a/file"), "loop", "loop", disk=_LOOP),
    Row("a link to itself, its state", look("self"), "loop", "loop", disk=_LOOP),
    Row("a link to itself, its text", readlink("self"), ok("self"), ok("self"), disk=_LOOP),
    Row("a link below itself", read("round"), "loop", "loop", disk=_LOOP),
    Row(
        "a directory that has itself in it", read("here/here/here/file"), ok("inside"),
        ok("inside"), disk=_LOOP,
    ),
    Row(
        "a directory that has itself in it, and what is denied", read("here/here/.env"),
        ok("SECRET"),
        "access", disk=_LOOP,
    ),
)  # fmt: skip

_SWAPPED: Tree = {
    "place/file": "inside",
    "to-outside": Link("../beside"),
    "to-denied": Link("sub/.env"),
    "open": "inside",
    "link-out": Link("../beside/file"),
}

SWAPPED = (
    Row(
        "a file and a link out", race("open"), ok("inside, not-permitted"),
        ok("inside, not-permitted"),
        ONE_AT_A_TIME, disk=_SWAPPED, swaps=("open", "link-out"),
    ),
    Row(
        "a directory and a link out", race("place/file"), ok("inside, not-permitted"),
        ok("inside, not-permitted"), ONE_AT_A_TIME, disk=_SWAPPED, swaps=("place", "to-outside"),
    ),
    Row(
        "a file and a link to what is denied", race("open"), ok("SECRET, inside"),
        ok("access, inside"),
        ONE_AT_A_TIME, disk=_SWAPPED, swaps=("open", "to-denied"),
    ),
    Row(
        "a file that was looked at becomes a link out",
        look("file").then(replaced_by("file", Link("../beside/file")), read("file")),
        "not-permitted", "not-permitted", ONE_AT_A_TIME,
        left={"file": "-> ../beside/file", "old": "inside"},
    ),
    Row(
        "a file that was looked at becomes a link to what is denied",
        look("file").then(replaced_by("file", Link(".env")), read("file")),
        ok("SECRET"), "access", ONE_AT_A_TIME, left={"file": "-> .env", "old": "inside"},
    ),
    Row(
        "a file that was opened becomes a link out",
        opened("file").then(replaced_by("file", Link("../beside/file")), of("read-stream")),
        ok("inside"), ok("inside"), ONE_AT_A_TIME,
        left={"file": "-> ../beside/file", "old": "inside"},
    ),
    Row(
        "a directory that was opened becomes a link out",
        opened(
            "empty", how=("directory",)).then(replaced_by("empty", Link("../beside")), of("names"),
        ),
        ok(), ok(), ONE_AT_A_TIME, left={"empty": "-> ../beside", "old": DIRECTORY},
    ),
)  # fmt: skip
