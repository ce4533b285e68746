"""What a component keeps between calls: its own, until somebody deletes it."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from support import guests, served
from support.commands import answered, at_terminal, refused, run
from support.person import Person
from support.served import ANSWER_S, text

if TYPE_CHECKING:
    from pathlib import Path

    import mcp_types as types
    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio

GRANT = ["permission", "grant", "storage", "granted", "fs://state", "--access", "read,write"]


@pytest.fixture(scope="session")
def keeping_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = served.make_store(tmp_path_factory.mktemp("keeping") / "store", ["granted"])
    answered(store, *GRANT)
    return store


@pytest.fixture
def store(keeping_store: Path, tmp_path: Path) -> Path:
    return served.copy_of(keeping_store, tmp_path / "store")


def folder(store: Path) -> Path:
    return store / "state" / "granted"


async def call(connection: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    with anyio.fail_after(ANSWER_S):
        return await connection.call_tool(tool, {"directory": "state", **arguments})


async def value(connection: Client, tool: str, **arguments: Any) -> Any:
    """What it answers, if anything."""
    result = await call(connection, tool, **arguments)
    assert not result.is_error, text(result)
    return (result.structured_content or {}).get("result")


async def directories(connection: Client) -> Any:
    result = await connection.call_tool("directories", {})
    return (result.structured_content or {})["result"]


async def error(connection: Client, tool: str, **arguments: Any) -> str:
    result = await call(connection, tool, **arguments)
    assert result.is_error
    return text(result)


def invoked(store: Path, tool: str, **arguments: str) -> Any:
    given = msgspec.json.encode({"directory": "state", **arguments}).decode()
    return answered(store, "tool", "invoke", tool, "--args", given)


# --- from call to call ----------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["fork", "exec"])
async def test_what_a_call_kept_the_next_one_finds_in_this_server_and_another(
    store: Path, isolation: str
) -> None:
    async with served.client(store, "--isolation", isolation) as one:
        assert not folder(store).exists()
        await value(one, "make-directory", path="notes")
        await value(one, "write", path="notes/a", text="kept")
        assert await value(one, "read", path="notes/a") == "kept"
        async with served.client(store, "--isolation", isolation) as other:
            assert await value(other, "names", path="notes") == ["a"]
            await value(other, "rename", path="notes/a", to="b")
        assert await value(one, "read", path="b") == "kept"
    assert (folder(store) / "b").read_text() == "kept"
    assert (folder(store) / "b").stat().st_uid == folder(store).stat().st_uid


async def test_a_link_out_of_it_leads_nowhere(store: Path) -> None:
    async with served.client(store) as connection:
        await value(connection, "names", path=".")
        (folder(store) / "out").symlink_to(store / "components")
        (folder(store) / "up").symlink_to("../..")
        for path in ("out/granted.json", "up/lock", "../granted", "../../lock", str(store)):
            assert "not-permitted" in await error(connection, "read", path=path)


async def test_components_have_folders_that_the_others_do_not_see(store: Path) -> None:
    file = guests.guest_path("granted")
    answered(store, "component", "load", file, "--name", "other")
    answered(store, *GRANT[:3], "other", *GRANT[4:])
    async with served.client(store) as connection:
        await value(connection, "write", path="mine", text="of the first")
        assert await value(connection, "other_names", path=".") == []
        await value(connection, "other_write", path="mine", text="another")
        assert await value(connection, "read", path="mine") == "of the first"
    owners = {name: (store / "state" / name).stat().st_uid for name in ("granted", "other")}
    if os.geteuid() == 0 and owners["granted"] >= 0x7000_0000:
        assert owners["granted"] != owners["other"]


async def test_calls_that_were_killed_leave_what_they_kept(store: Path) -> None:
    async with served.client(store) as connection:
        await value(connection, "write", path="a", text="kept")
        server = await served.server_below(os.getpid())
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(partial(call, connection, "write", path=f"{number}", text="x"))
            await served.kill_template(server)
        assert await value(connection, "read", path="a") == "kept"
        assert set(await value(connection, "names", path=".")) <= {"a", "0", "1", "2", "3"}


async def test_many_first_calls_of_two_servers_at_once_have_one_folder(store: Path) -> None:
    async with served.client(store) as one, served.client(store) as other:

        async def write(connection: Client, path: str) -> None:
            await value(connection, "write", path=path, text=path)

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(write, one, f"one{number}")
                tasks.start_soon(write, other, f"other{number}")
        names = sorted(f"{which}{number}" for which in ("one", "other") for number in range(4))
        assert sorted(await value(one, "names", path=".")) == names
    assert sorted(entry.name for entry in (store / "state").iterdir()) == [".lock", "granted"]


# --- how much -------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["fork", "exec"])
async def test_a_file_that_grows_too_large_is_an_error_of_the_host_and_ends_nothing(
    store: Path, isolation: str
) -> None:
    options = ["--max-state", "64Ki", "--isolation", isolation]
    async with served.client(store, *options) as connection:
        await value(connection, "write", path="a", text="x" * 1000)
        end = {"path": "a", "offset": 65_535, "text": "x"}
        await value(connection, "write-at", **end)
        told = await error(connection, "write-at", path="a", offset=65_536, text="x")
        assert "file-too-large" in told
        assert (folder(store) / "a").stat().st_size == 65_536
        assert len(await value(connection, "read", path="a")) == 65_536


async def test_with_too_much_no_call_runs_and_the_answer_names_the_command_that_helps(
    store: Path,
) -> None:
    async with served.client(store, "--max-state", "64Ki") as connection:
        for number in range(2):
            await value(connection, "write", path=f"{number}", text="x" * 40_000)
        told = await error(connection, "read", path="0")
        assert "more than --max-state 64Ki" in told
        found = re.search(r"wassette-supervisor (component state .*)", told)
        assert found is not None
        assert str(store) in found[1]
        words = found[1].removesuffix(f" --component-dir {store}").split()
        await run_sync(lambda: answered(store, *words, "--yes"))
        assert await value(connection, "names", path=".") == []


# --- the operator ---------------------------------------------------------------------------


def test_size_and_reset_say_what_there_is_and_delete_it(store: Path) -> None:
    words = ["component", "state", "granted"]
    nothing = answered(store, *words, "size")
    assert (nothing["status"], nothing["bytes"], nothing["entries"]) == ("none", 0, 0)
    assert nothing["path"] == os.path.realpath(folder(store))
    invoked(store, "write", path="a", text="kept")
    assert answered(store, *words, "size") == nothing | {
        "status": "kept",
        "bytes": 4096,
        "entries": 1,
    }
    [listed] = answered(store, "component", "list")["components"]
    assert listed["state_size"] == answered(store, "inspect", "granted")["state_size"] == 4096
    refused(run(store, *words, "reset"), "1 entry, 4Ki", "--yes", status=2)
    assert (folder(store) / "a").read_text() == "kept"
    assert answered(store, *words, "reset", "--yes")["status"] == "reset"
    assert answered(store, *words, "size") == nothing
    lines = served.operate(store, "audit", "--event", "state-reset", "-o", "json").stdout
    [line] = map(msgspec.json.decode, lines.splitlines())
    assert line["component"] == "granted"
    assert line["detail"] == {"bytes": 4096, "entries": 1}


def test_a_person_is_asked_before_anything_is_deleted(store: Path) -> None:
    invoked(store, "write", path="a", text="kept")
    question = b"Delete, of granted, what it keeps between calls (1 entry, 4Ki)? [y/N]"
    seen, status = at_terminal(
        store, "component", "state", "granted", "reset", typed=[(question, b"n\n")]
    )
    assert (status, b"nothing was deleted" in seen) == (1, True)
    assert (folder(store) / "a").exists()
    asked = b"Unload granted and delete what it keeps between calls (1 entry, 4Ki)? [y/N]"
    seen, status = at_terminal(store, "component", "unload", "granted", typed=[(asked, b"\n")])
    assert status == 1
    assert [c["id"] for c in answered(store, "component", "list")["components"]] == ["granted"]
    at_terminal(store, "component", "state", "granted", "reset", typed=[(question, b"y\n")])
    assert not folder(store).exists()


def test_a_component_that_keeps_files_is_not_unloaded_by_the_way(store: Path) -> None:
    invoked(store, "write", path="a", text="kept")
    refused(run(store, "component", "unload", "granted"), "--delete-state", status=2)
    assert (folder(store) / "a").read_text() == "kept"
    answered(store, "component", "unload", "granted", "--delete-state")
    assert [entry.name for entry in (store / "state").iterdir()] == [".lock"]


def test_other_bytes_of_the_same_source_have_what_the_component_kept(
    store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keeper.wasm"
    file.write_bytes(guests.guest_bytes("granted"))
    answered(store, "component", "unload", "granted")
    served.load(store, file, "--name", "granted")
    answered(store, *GRANT)
    invoked(store, "write", path="a", text="kept")
    file.write_bytes(file.read_bytes() + bytes([0, 2, 1, 0x78]))  # a custom section more
    assert answered(store, "component", "load", file, "--name", "granted")["status"] == "reloaded"
    assert invoked(store, "read", path="a") == "kept"


def test_what_an_earlier_component_left_is_never_that_of_another_with_its_id(store: Path) -> None:
    answered(store, "component", "unload", "granted")
    folder(store).mkdir(parents=True, mode=0o700)
    (folder(store).parent).chmod(0o700)
    (folder(store) / "left").write_text("of the earlier one")
    file = str(guests.guest_path("granted"))
    refused(run(store, "component", "load", file), "component state granted reset", "--name")
    assert answered(store, "component", "state", "granted", "reset", "--yes")["entries"] == 1
    assert answered(store, "component", "load", file)["status"] == "loaded"


def test_a_component_that_is_not_there_has_nothing_to_delete(store: Path) -> None:
    refused(run(store, "component", "state", "nobody", "reset"), "no component is called")


def test_explain_says_what_the_own_folder_is(store: Path) -> None:
    explain = ["policy", "explain", "granted", "--access", "write", "--path"]
    before = answered(store, *explain, "fs://state")
    assert (before["decision"], before["rule"]["uri"]) == ("allowed", "fs://state")
    assert before["reason"].endswith(f"{folder(store)}, which the next call makes")
    assert not folder(store).exists()
    invoked(store, "names", path=".")
    for path, decision in {
        "fs://state/any": "allowed",
        str(folder(store) / "any"): "allowed",
        str(store / "state" / "other" / "x"): "denied",
    }.items():
        assert answered(store, *explain, path)["decision"] == decision


# --- the agent asks, a person decides -------------------------------------------------------


async def test_an_agent_asks_for_it_in_words_that_a_person_understands(
    store: Path, era: Era
) -> None:
    answered(store, "permission", "reset", "granted")
    person = Person("once", "session", "deny")
    async with served.client(store, era=era, person=person) as connection:

        async def ask(*access: str) -> None:
            details = {"uri": "fs://state", "access": list(access)}
            await connection.call_tool(
                "grant-storage-permission", {"component_id": "granted", "details": details}
            )

        await ask("read", "write")
        await value(connection, "write", path="a", text="kept")
        assert await directories(connection) == []  # it was for one call
        await ask("read")
        assert await value(connection, "read", path="a") == "kept"
        assert (await call(connection, "write", path="a", text="x")).is_error
        await connection.call_tool("unload-component", {"id": "granted"})
    assert person.messages[:2] == [
        'May the component "granted" keep files of its own between calls?',
        'May the component "granted" read the files of its own that earlier calls kept?',
    ]
    assert person.messages[2].endswith("So is what it keeps between calls: 1 file.")
    assert (folder(store) / "a").read_text() == "kept"


async def test_a_revoke_takes_the_right_and_leaves_the_files(store: Path) -> None:
    async with served.client(store) as connection:
        await value(connection, "write", path="a", text="kept")
        revoke = ["permission", "revoke", "storage", "granted", "fs://state/**"]
        await run_sync(lambda: answered(store, *revoke))
        assert await directories(connection) == []
        await run_sync(lambda: answered(store, *GRANT))
        assert await value(connection, "read", path="a") == "kept"
