"""`component repair` as an operator uses it, beside a server that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import guests, served
from support.commands import answered, at_terminal, refused, run

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client

ADD = '{"a":1,"b":2}'


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "store"
    for name in ("add", "adder"):
        # Not the guest itself: a test may take away what a component was loaded from.
        file = tmp_path / f"{name}.wasm"
        file.write_bytes(guests.guest_bytes("add") + bytes([0, 2, 1, len(name)]))
        served.load(store, file)
    return store


def blob(store: Path, component: str) -> Path:
    [found] = [
        each
        for each in answered(store, "component", "list")["components"]
        if each["id"] == component
    ]
    return store / "blobs" / "sha256" / str(found["digest"])


def test_the_id_of_a_damaged_component_is_what_its_list_shows(store: Path) -> None:
    (store / "components" / "add.json").write_bytes(b"{}")
    listed = answered(store, "component", "list")["components"]
    assert [(each["id"], each["state"]) for each in listed] == [
        ("add", "damaged"),
        ("adder", "ready"),
    ]
    assert listed[0]["reason"].endswith("run `component repair add`")
    answer = answered(store, "component", "repair", "add")
    assert answer["total"] == 1
    [repaired] = answer["components"]
    assert (repaired["id"], repaired["state"], repaired["left"]) == ("add", "ready", [])
    assert [mended["part"] for mended in repaired["repaired"]] == ["record"]
    assert answered(store, "tool", "invoke", "add", "--args", ADD) == 3
    [entry] = answered_lines(store, "audit", "--event", "repair")
    assert (entry["component"], entry["client"]) == ("add", "command line")
    assert entry["detail"]["part"] == "record"


def answered_lines(store: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(store, *words).stdout.splitlines()]


def test_what_is_whole_is_left_alone(store: Path) -> None:
    assert answered(store, "component", "repair", "--all") == {"components": [], "total": 0}
    before = {path: path.stat().st_mtime_ns for path in (store / "components").iterdir()}
    [repaired] = answered(store, "component", "repair", "add")["components"]
    assert (repaired["repaired"], repaired["left"]) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_can_not_be_mended_is_shown_with_what_to_do_and_is_a_failure(
    store: Path, tmp_path: Path
) -> None:
    blob(store, "add").write_bytes(b"garbage")
    blob(store, "adder").unlink()
    (tmp_path / "add.wasm").unlink()
    done = run(store, "component", "repair", "--all")
    refused(done, "still damaged: add (component:", "load the component again", printed=True)
    states = {each["id"]: each["state"] for each in json.loads(done.stdout)["components"]}
    assert states == {"add": "damaged", "adder": "ready"}
    seen, status = at_terminal(store, "component", "repair", "add")
    assert status == 1
    assert b"load the component again" in seen
    assert answered(store, "component", "unload", "add")["status"] == "unloaded"
    assert answered(store, "component", "repair", "--all")["total"] == 0


@pytest.mark.parametrize("words", [(), ("add", "--all")], ids=["neither", "both"])
def test_which_component_is_to_be_said(store: Path, words: tuple[str, ...]) -> None:
    refused(run(store, "component", "repair", *words), "its ID, or --all", status=2)


@pytest.mark.parametrize("name", ["other", "../add", "add.json"])
def test_what_was_never_loaded_can_not_be_repaired(store: Path, name: str) -> None:
    refused(run(store, "component", "repair", name), "no component is called")


def test_a_file_that_is_no_components_is_named_and_kept(store: Path) -> None:
    file = store / "components" / "Not One.json"
    file.write_bytes(b"{}")
    done = run(store, "component", "repair", "--all")
    refused(done, "Not One.json", "move it away", printed=True)
    assert file.read_bytes() == b"{}"


@pytest.mark.anyio
async def test_a_server_that_runs_has_the_tools_again_at_once(store: Path) -> None:
    async with served.client(store) as connection:
        assert len(await tools(connection)) == 2
        record = store / "components" / "add.json"
        record.unlink()
        record.mkdir()
        assert await tools(connection) == {"adder_add"}
        result = await connection.call_tool("adder_add", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}
        answered(store, "component", "repair", "--all")
        assert await tools(connection) == {"add", "adder_add"}
        result = await connection.call_tool("add", {"a": 1, "b": 2})
        assert result.structured_content == {"result": 3}


async def tools(connection: Client) -> set[str]:
    listed = await connection.list_tools()
    return {tool.name for tool in listed.tools if tool.name.endswith("add")}
