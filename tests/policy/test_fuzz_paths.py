"""Globs and paths that chance made: only the documented errors, and what a slow reading finds.

`FUZZ_PATHS` says how many; `sh scripts/fuzz` tries a million.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from support import slow_patterns as slow
from wassette_protocol.file_rules import Clause, FileRules, Layer
from wassette_protocol.patterns import Pattern, segment_matches
from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import storage_uri
from wassette_supervisor.policy.decision import Allowed, StorageRequest, decide
from wassette_supervisor.policy.document import Access, Permissions, Policy, Storage, StorageRule
from wassette_supervisor.policy.effective import effective
from wassette_worker.guards.files.judge import Access as Rights
from wassette_worker.guards.files.judge import Judge, rights_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.thorough

PATHS = int(os.environ.get("FUZZ_PATHS", "24000"))
_SLOWEST_S = 0.2  # of a processor, for one of them
# What the slow reading is asked: larger ones are only to end, and in time.
_SMALL = 200
_MAX_MESSAGE = 800

URIS = [
    "fs://", "fs:///", "fs:////", "fs://a", "fs://a/", "fs://a//", "fs://a/**", "fs://a/**/b",
    "fs:///**", "fs:///*", "fs://**", "fs://*/a", "fs://a/*.md", "fs:///home/ada/notes/**/.env",
    "fs://a/**/**/b/**/**", "fs://a/***", "fs://a/**b", "fs://a/.", "fs://a/..", "fs://../a",
    "fs://./a", "fs:///../a", "fs://a/./b", "fs://a/...", "fs://a/..b", "fs://state", "fs://state/",
    "fs://state/**", "fs://state/a", "fs://state/*", "fs:///state", "fs://State", "fs://states",
    "fs://a?b", "fs://a[b]", "fs://{a,b}", "fs://a\\b", "fs://a%2e%2e/b", "fs://a b", "fs://~/a",
    "fs://é/e\u0301", "fs://a\u202eb", "fs://a\0b", "fs://a\nb", "fs://a\x7f", "fs://\udcff",
    "fs://\ud800", "FS://a", "fs:/a", "file:///a", "/a", "a", "", "fs://" + "a" * 255,
    "fs://" + "a/" * 100 + "*", "fs://a" + "/**/b" * 40, "fs://" + "*a" * 30, "fs://*", "fs:// ",
]  # fmt: skip
SEGMENTS = [
    b"a", b"b", b"ab", b"*", b"**", b"a*", b"*b", b"a*b", b"*a*", b"*.*", b".env", b"*a*b*", b"..",
    b".", b"", b"\xff", b"\xff*", b"*" * 3, b"a**b", b"state", b"\n", b"*\n", b"A",
    b"*" + b"a" * 20,
]  # fmt: skip
NAMES = [
    b"a", b"b", b"ab", b"aab", b"abab", b".env", b"x.y", b"..", b".", b"", b"*", b"**", b"\xff",
    b"\xffa", b"\n", b"A", b"state", b"a" * 21, b"a\nb", b"ba",
]  # fmt: skip
PLACES = [
    "/", "//", "/a", "/a/", "/a//b", "/a/./b", "/a/../b", "/..", "a", "", "/a\0", "/\udcff",
    "/\ud800", "./a", "/a/..",
]  # fmt: skip
TOKENS = [
    "/", "//", "*", "**", "***", ".", "..", "/../", "/./", "\0", "\n", "\x1f", "\x7f", "?", "[",
    "{", "\\", "%2f", "\u202e", "\udc80", "\udbff", "é", "state", "fs://", "fs:///", " ",
    "a" * 300, "a",
]  # fmt: skip


def changed(random: Random, text: str) -> str:
    """The text, changed in one way or in several."""
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        place, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
        part = text[place : min(end, place + 12)]
        put = random.choice((random.choice(TOKENS), "", part * random.choice((2, 3, 40))))
        text = text[:place] + put + text[place + random.choice((0, 0, 1, len(part))) :]
    return text


def pattern_of(random: Random) -> Pattern:
    count = random.choice((0, 1, 2, 3, 4, 6))
    segments = tuple(random.choice(SEGMENTS) for _ in range(count))
    return Pattern(segments, random.random() < 0.5, random.choice((0, 0, 0, random.randrange(4))))


def path_of(random: Random, segments: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """A path that a pattern of these may match, or nearly so."""
    path: list[bytes] = []
    for segment in segments:
        if segment == b"**":
            path += random.choices(NAMES, k=random.choice((0, 0, 1, 3)))
        else:
            path.append(segment.replace(b"*", random.choice((b"", b"a", b"ab", b"*", b"\xff"))))
    for _ in range(random.choice((0, 0, 1, 2))):
        place = random.randrange(len(path) + 1)
        path[place : place + random.choice((0, 1))] = random.choices(NAMES, k=random.choice((0, 1)))
    return tuple(path)


# --- targets: each tells what it found, so that it is seen that all was tried -----------------


def uris(random: Random) -> str:
    text, deny = changed(random, random.choice(URIS)), random.random() < 0.4
    meant = slow.meaning(text, deny=deny)
    try:
        uri = storage_uri.parse(text, deny=deny)
    except PolicyError as error:
        assert meant is None, text
        return _refused(str(error))
    assert meant is not None, text
    assert (uri.root, uri.below) == (meant.root, meant.below), text
    again = storage_uri.parse(uri.text, deny=deny)
    assert again == uri, text
    path = path_of(random, meant.segments)
    if sum(map(len, meant.segments + path)) > _SMALL:
        return "taken"
    assert uri.pattern.matches(path) == meant.matches(path), (text, path)
    return "matched" if meant.matches(path) else "taken"


def _refused(message: str) -> str:
    assert "\n" not in message
    assert len(message) < _MAX_MESSAGE
    return "refused"


def names(random: Random) -> str:
    pattern = b"".join(
        random.choices([b"*", b"a", b"b", b"*", b"\n", b"\xff", b"."], k=random.randrange(9))
    )
    name = pattern.replace(b"*", random.choice((b"", b"a", b"ab", b"*")))
    name = (
        name
        if random.random() < 0.5
        else name[: random.randrange(len(name) + 1)] + random.choice(NAMES)
    )
    assert segment_matches(pattern, name) == slow.name_fits(pattern, name), (pattern, name)
    return "matched" if slow.name_fits(pattern, name) else "other"


def patterns(random: Random) -> str:
    pattern = pattern_of(random)
    path = path_of(random, pattern.segments)
    fits = slow.pattern_fits(pattern, path)
    assert pattern.matches(path) == fits, (pattern, path)
    gone = random.randrange(len(path) + 1)
    left = pattern.after(path[:gone])
    assert (left is not None and left.matches(path[gone:])) == fits, (pattern, path, gone)
    state = pattern.start()
    for name in path[:gone]:
        state = pattern.step(state, name)
    if fits and gone < len(path):
        assert pattern.reaches_below(state), (pattern, path, gone)
    if not pattern.reaches_below(state):
        below = path[:gone] + path_of(random, pattern.segments[gone:]) + (b"a",)
        assert not slow.pattern_fits(pattern, below), (pattern, below)
    other = pattern_of(random)
    if pattern.covers(other) and slow.pattern_fits(other, path):
        assert fits, (pattern, other, path)
    return "matched" if fits else "other"


def places(random: Random) -> str:
    text = changed(random, random.choice(PLACES))
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        assert storage_uri.canonical_path(text) is None
        return "no path"
    found = storage_uri.canonical_path(text)
    assert found == storage_uri.canonical_path(raw)
    assert (found is not None) == slow.is_canonical(raw), raw
    if found is None:
        return "refused"
    assert b"/" + b"/".join(found) == raw
    return "taken"


_ACCESSES: list[tuple[Access, ...]] = [("read",), ("write",), ("read", "write")]


def rules(random: Random) -> str:
    """A policy of some rules and one question: as decided, as a worker judges, as read slowly."""
    said: list[tuple[slow.Meaning, tuple[Access, ...], bool]] = []
    written: dict[bool, list[StorageRule]] = {False: [], True: []}
    for _ in range(random.randrange(5)):
        deny, access = random.random() < 0.35, random.choice(_ACCESSES)
        names = [
            random.choice(("a", "b", "*", "**", "a*", "*b", ".env"))
            for _ in range(random.randrange(1, 4))
        ]
        text = "fs:///" + "/".join(names)
        meant = slow.meaning(text, deny=deny)
        if meant is not None:
            said.append((meant, access, deny))
            written[deny].append(StorageRule(text, access))
    storage = Storage(tuple(written[False]), tuple(written[True]))
    right = effective(Policy(permissions=Permissions(storage)), None, None, None)
    source = random.choice(said)[0].segments if said else ()
    path, asked = path_of(random, source), random.choice(_ACCESSES[:2])[0]
    hit = [deny for meant, access, deny in said if asked in access and meant.matches(path)]
    allowed = bool(hit) and not any(hit)
    named = b"/" + b"/".join(path)
    decided = isinstance(decide(right, StorageRequest(named, asked), shield=False), Allowed)
    # No other path has this text.
    plain = slow.is_canonical(named) and path != (b"",)
    assert decided == (allowed and plain) or path == (b"",), (written, path, asked)
    judged = Judge(FileRules((Layer(*(_clauses(said, deny=deny) for deny in (False, True))),)))
    wanted = Rights.READ if asked == "read" else Rights.WRITE
    assert bool(rights_of(judged, path) & wanted) == allowed, (written, path)
    return "allowed" if allowed else "denied" if any(hit) else "nothing says it"


def _clauses(
    said: list[tuple[slow.Meaning, tuple[Access, ...], bool]], *, deny: bool
) -> tuple[Clause, ...]:
    return tuple(
        Clause(Pattern(meant.segments, meant.below), "read" in access, "write" in access)
        for meant, access, denies in said
        if denies is deny
    )


TARGETS: dict[str, Callable[[Random], str]] = {
    "storage URIs": uris,
    "names": names,
    "patterns": patterns,
    "paths": places,
    "rules": rules,
}
# What a target finds less often than this, it hardly tries.
_LEAST = {
    "storage URIs": {"refused": 0.2, "taken": 0.05, "matched": 0.05},
    "names": {"matched": 0.2, "other": 0.2},
    "patterns": {"matched": 0.2, "other": 0.2},
    "paths": {"refused": 0.2, "taken": 0.1, "no path": 0.01},
    "rules": {"allowed": 0.1, "denied": 0.1, "nothing says it": 0.1},
}


@pytest.mark.timeout(60 + PATHS // 1000)
@pytest.mark.parametrize("target", TARGETS)
def test_whatever_is_asked_is_answered_as_a_slow_reading_does_or_refused_in_time(
    target: str,
) -> None:
    count, slowest, found = PATHS // len(TARGETS), 0.0, Counter[str]()
    first = int.from_bytes(os.urandom(6), "big") if "FUZZ_PATHS" in os.environ else 0
    began = time.monotonic()
    for seed in range(first, first + count):
        random, before = Random(seed), _spent()  # noqa: S311 - it keeps no secret
        try:
            found[TARGETS[target](random)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        slowest = max(slowest, _spent() - before)
    told = ", ".join(f"{times} {what}" for what, times in found.most_common())
    print(  # noqa: T201 - `sh scripts/fuzz` shows it
        f"{count} {target} from seed {first} in {time.monotonic() - began:.0f} s: {told}; "
        f"the slowest {slowest * 1000:.0f} ms"
    )
    assert slowest < _SLOWEST_S
    for what, least in _LEAST[target].items():
        assert found[what] >= least * count, what


def _spent() -> float:
    return time.thread_time() - slow.spent[0]


@pytest.mark.parametrize("text", URIS)
@pytest.mark.parametrize("deny", [False, True], ids=["allow", "deny"])
def test_each_uri_that_others_begin_with_is_read_as_the_slow_reading_does(
    text: str, *, deny: bool
) -> None:
    meant = slow.meaning(text, deny=deny)
    if meant is None:
        with pytest.raises(PolicyError):
            storage_uri.parse(text, deny=deny)
    else:
        uri = storage_uri.parse(text, deny=deny)
        assert (uri.root, uri.below) == (meant.root, meant.below)
