"""Random trees, links, rules and operations: a guard does what a pure model of it does."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.files_model import FileNode, LinkNode, Model
from support.guarded import guarded
from wassette_protocol.file_rules import Clause, FileRules, Layer, Shielded
from wassette_protocol.patterns import Pattern
from wassette_worker.guards.files.codes import FileError

if TYPE_CHECKING:
    from support.files_model import Node
    from support.guarded import Guarded

NAMES = ["a", "b", "c", "a.x"]
SEGMENTS = st.sampled_from([b"a", b"b", b"c", b"*", b"**", b"*.x", b"a*"])
ALLOWING = st.builds(
    Pattern, st.lists(SEGMENTS, max_size=2).map(tuple), st.sampled_from([True, True, False])
)
DENYING = st.builds(
    Pattern, st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple), st.just(value=True)
)
ACCESS = st.sampled_from([(True, True), (True, True), (True, False), (False, True)])
ALLOW = st.builds(lambda pattern, access: Clause(pattern, *access), ALLOWING, ACCESS)
DENY = st.builds(lambda pattern, access: Clause(pattern, *access), DENYING, ACCESS)
LAYER = st.builds(
    Layer,
    st.lists(ALLOW, min_size=1, max_size=2).map(tuple),
    st.lists(DENY, max_size=2).map(tuple),
)
RULES = st.builds(
    FileRules,
    st.lists(LAYER, min_size=1, max_size=2).map(tuple),
    st.lists(st.builds(Shielded, DENYING), max_size=1).map(tuple),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from([*NAMES, *NAMES, ".", ".."]), min_size=1, max_size=4).map("/".join),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join).map("{}/".format),
    st.sampled_from(["", "/a", "a//b", "./a", ".", "..", "a/.", "a/.."]),
)
NODES = st.one_of(
    st.just("directory"),
    st.just("directory"),
    st.binary(max_size=3).map(lambda content: ("file", content)),
    TEXTS.filter(bool).map(lambda text: ("link", text)),
)
TREES = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), NODES), max_size=10
)
OPENS = st.fixed_dictionaries(
    dict.fromkeys(
        ["follow", "create", "directory", "exclusive", "truncate", "read", "write"], st.booleans()
    )
)
OPERATIONS: st.SearchStrategy[tuple[str, tuple[str, ...], Any]] = st.one_of(
    st.tuples(st.just("open"), st.tuples(TEXTS), OPENS),
    st.tuples(st.just("stat"), st.tuples(TEXTS), st.fixed_dictionaries({"follow": st.booleans()})),
    st.tuples(st.sampled_from(["rename", "symlink"]), st.tuples(TEXTS, TEXTS), st.just({})),
    st.tuples(
        st.sampled_from(["readlink", "names", "make_directory", "remove_directory", "unlink"]),
        st.tuples(TEXTS),
        st.just({}),
    ),
)


def planted(folder: Path, tree: list[tuple[list[str], Any]]) -> dict[tuple[bytes, ...], Node]:
    """The tree on the disk, and as the model knows it."""
    nodes: dict[tuple[bytes, ...], Node] = {(): None}
    for names, node in tree:
        path = tuple(name.encode() for name in names)
        parent = nodes.get(path[:-1], "missing")
        if parent is not None or path in nodes:
            continue
        place = folder.joinpath(*names)
        if node == "directory":
            place.mkdir()
            nodes[path] = None
        elif node[0] == "file":
            place.write_bytes(node[1])
            nodes[path] = FileNode(node[1])
        else:
            os.symlink(node[1], place)  # noqa: PTH211 - as it is written: "a//b" stays so
            nodes[path] = LinkNode(str(node[1]).encode())
    return nodes


def on_disk(folder: Path) -> dict[tuple[bytes, ...], Node]:
    found: dict[tuple[bytes, ...], Node] = {(): None}
    for each in folder.rglob("*"):
        path = tuple(part.encode() for part in each.relative_to(folder).parts)
        if each.is_symlink():
            found[path] = LinkNode(os.readlink(os.fsencode(each)))  # noqa: PTH115 - as it is written
        else:
            found[path] = FileNode(each.read_bytes()) if each.is_file() else None
    return found


def outcome(of: Model | Guarded, name: str, arguments: tuple[str, ...], flags: Any) -> object:
    try:
        return getattr(of, name)(*arguments, **flags)
    except FileError as error:
        return f"error {error.code}"


@settings(max_examples=500, deadline=None)
@given(TREES, RULES, st.lists(OPERATIONS, min_size=1, max_size=30))
def test_a_guest_can_do_what_the_model_says_and_is_told_the_same(
    tree: list[Any], rules: FileRules, operations: list[Any]
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        model = Model(rules, planted(folder, tree))
        with guarded(folder, rules) as real:
            for name, arguments, flags in operations:
                expected = outcome(model, name, arguments, flags)
                assert outcome(real, name, arguments, flags) == expected, (name, arguments, flags)
        assert on_disk(folder) == model.tree
    finally:
        shutil.rmtree(folder)
