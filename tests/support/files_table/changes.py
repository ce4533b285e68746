"""What a guest changes: names, and who may read or write by them."""

from __future__ import annotations

from support.files_table.rows import (
    BORDERS,
    BY_DESCRIPTOR,
    FILE_DENIED,
    ONE_AT_A_TIME,
    PART_DENIED,
    SIGNALS,
    TO_READ,
    WITHOUT_DENY,
    Deed,
    Row,
    Step,
    append,
    create,
    link,
    look,
    make_directory,
    of,
    ok,
    opened,
    read,
    remove_directory,
    rename,
    set_times,
    symlink,
    truncate,
    unlink,
    write,
)
from support.files_table.trees import DIRECTORY, GONE, SECRET, Link, Tree, second_name_of

_TWO: Tree = {
    "innocent": second_name_of(".env"),
    "shared": second_name_of("../beside/file"),
    "pair": second_name_of("sub/file"),
}
_MAY_BE_DENIED = "by another name it may be one that is denied"
_TWO_NAMES = "a file of two names could not be written to any more"
_OWN_RULES = "each grant has its own rules"
_SHARED = "what is done by a name that is granted is done to the file, whatever names it has"

HARD_LINKS = (
    Row("to what is denied, read", read("innocent"), ok(SECRET), "access", disk=_TWO),
    Row(
        "to what is denied, written", write("innocent"), ok(), "access", disk=_TWO,
        left={"innocent": "new", ".env": "new"}, left_exact={},
    ),
    Row(
        "to what is denied, its state", look("innocent"), ok("regular-file 2 6"),
        ok("regular-file 2 6"), disk=_TWO,
    ),
    Row(
        "to what is granted, read", read("pair"), ok("below"), "access", disk=_TWO,
        why=_MAY_BE_DENIED,
    ),
    Row(
        "to outside, where anything is denied", read("shared"), ok("outside"), "access", disk=_TWO,
        why=_MAY_BE_DENIED,
    ),
    Row(
        "to outside, where nothing is denied", read("shared"), ok("outside"), ok("outside"),
        disk=_TWO, grant=WITHOUT_DENY, why=_SHARED,
    ),
    Row(
        "to outside, written, where nothing is denied", write("shared"), ok(), "access", disk=_TWO,
        grant=WITHOUT_DENY, left={"shared": "new", "../beside/file": "new"}, left_exact={},
        why="it may be one that is shielded",
    ),
    Row("deleted", unlink("innocent"), ok(), ok(), disk=_TWO, left={"innocent": GONE}),
    Row(
        "made", link("file", "new"), ok(), "not-permitted", left={"new": "inside"}, left_exact={},
        why=_TWO_NAMES,
    ),
    Row(
        "made of what is denied", link(".env", "new"), ok(), "access", left={"new": SECRET},
        left_exact={},
    ),
    Row(
        "made as what is denied", link("file", "empty/.env"), ok(), "access",
        left={"empty/.env": "inside"}, left_exact={},
    ),
    Row("made of a directory", link("sub", "new"), "not-permitted", "not-permitted"),
    Row("made over what is there", link("file", "sub/file"), "exist", "not-permitted"),
    Row(
        "made of a link", link("way", "new"), ok(), "not-permitted", disk={"way": Link("file")},
        left={"new": "-> file"}, left_exact={}, why="links are made as links",
    ),
    Row("made of what is outside", link("../beside/file", "new"), "not-permitted", "not-permitted"),
)  # fmt: skip

_PLACES: Tree = {
    "open/file": "open", "open/inner/file": "inner", "drop/file": "dropped",
    "kept/file": "kept",
}  # fmt: skip
_MOVED_SUB = {
    "sub": GONE, "sub/file": GONE, "sub/.env": GONE,
    "new": DIRECTORY, "new/file": "below", "new/.env": SECRET,
}  # fmt: skip

BORDERS_CROSSED = (
    Row(
        "moved to where it is only read", rename("open/file", "kept/new"), ok(), "access",
        disk=_PLACES, grant=BORDERS, left={"open/file": GONE, "kept/new": "open"}, left_exact={},
    ),
    Row(
        "moved from where it is only read", rename("kept/file", "new"), ok(), "access",
        disk=_PLACES, grant=BORDERS, left={"kept/file": GONE, "new": "kept"}, left_exact={},
    ),
    Row(
        "moved to where it would be read", rename("drop/file", "open/new"), ok(), "access",
        disk=_PLACES, grant=BORDERS, left={"drop/file": GONE, "open/new": "dropped"}, left_exact={},
    ),
    Row(
        "moved to where it isn't read any more", rename("open/file", "drop/new"), ok(), ok(),
        disk=_PLACES, grant=BORDERS, left={"open/file": GONE, "drop/new": "open"},
    ),
    Row(
        "a directory, to where it isn't read any more", rename("open/inner", "drop/new"), ok(),
        "cross-device", disk=_PLACES, grant=BORDERS,
        left={
            "open/inner": GONE, "open/inner/file": GONE, "drop/new": DIRECTORY,
            "drop/new/file": "inner",
        },
        left_exact={}, why="programs then copy each file, and each is judged",
    ),
    Row(
        "a directory, within", rename("open/inner", "open/new"), ok(), ok(), disk=_PLACES,
        grant=BORDERS,
        left={
            "open/inner": GONE, "open/inner/file": GONE, "open/new": DIRECTORY,
            "open/new/file": "inner",
        },
    ),
    Row(
        "onto what is denied", rename("file", ".env"), ok(), "access",
        left={"file": GONE, ".env": "inside"}, left_exact={},
    ),
    Row(
        "what is denied", rename(".env", "new"), ok(), "access", left={".env": GONE, "new": SECRET},
        left_exact={},
    ),
    Row(
        "a directory with what is denied everywhere", rename("sub", "new"), ok(), ok(),
        left=_MOVED_SUB,
    ),
    Row(
        "a directory with what is denied there alone", rename("sub", "new"), ok(), "cross-device",
        grant=FILE_DENIED, left=_MOVED_SUB, left_exact={},
        why="under the new name nothing of it would be denied",
    ),
    Row(
        "a denied directory", rename("sub", "new"), ok(), "access", grant=PART_DENIED,
        left=_MOVED_SUB, left_exact={},
    ),
    Row(
        "a directory that becomes one that is denied", rename("empty", "sub"), "not-empty",
        "access", grant=PART_DENIED,
    ),
    Row(
        "onto a file", rename("file", "sub/file"), ok(), ok(),
        left={"file": GONE, "sub/file": "inside"},
    ),
    Row(
        "into another grant", Deed((Step("rename", "file", "new", other=SIGNALS),)), ok(), ok(),
        ONE_AT_A_TIME, left={"file": GONE},
    ),
    Row(
        "a directory, into another grant", Deed((Step("rename", "empty", "new", other=SIGNALS),)),
        ok(), "cross-device", ONE_AT_A_TIME, left={"empty": GONE}, left_exact={},
        why=_OWN_RULES,
    ),
    Row(
        "linked to where it would be written", link("kept/file", "new"), ok(), "access",
        disk=_PLACES, grant=BORDERS, left={"new": "kept"}, left_exact={},
    ),
    Row(
        "linked to where it would be read", link("drop/file", "open/new"), ok(), "access",
        disk=_PLACES, grant=BORDERS, left={"open/new": "dropped"}, left_exact={},
    ),
    Row(
        "linked within", link("open/file", "open/new"), ok(), "not-permitted", disk=_PLACES,
        grant=BORDERS, left={"open/new": "open"}, left_exact={}, why=_TWO_NAMES,
    ),
    Row(
        "linked into another grant", Deed((Step("link", "file", "new", other=SIGNALS),)), ok(),
        "cross-device", ONE_AT_A_TIME, grant=WITHOUT_DENY, why=_OWN_RULES,
    ),
)  # fmt: skip

_CLOSED: Tree = {"dangling": Link("empty/.env"), ".git/hooks/here": "hook"}

CREATED = (
    Row("a file", write("empty/.env"), ok(), "access", left={"empty/.env": "new"}, left_exact={}),
    Row(
        "a file, exclusively", create("empty/.env"), ok(), "access", left={"empty/.env": "new"},
        left_exact={},
    ),
    Row(
        "a directory", make_directory("empty/.env"), ok(), "access", left={"empty/.env": DIRECTORY},
        left_exact={},
    ),
    Row(
        "a link", symlink("empty/.env", "../file"), ok(), "access",
        left={"empty/.env": "-> ../file"}, left_exact={},
    ),
    Row(
        "a file in a denied directory", write("sub/new"), ok(), "access", grant=PART_DENIED,
        left={"sub/new": "new"}, left_exact={},
    ),
    Row(
        "through a link that leads there", write("dangling"), ok(), "access", disk=_CLOSED,
        left={"empty/.env": "new"}, left_exact={},
    ),
    Row(
        "a file, where it may only be read", write("new"), "not-permitted", "access", grant=TO_READ,
    ),
    Row(
        "a directory, where it may only be read", make_directory("new"), "not-permitted", "access",
        grant=TO_READ,
    ),
    Row(
        "a link, where it may only be read", symlink("new", "file"), "not-permitted", "access",
        grant=TO_READ,
    ),
    Row(
        "a hook of git", write(".git/hooks/pre-commit"), ok(), "access", disk=_CLOSED,
        grant=WITHOUT_DENY, left={".git/hooks/pre-commit": "new"}, left_exact={},
        why="it is shielded; --plain-writes gives that up",
    ),
    Row("where there is no directory", write("none/new"), "no-entry", "no-entry"),
    Row(
        "and read, where it is only written", opened("drop/new", "read", "write", how=("create",)),
        ok(), "access", BY_DESCRIPTOR, disk=_PLACES, grant=BORDERS, left={"drop/new": ""},
        left_exact={},
    ),
    Row(
        "where it is only written", write("drop/new"), ok(), ok(), disk=_PLACES, grant=BORDERS,
        left={"drop/new": "new"},
    ),
    Row(
        "where it is only written, then read", read("drop/file"), ok("dropped"), "access",
        disk=_PLACES, grant=BORDERS,
    ),
)  # fmt: skip

TRUNCATED = (
    Row(
        "opened to be read and cut short", opened("file", how=("truncate",)), "not-permitted",
        "access", BY_DESCRIPTOR, grant=TO_READ,
    ),
    Row("opened to be written", truncate("file"), "not-permitted", "access", grant=TO_READ),
    Row(
        "what was opened to be read", opened("file").then(of("set-size", number=0)),
        "not-permitted", "bad-descriptor", BY_DESCRIPTOR, grant=TO_READ,
    ),
    Row(
        "written by what was opened to be read", opened("file").then(of("write", "new")),
        "not-permitted", "bad-descriptor", BY_DESCRIPTOR, grant=TO_READ,
    ),
    Row(
        "what was opened to be read and might be written",
        opened("file").then(of("set-size", number=0)), "invalid", "bad-descriptor", BY_DESCRIPTOR,
    ),
    Row(
        "opened to be read and cut short, where it may be written",
        opened("file", how=("truncate",)), ok(), ok(), BY_DESCRIPTOR, left={"file": ""},
    ),
    Row("what is denied", truncate(".env"), ok(), "access", left={".env": ""}, left_exact={}),
    Row(
        "through a link", truncate("way"), ok(), ok(), disk={"way": Link("file")},
        left={"file": ""},
    ),
    Row("to a part", truncate("file", 2), ok(), ok(), left={"file": "in"}),
    Row("to more than there was", truncate("file", 8), ok(), ok(), left={"file": "inside\0\0"}),
)  # fmt: skip

EXCLUSIVE = (
    Row("a new file", create("new"), ok(), ok(), left={"new": "new"}),
    Row("a file that is there", create("file"), "exist", "exist"),
    Row("a directory that is there", create("sub"), "exist", "exist"),
    Row("a link that is there", create("way"), "exist", "exist", disk={"way": Link("none")}),
    Row(
        "a link out that is there", create("way"), "exist", "exist",
        disk={"way": Link("../beside/new")},
    ),
    Row("what is denied and there", create(".env"), "exist", "access"),
    Row(
        "what is denied and not there", create("empty/.env"), ok(), "access",
        left={"empty/.env": "new"}, left_exact={},
    ),
)  # fmt: skip

APPENDED = (
    Row("to a file", append("file"), ok(), ok(), left={"file": "inside+"}),
    Row("to a new file", append("new"), ok(), ok(), left={"new": "+"}),
    Row(
        "twice", opened("file", "write").then(of("append", "1"), of("append", "2")), ok(), ok(),
        BY_DESCRIPTOR, left={"file": "inside12"},
    ),
    Row(
        "to what is denied", append(".env"), ok(), "access", left={".env": "SECRET+"},
        left_exact={},
    ),
    Row("where it may only be read", append("file"), "not-permitted", "access", grant=TO_READ),
    Row(
        "to what was opened to be read", opened("file").then(of("append", "+")), "bad-descriptor",
        "bad-descriptor", BY_DESCRIPTOR,
    ),
    Row(
        "through a link out", append("way"), "not-permitted", "not-permitted",
        disk={"way": Link("../beside/file")},
    ),
)  # fmt: skip

DELETED = (
    Row("a file", unlink("file"), ok(), ok(), left={"file": GONE}),
    Row("what is denied", unlink(".env"), ok(), "access", left={".env": GONE}, left_exact={}),
    Row("what is denied and not there", unlink("empty/.env"), "no-entry", "access"),
    Row("what isn't there", unlink("none"), "no-entry", "no-entry"),
    Row("a directory as a file", unlink("empty"), "is-directory", "is-directory"),
    Row("a file as a directory", remove_directory("file"), "not-directory", "not-directory"),
    Row("a directory", remove_directory("empty"), ok(), ok(), left={"empty": GONE}),
    Row(
        "a directory of which all that is granted was deleted",
        unlink("sub/file").then(remove_directory("sub")), "not-empty", "not-empty", ONE_AT_A_TIME,
        left={"sub/file": GONE},
    ),
    Row("where it may only be read", unlink("file"), "not-permitted", "access", grant=TO_READ),
    Row(
        "a directory, where it may only be read", remove_directory("empty"), "not-permitted",
        "access", grant=TO_READ,
    ),
    Row(
        "while it is open", opened("file").then(unlink("file"), of("read-stream")), ok("inside"),
        ok("inside"), ONE_AT_A_TIME, left={"file": GONE},
    ),
)  # fmt: skip

TIMES = (
    Row("of a file", set_times("file"), ok(), ok(), left={"file": "inside @1"}),
    Row("of a directory", set_times("empty"), ok(), ok(), left={"empty": "directory @1"}),
    Row(
        "of what is denied", set_times(".env"), ok(), "access", left={".env": "SECRET @1"},
        left_exact={},
    ),
    Row("of what isn't there", set_times("none"), "no-entry", "no-entry"),
    Row("where it may only be read", set_times("file"), "not-permitted", "access", grant=TO_READ),
    Row(
        "of what was opened to be read", opened("file").then(of("set-times", number=1)), ok(), ok(),
        BY_DESCRIPTOR, left={"file": "inside @1"},
    ),
    Row(
        "of what was opened where it may only be read",
        opened("file").then(of("set-times", number=1)), "not-permitted", "access", BY_DESCRIPTOR,
        grant=TO_READ,
    ),
    Row(
        "of an open directory where it may only be read",
        opened("sub", how=("directory",)).then(of("set-times", number=1)), "not-permitted",
        "access", BY_DESCRIPTOR, grant=TO_READ,
    ),
    Row(
        "through a link", set_times("way"), ok(), ok(), disk={"way": Link("file")},
        left={"file": "inside @1"},
    ),
    Row(
        "of a link", set_times("way", follow=False), ok(), ok(), disk={"way": Link("file")},
        left={"way": "-> file @1"},
    ),
    Row(
        "of a link out", set_times("way", follow=False), ok(), ok(),
        disk={"way": Link("../beside/file")}, left={"way": "-> ../beside/file @1"},
    ),
)  # fmt: skip
