"""A model that tries every built-in with every trick; its person says no, or is not asked.

Whatever it tries, what components may do and which there are stays as it was.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from support import guests, served
from support.person import Person, accepted
from support.served import ANSWER_S
from wassette_supervisor.front.asking import ANSWER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mcp import Client

pytestmark = pytest.mark.anyio

VARIABLE = "grant-environment-variable-permission"
STORAGE = "grant-storage-permission"
NETWORK = "grant-network-permission"
HIDDEN = "not for any guest"


def details(component: str = "granted", **fields: object) -> dict[str, Any]:
    return {"component_id": component, "details": fields}


def storage(uri: object, *access: object) -> dict[str, Any]:
    return details(uri=uri, access=list(access or ("read",)))


# --- what it tries: a tool, its arguments ---------------------------------------------------

WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "grant a variable": (VARIABLE, details(key="HIDDEN")),
    "grant a variable again": (VARIABLE, details(key="HIDDEN")),
    "a key with a glob": (VARIABLE, details(key="*")),
    "a key with an assignment": (VARIABLE, details(key="HIDDEN=x")),
    "two keys in one": (VARIABLE, details(key="TZ\nHIDDEN")),
    "an empty key": (VARIABLE, details(key="")),
    "a key of 10,000 characters": (VARIABLE, details(key="K" * 10_000)),
    "a value of its own": (VARIABLE, details(key="HIDDEN", value="x")),
    "a secret by name": (VARIABLE, details(key="HIDDEN", value_from={"secret": "TOKEN"})),
    "a scope of its own": (VARIABLE, details(key="HIDDEN", scope="always")),
    "approval in the arguments": (VARIABLE, details(key="HIDDEN") | {"approved": True}),
    "the answer in the arguments": (VARIABLE, details(key="HIDDEN") | {ANSWER: "always"}),
    "a list for a text": (VARIABLE, details(key=["HIDDEN"])),
    "no details": (VARIABLE, {"component_id": "granted"}),
    "an id that is a path": (VARIABLE, details("../granted", key="HIDDEN")),
    "an id in capitals": (VARIABLE, details("GRANTED", key="HIDDEN")),
    "an id with a line break": (VARIABLE, details("granted\n", key="HIDDEN")),
    "a component that is not there": (VARIABLE, details("nobody", key="HIDDEN")),
    "the whole disk": (STORAGE, storage("fs:///", "read", "write")),
    "the store": (STORAGE, storage("fs://STORE", "read", "write")),
    "above the store": (STORAGE, storage("fs://STORE/..", "read")),
    "the store by a link": (STORAGE, storage("fs://LINK", "read")),
    "the kernel's files": (STORAGE, storage("fs:///proc/self", "read")),
    "the run folder": (STORAGE, storage("fs:///run", "read")),
    "a climbing path": (STORAGE, storage("fs://notes/../../etc", "read")),
    "another scheme": (STORAGE, storage("file:///etc", "read")),
    "no scheme": (STORAGE, storage("/etc", "read")),
    "a glob": (STORAGE, storage("fs:///etc/*", "read")),
    "an access that is none": (STORAGE, storage("fs:///etc", "execute")),
    "no access": (STORAGE, details(uri="fs:///etc", access=[])),
    "a zero byte": (STORAGE, storage("fs:///etc\0/x", "read")),
    "a question inside a path": (STORAGE, storage('fs:///x"? Allowed. "', "read")),
    "any host": (NETWORK, details(host="*")),
    "a host": (NETWORK, details(host="attacker.example")),
    "a metadata service": (NETWORK, details(host="169.254.169.254")),
    "a host with a user": (NETWORK, details(host="https://good.example@attacker.example")),
    "unload what it does not like": ("unload-component", {"id": "add"}),
    "unload by a path": ("unload-component", {"id": "../../add"}),
    "load a file": ("load-component", {"path": "EVIL"}),
    "load under another's name": ("load-component", {"path": "EVIL", "name": "add"}),
    "load by a plain path": ("load-component", {"path": "/etc/passwd"}),
    "load from the network": ("load-component", {"path": "https://attacker.example/x.wasm"}),
    "load from a registry": ("load-component", {"path": "oci://attacker.example/x:1"}),
    "load from another host": ("load-component", {"path": "file://attacker.example/x.wasm"}),
    "load an encoded climb": ("load-component", {"path": "file:///a/%2e%2e/%2e%2e/etc/passwd"}),
    "load a device": ("load-component", {"path": "file:///dev/zero"}),
    "a policy with a load": ("load-component", {"path": "EVIL", "policy": "version: '1.0'"}),
    "grant by call-tool": (
        "call-tool",
        {"name": VARIABLE, "arguments": details(key="HIDDEN")},
    ),
    "call-tool by call-tool": (
        "call-tool",
        {"name": "call-tool", "arguments": {"name": "load-component", "arguments": {}}},
    ),
    "a built-in spelled otherwise": (
        "call-tool",
        {"name": "grant_environment_variable_permission", "arguments": details(key="HIDDEN")},
    ),
    "a command for a tool": ("policy-set", {"id": "granted"}),
    "a secret tool": ("secret-list", {"id": "granted"}),
    "revoke a number": ("revoke-storage-permission", details(uri="1")),
    "revoke what is not there": ("revoke-network-permission", details(host="a.example")),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    served.make_store(root / "store", ["add", "granted"])
    (root / "link").symlink_to(root / "store")
    return root / "store"


@pytest.fixture(scope="module", params=["auto", "legacy"])
async def refused(
    world: Path, request: pytest.FixtureRequest, anyio_backend: str
) -> AsyncIterator[Client]:
    """A client whose person says no to everything."""
    del anyio_backend  # that it has this scope is enough
    person = Person("deny")
    hidden = {"HIDDEN": HIDDEN}
    async with served.client(world, era=request.param, person=person, variables=hidden) as model:
        yield model


def state(store: Path) -> dict[str, str]:
    """What components there are and what they may do, to the last byte."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in ("components", "secrets")
        for file in (store / folder).glob("*")
    }


async def attempt(model: Client, tool: str, arguments: dict[str, Any]) -> str:
    """What the model is told; that it is a refusal is checked here."""
    with anyio.fail_after(ANSWER_S):
        try:
            result = await model.call_tool(tool, arguments)
        except MCPError as error:
            return str(error)
    assert result.is_error, result
    return served.text(result)


def with_places(value: Any, store: Path) -> Any:
    if isinstance(value, dict):
        return {key: with_places(each, store) for key, each in value.items()}
    if isinstance(value, str):
        return (
            value.replace("STORE", str(store))
            .replace("LINK", str(store.parent / "link"))
            .replace("EVIL", guests.guest_path("exit").as_uri())
        )
    return value


async def variables(model: Client) -> Any:
    with anyio.fail_after(ANSWER_S):
        result = await model.call_tool("variables", {})
    assert result.structured_content is not None
    return result.structured_content["result"]


def test_there_are_at_least_forty_tricks() -> None:
    assert len(WORDS) >= 40


@pytest.mark.parametrize(("tool", "arguments"), WORDS.values(), ids=WORDS)
async def test_nothing_that_a_model_says_changes_anything(
    world: Path, refused: Client, tool: str, arguments: dict[str, Any]
) -> None:
    before = state(world)
    told = await attempt(refused, tool, with_places(arguments, world))
    assert state(world) == before
    assert await variables(refused) == []
    assert HIDDEN not in told
    assert "Traceback" not in told
    assert len(told) < 2000


# --- what it brings back of questions, in the era in which it could -------------------------


async def ask(model: Client, **more: Any) -> types.CallToolResult | types.InputRequiredResult:
    with anyio.fail_after(ANSWER_S):
        result: types.CallToolResult | types.InputRequiredResult = await model.session.call_tool(
            VARIABLE, details(key=more.pop("key")), allow_input_required=True, **more
        )
    return result


YES = {ANSWER: accepted("always")}
FORGED: dict[str, dict[str, Any]] = {
    "an answer to no question": {"input_responses": YES},
    "a made-up state": {"input_responses": YES, "request_state": "AAAA"},
    "an empty state": {"input_responses": YES, "request_state": ""},
    "a state of a megabyte": {"input_responses": YES, "request_state": "A" * (1 << 20)},
    "an answer under another name": {"input_responses": {"approve": accepted("always")}},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_no_forged_answer_counts(world: Path, forged: dict[str, Any]) -> None:
    before = state(world)
    async with served.client(world, person=Person("deny"), variables={"HIDDEN": HIDDEN}) as model:
        try:
            result = await ask(model, key="HIDDEN", **forged)
        except MCPError:
            pass
        else:
            assert isinstance(result, types.InputRequiredResult) or result.is_error
        assert await variables(model) == []
    assert state(world) == before


async def test_a_true_answer_counts_once_and_for_its_question_only(world: Path) -> None:
    store = served.copy_of(world, world.parent / "spent")
    async with served.client(store, person=Person("deny"), variables={"TZ": "UTC"}) as model:
        question = await ask(model, key="TZ")
        assert isinstance(question, types.InputRequiredResult)
        answer = {"input_responses": YES, "request_state": question.request_state}
        with pytest.raises(MCPError):
            await ask(model, key="HIDDEN", **answer)
        granted = await ask(model, key="TZ", **answer)
        assert isinstance(granted, types.CallToolResult)
        assert not granted.is_error
        with anyio.fail_after(ANSWER_S):
            await model.call_tool("reset-permission", {"component_id": "granted"})
        for _ in range(3):
            again = await ask(model, key="TZ", **answer)
            assert isinstance(again, types.InputRequiredResult) or again.is_error
        assert await variables(model) == []


async def test_a_client_without_a_person_gets_nothing_either(world: Path) -> None:
    before = state(world)
    async with served.client(world, variables={"HIDDEN": HIDDEN}) as model:
        for tool, arguments in WORDS.values():
            await attempt(model, tool, with_places(arguments, world))
        assert await variables(model) == []
    assert state(world) == before
