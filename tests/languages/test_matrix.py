"""What a tool can do in each language: docs/languages.md has the table, and this its cells.

A row is one function of the WIT in tests/guests/languages, called by a client on the real server.
"""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import msgspec
import pytest

from support import guests, served
from support.served import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import mcp_types as types
    from mcp import Client

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

LANGUAGES = ("c", "go", "python", "quickjs", "rust", "starlingmonkey", "wat")
TITLES = ("C", "Go", "Python", "QuickJS", "Rust", "StarlingMonkey", "WAT")
DOCUMENT = guests.REPOSITORY / "docs" / "languages.md"
CALL_S = 30  # of a busy machine
OUTPUT = "wassette-supervisor/output"


class Guest(NamedTuple):
    """One language's tool, and where its files are."""

    language: str
    client: Client
    hasty: Client  # of a server whose calls have 700 ms
    folder: Path

    async def call(self, tool: str, /, **arguments: Any) -> types.CallToolResult:
        with anyio.fail_after(CALL_S):
            return await self.client.call_tool(tool, arguments)

    async def echoes(self, tool: str, *values: Any) -> str:
        for value in values:
            result = await self.call(tool, value=value)
            if result.is_error or result.structured_content != {"result": value}:
                return "no"
        return "yes"

    async def value(self, tool: str, /, **arguments: Any) -> Any:
        result = await self.call(tool, **arguments)
        assert not result.is_error, text(result)
        assert result.structured_content is not None
        return result.structured_content["result"]


def is_the_tools_own(result: types.CallToolResult) -> bool:
    """Whether this is the error of the function's own type: that is told as its JSON."""
    return bool(result.is_error) and text(result).startswith('"')


# --- a store for each language --------------------------------------------------------------

_POLICY = """\
version: "1.0"
permissions:
  storage:
    allow:
    - {uri: "fs://open/**", access: ["read", "write"]}
    - {uri: "fs://shut/**", access: ["read"]}
    - {uri: "fs://FAR/**", access: ["read"]}
  environment:
    allow:
    - {key: "GRANTED"}
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=LANGUAGES)
async def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Guest]:
    language: str = request.param
    place = tmp_path_factory.mktemp(language)
    place.chmod(0o755)
    for folder in ("desk/open", "desk/shut", "desk/beside", "far"):
        (place / folder).mkdir(parents=True)
        (place / folder / "note").write_text(f"of {folder.rpartition('/')[2]} ☂")
    name = f"language_{language}"
    store = served.make_store(place / "store", [name])
    workspace = ("--workspace", str(place / "desk"))
    (place / "policy.yaml").write_text(_POLICY.replace("FAR", str(place / "far")))
    done = served.operate(store, "policy", "set", name, place / "policy.yaml", "--yes", *workspace)
    assert done.returncode == 0, done.stderr.decode()
    variables = {"GRANTED": "yes ☂", "SECOND": "no"}
    options = (*workspace, "--env", "THIRD=no")
    async with (
        served.client(store, *options, variables=variables) as client,
        served.client(store, *options, "--limit", "wall_time=700ms") as hasty,
    ):
        yield Guest(language, client, hasty, place / "desk")


# --- types ----------------------------------------------------------------------------------

_LEAST = {
    "tiny": -(2**7),
    "byte": 0,
    "short": -(2**15),
    "word": 0,
    "int": -(2**31),
    "unsigned": 0,
    "long": -(2**53) + 1,
    "huge": 0,
    "single": -0.5,
    "double": -1e300,
    "truth": False,
    "letter": "a",
}
_SMALL = _LEAST | {"int": -5, "long": 0}
_MOST = {
    "tiny": 2**7 - 1,
    "byte": 2**8 - 1,
    "short": 2**15 - 1,
    "word": 2**16 - 1,
    "int": 2**31 - 1,
    "unsigned": 2**31 - 1,
    "long": 2**53 - 1,
    "huge": 2**53 - 1,
    "single": 1.5,
    "double": 1e300,
    "truth": True,
    "letter": "🦊",
}
_PLACES = (
    {"tag": "nowhere"},
    {"tag": "named", "val": "the yard"},
    {"tag": "at", "val": {"x": 52.5, "y": -0.25}},
)
_PERSONS = tuple(
    {
        "name": "Zoë",
        "nickname": nickname,
        "mood": "cheerful",
        "free": ["monday", "wednesday"],
        "scores": [0, 1, 2**31 - 1],
        "home": home,
    }
    for nickname, home in zip((None, "", "Zo"), _PLACES, strict=True)
)


async def _result(guest: Guest) -> str:
    fine = await guest.call("echo-result", value={"ok": 5})
    failed = await guest.call("echo-result", value={"err": "so it is"})
    told = failed.is_error and "so it is" in text(failed)
    return "yes" if fine.structured_content == {"result": 5} and told else "no"


async def _bytes(guest: Guest) -> str:
    values = (b"", bytes(range(256)), b"\xff" * 100_000)
    return await guest.echoes("echo-bytes", *(base64.b64encode(one).decode() for one in values))


# --- the system -----------------------------------------------------------------------------


async def _prints(guest: Guest) -> str:
    result = await guest.call("print", out="out ☂", err="err ☂")
    assert not result.is_error, text(result)
    assert result.meta is not None
    printed = result.meta[OUTPUT]
    return "yes" if "out ☂\n" in printed and "err ☂\n" in printed else "no"


async def _reads_by_absolute_path(guest: Guest) -> str:
    path = str(guest.folder.parent / "far" / "note")
    result = await guest.call("read-file", path=path)
    return "yes" if result.structured_content == {"result": "of far ☂"} else text(result)


async def _reads(guest: Guest) -> str:
    found = [
        (await guest.call("read-file", path=f"{name}/note")).structured_content
        for name in ("open", "shut")
    ]
    return "yes" if found == [{"result": "of open ☂"}, {"result": "of shut ☂"}] else "no"


async def _writes(guest: Guest) -> str:
    result = await guest.call("write-file", path="open/new", text="written ☂")
    if result.is_error:
        return "no"
    return "yes" if (guest.folder / "open" / "new").read_text() == "written ☂" else "no"


async def _is_kept_from_writing(guest: Guest) -> str:
    for path in ("shut/note", "shut/new"):
        result = await guest.call("write-file", path=path, text="written")
        assert is_the_tools_own(result), text(result)
    untouched = (guest.folder / "shut" / "note").read_text() == "of shut ☂"
    return "yes" if untouched and not (guest.folder / "shut" / "new").exists() else "no"


async def _is_kept_from_files(guest: Guest) -> str:
    beside = guest.folder / "beside" / "note"
    for path in ("beside/note", "open/../beside/note", str(beside), "/etc/passwd"):
        result = await guest.call("read-file", path=path)
        assert is_the_tools_own(result), text(result)
    return "yes"


async def _sees_variables(guest: Guest) -> str:
    granted = await guest.value("variable", name="GRANTED")
    others = [
        await guest.value("variable", name=name)
        for name in ("SECOND", "THIRD", "PATH", "HOME", served.UNSHARED)
    ]
    return "yes" if granted == "yes ☂" and others == [None] * len(others) else "no"


async def _tells_the_time(guest: Guest) -> str:
    before = time.time_ns() // 1_000_000
    told = int(await guest.value("now"))
    return "yes" if before - 1 <= told <= time.time_ns() // 1_000_000 else "no"


async def _draws_random_bytes(guest: Guest) -> str:
    drawn = [await guest.value("random") for _ in range(4)]
    lengths = {len(base64.b64decode(one)) for one in drawn}
    return "yes" if len(set(drawn)) == 4 and lengths == {16} else "no"


async def _sleeps(guest: Guest) -> str:
    began = time.monotonic()
    slept = await guest.value("sleep", milliseconds=60)
    return "yes" if 60 <= slept < CALL_S * 1000 and time.monotonic() - began >= 0.06 else "no"


async def _ends_at_the_deadline(guest: Guest, tool: str, **arguments: Any) -> str:
    with anyio.fail_after(CALL_S):
        result = await guest.hasty.call_tool(tool, arguments)
    return "yes" if result.is_error and "wall_time=700ms" in text(result) else "no"


async def _exits(guest: Guest, code: int) -> str:
    result = await guest.call("exit-with", code=code)
    assert result.is_error
    found = re.search(r"exit status (\d+)", text(result))
    return found[1] if found else "no"


async def _fails(guest: Guest) -> str:
    result = await guest.call("fail")
    assert result.is_error
    assert "fault of its own" in text(result), text(result)
    # The guest's own words are for who develops it: beside the answer, not in it.
    assert "so it goes" not in text(result)
    said = (result.meta or {}).get(OUTPUT, "")
    assert (await guest.call("echo-text", value="and on")).structured_content
    return "with its words" if "so it goes" in said else "without a word"


async def _is_kept_from_wrong_arguments(guest: Guest) -> str:
    for tool, wrong, where in (
        ("echo-mood", {"value": "furious"}, "/value"),
        ("echo-days", {"value": ["sunday"]}, "/value"),
        ("echo-place", {"value": {"tag": "at", "val": {"x": 1.5, "y": "far"}}}, "/value/val/y"),
        ("echo-person", {"value": _PERSONS[0] | {"scores": [1, -1]}}, "/value/scores/1"),
        ("echo-text", {"value": 5}, "/value"),
        ("echo-text", {}, "value"),
    ):
        result = await guest.call(tool, **wrong)
        assert result.is_error, (tool, wrong)
        assert where in text(result), text(result)
    return "yes"


# Row of the table -> what finds out its cells.
ROWS: dict[str, Callable[[Guest], Awaitable[str]]] = {
    "text": lambda guest: guest.echoes("echo-text", "", "Zoë 🦊", "x" * 100_000),
    "small numbers, booleans, characters": lambda guest: guest.echoes(
        "echo-numbers", _SMALL, _MOST
    ),
    "negative 64-bit numbers": lambda guest: guest.echoes("echo-numbers", _LEAST),
    "32-bit numbers from 2^31 on": lambda guest: guest.echoes(
        "echo-numbers", _SMALL | {"unsigned": 2**32 - 1}, _SMALL | {"unsigned": 2**31}
    ),
    "64-bit numbers beyond 2^53": lambda guest: guest.echoes(
        "echo-numbers", _SMALL | {"long": str(2**63 - 1), "huge": str(2**63 + 1)}
    ),
    "the largest 64-bit number": lambda guest: guest.echoes(
        "echo-numbers", _SMALL | {"huge": str(2**64 - 1)}
    ),
    "enums": lambda guest: guest.echoes("echo-mood", "calm", "cross"),
    "flags": lambda guest: guest.echoes("echo-days", [], ["monday"], ["tuesday", "wednesday"]),
    "variants": lambda guest: guest.echoes("echo-place", *_PLACES),
    "records": lambda guest: guest.echoes("echo-person", *_PERSONS),
    "options": lambda guest: guest.echoes("echo-option", None, "", "some"),
    "results, in and out": _result,
    "lists": lambda guest: guest.echoes("echo-list", [], ["a", "", "☂"], ["x"] * 5000),
    "bytes": _bytes,
    "tuples": lambda guest: guest.echoes("echo-tuple", ["a", -5]),
    "wrong arguments are pointed at": _is_kept_from_wrong_arguments,
    "standard output and error": _prints,
    "reads a file of a granted folder": _reads,
    "reads a file by its absolute path": _reads_by_absolute_path,
    "writes where it may": _writes,
    "may not write where it may only read": _is_kept_from_writing,
    "no other file is there": _is_kept_from_files,
    "sees granted variables, and no others": _sees_variables,
    "the time of day": _tells_the_time,
    "random bytes, other ones in each call": _draws_random_bytes,
    "sleeps": _sleeps,
    "a long sleep ends at the deadline": lambda guest: _ends_at_the_deadline(
        guest, "sleep", milliseconds=3_600_000
    ),
    "an endless loop ends at the deadline": lambda guest: _ends_at_the_deadline(guest, "spin"),
    "exit with 0": lambda guest: _exits(guest, 0),
    "exit with 3": lambda guest: _exits(guest, 3),
    "panic, abort or exception": _fails,
}

# What is not said with "yes". WASI 0.2 tells success from failure and no more.
_WORDS = {"exit with 0": "0", "exit with 3": "1", "panic, abort or exception": "with its words"}

# What a toolchain does not do, or does in its own way.
OTHERWISE: dict[tuple[str, str], str] = {
    ("reads a file of a granted folder", "go"): "no",
    ("writes where it may", "go"): "no",
    ("panic, abort or exception", "c"): "without a word",
    ("panic, abort or exception", "wat"): "without a word",
    ("64-bit numbers beyond 2^53", "quickjs"): "no",
    ("the largest 64-bit number", "quickjs"): "no",
}


def expected(row: str, language: str) -> str:
    return OTHERWISE.get((row, language), _WORDS.get(row, "yes"))


@pytest.mark.parametrize("row", ROWS)
async def test_a_cell_of_the_table_is_as_it_says(guest: Guest, row: str) -> None:
    assert await ROWS[row](guest) == expected(row, guest.language)


async def test_what_a_toolchain_exports_for_itself_is_no_tool(guest: Guest) -> None:
    offered = {tool.name for tool in (await guest.client.list_tools()).tools}
    wit = (guests.SOURCES / "languages" / "wit" / "languages.wit").read_text()
    exported = set(re.findall(r"export ([a-z-]+):", wit))
    assert exported <= offered
    assert "init" not in offered


def _lines() -> list[str]:
    return DOCUMENT.read_text().splitlines()


def test_the_document_has_the_table() -> None:
    found = [line.removeprefix("|").removesuffix("|").split("|") for line in _lines()]
    table = [[cell.strip() for cell in line] for line in found if len(line) == 1 + len(LANGUAGES)]
    table = table[[line[1:] for line in table].index(list(TITLES)) :]
    assert table[2:] == [[row, *(expected(row, one) for one in LANGUAGES)] for row in ROWS]


def test_no_cell_is_of_a_row_or_a_language_that_is_not_there() -> None:
    assert {row for row, _ in OTHERWISE} <= set(ROWS)
    assert {language for _, language in OTHERWISE} <= set(LANGUAGES)
    assert msgspec.json.encode(list(ROWS))  # names that a document can have
