"""With --audit-files each open of a guest's is on record, by the server that ran it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from support import served
from support.served import ANSWER_S

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client

pytestmark = pytest.mark.anyio

AUDITED = "--audit-files"


@pytest.fixture(scope="session")
def granted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("audited") / "store", ["granted"])


@pytest.fixture
def store(granted_store: Path, tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return served.copy_of(granted_store, tmp_path / "store")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    made = tmp_path / "desk"
    (made / "notes" / "sub").mkdir(parents=True)
    (made / "notes" / "file").write_text("inside")
    (made / "notes" / "link").symlink_to("sub/../file")
    return made


def grant(store: Path, desk: Path, uri: str, access: str) -> None:
    words = ("permission", "grant", "storage", "granted", uri, "--access", access)
    done = served.operate(store, *words, "--workspace", desk)
    assert done.returncode == 0, done.stderr.decode()


async def tries(connection: Client, tool: str, **arguments: Any) -> bool:
    """Whether it could be done."""
    with anyio.fail_after(ANSWER_S):
        return not (await connection.call_tool(tool, arguments)).is_error


def entries(store: Path) -> list[dict[str, Any]]:
    done = served.operate(store, "audit", "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


async def test_each_open_stands_between_start_and_end_of_its_call(
    store: Path, desk: Path, isolation: str
) -> None:
    grant(store, desk, "fs://notes", "read")
    grant(store, desk, "fs://state", "read,write")
    options = ("--workspace", str(desk), "--isolation", isolation, AUDITED)
    async with served.client(store, *options) as connection:
        assert await tries(connection, "read", directory="notes", path="link")
        assert not await tries(connection, "write", directory="notes", path="new", text="x")
        assert not await tries(connection, "read", directory="notes", path="none")
        assert await tries(connection, "write", directory="state", path="kept", text="x")
    calls: dict[str, list[dict[str, Any]]] = {}
    for entry in entries(store):
        if entry["call"] is not None:
            calls.setdefault(entry["call"], []).append(entry)
    between = [
        ("allowed", "notes", "file", "read", "opened"),
        ("denied", "notes", "new", "write", "access"),
        (None, "notes", "none", "read", "no-entry"),
        ("allowed", "state", "kept", "write", "opened"),
    ]
    for found, wanted in zip(calls.values(), between, strict=True):
        started, opened, ended = found
        events = (started["event"], opened["event"], ended["event"])
        assert events == ("call-started", "file-open", "call-ended")
        detail = opened["detail"]
        told = (detail["directory"], detail["path"], detail["access"], detail["outcome"])
        assert (opened["decision"], *told) == wanted
        assert detail["tool"] == started["detail"]["tool"]
        assert opened["digest"] == started["digest"]
        of = {"notes": desk / "notes", "state": store / "state" / "granted"}
        assert detail["of"] == str(of[detail["directory"]])
    verified = served.operate(store, "audit", "verify")
    assert verified.returncode == 0, verified.stdout


async def test_no_open_is_on_record_where_nobody_asked(store: Path, desk: Path) -> None:
    grant(store, desk, "fs://notes", "read,write")
    async with served.client(store, "--workspace", str(desk)) as connection:
        assert await tries(connection, "read", directory="notes", path="file")
    assert "file-open" not in {entry["event"] for entry in entries(store)}


async def test_two_long_paths_that_begin_alike_can_be_told_apart(store: Path, desk: Path) -> None:
    folder = desk / "notes" / ("a" * 200) / ("b" * 200)
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        (folder / name).write_text(name)
    grant(store, desk, "fs://notes", "read")
    names = [f"{'a' * 200}/{'b' * 200}/{name}" for name in ("one", "two")]
    async with served.client(store, "--workspace", str(desk), AUDITED) as connection:
        for path in names:
            assert await tries(connection, "read", directory="notes", path=path)
    found = [entry["detail"] for entry in entries(store) if entry["event"] == "file-open"]
    assert [len(detail["path"]) for detail in found] == [300, 300]
    hashes = [hashlib.sha256(path.encode()).hexdigest() for path in names]
    assert [detail["path_sha256"] for detail in found] == hashes


def test_an_explanation_says_that_the_flag_has_each_path_judged(store: Path, desk: Path) -> None:
    grant(store, desk, "fs://notes", "read")
    words = ("policy", "explain", "granted", "--access", "read", "--workspace", desk)
    for path, decision in (("notes/file", "allowed"), ("other", "denied")):
        for options, mode in (((), ("plain", None)), ((AUDITED,), ("exact", AUDITED))):
            done = served.operate(store, *words, "--path", desk / path, *options)
            told = msgspec.json.decode(done.stdout)
            assert told["decision"] == decision
            assert (told["mode"], told["mode_reason"]) == mode
