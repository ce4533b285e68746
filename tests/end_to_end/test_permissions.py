"""An operator and an agent both able to work: grants from outside, on the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from support import guests, served
from support.person import Person
from support.served import ANSWER_S, ENDLESS, text

if TYPE_CHECKING:
    from pathlib import Path

    import mcp_types as types
    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def granted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("granted") / "store", ["granted", "spin"])


@pytest.fixture
def place(granted_store: Path, tmp_path: Path) -> Path:
    """A store that the test may change, and beside it a workspace with one file."""
    (tmp_path / "desk" / "data").mkdir(parents=True)
    (tmp_path / "desk" / "data" / "note").write_text("from the host")
    tmp_path.chmod(0o755)
    return served.copy_of(granted_store, tmp_path / "store")


def operate(place: Path, *words: str | Path, status: int = 0) -> Any:
    options = ("--workspace", place.parent / "desk")
    done = served.operate(place, *words, *options)
    assert done.returncode == status, done.stderr.decode()
    return msgspec.json.decode(done.stdout) if status == 0 else done.stderr.decode()


def workspace(place: Path) -> tuple[str, str]:
    return "--workspace", str(place.parent / "desk")


async def call(connection: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    with anyio.fail_after(ANSWER_S):
        return await connection.call_tool(tool, arguments)


async def value(connection: Client, tool: str, **arguments: Any) -> Any:
    result = await call(connection, tool, **arguments)
    assert not result.is_error, text(result)
    assert result.structured_content is not None
    return result.structured_content["result"]


def audited(place: Path) -> list[dict[str, Any]]:
    done = served.operate(place, "audit", "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


# --- the operator, while a server runs ------------------------------------------------------


async def test_a_running_server_sees_what_the_command_line_grants_and_revokes(
    place: Path,
) -> None:
    async with served.client(place, *workspace(place), variables={"TZ": "UTC"}) as connection:
        assert await value(connection, "variables") == []
        assert await value(connection, "directories") == []
        await run_sync(
            operate, place, "permission", "grant", "environment-variable", "granted", "TZ"
        )
        assert await value(connection, "variables") == [["TZ", "UTC"]]
        assert await value(connection, "settings") == [["TZ", "UTC"]]
        storage = ["storage", "granted", "fs://data"]
        operate(place, "permission", "grant", *storage, "--access", "read")
        assert await value(connection, "read", directory="data", path="note") == "from the host"
        refused = await call(connection, "write", directory="data", path="new", text="x")
        assert refused.is_error
        operate(place, "permission", "grant", *storage, "--access", "read,write")
        assert not (
            await call(connection, "write", directory="data", path="new", text="x")
        ).is_error
        assert (place.parent / "desk" / "data" / "new").read_text() == "x"
        await run_sync(operate, place, "permission", "revoke", *storage)
        await run_sync(operate, place, "permission", "reset", "granted")
        assert await value(connection, "variables") == []
        assert await value(connection, "directories") == []


async def test_a_secret_reaches_the_guest_that_the_policy_names_and_nobody_else(
    place: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        'version: "1.0"\npermissions:\n  environment:\n    allow:\n'
        "    - {key: TOKEN, value_from: {secret: WEATHER}}\n"
    )
    (tmp_path / "value").write_text("hunter2-secret")
    async with served.client(place, *workspace(place)) as connection:
        operate(place, "secret", "set", "granted", "WEATHER", "--from-file", tmp_path / "value")
        assert await value(connection, "variables") == []  # no policy names it
        operate(place, "policy", "set", "granted", policy, "--yes")
        assert await value(connection, "variables") == [["TOKEN", "hunter2-secret"]]
        operate(place, "secret", "delete", "granted", "WEATHER")
        assert await value(connection, "variables") == []
    told = msgspec.json.encode(audited(place))
    assert b"WEATHER" in told
    assert b"hunter2" not in told


async def test_a_revoke_by_the_command_line_ends_a_call_that_runs(place: Path) -> None:
    operate(place, "permission", "grant", "environment-variable", "spin", "TZ")
    async with served.raw(place, *ENDLESS) as server:
        await server.call(1, "spin")
        worker = await served.busy_worker(server.pid)
        await run_sync(operate, place, "permission", "revoke", "environment-variable", "spin", "TZ")
        answer = await server.answer(1)
        await served.gone_within(1.0, worker)
    assert answer["isError"]
    assert "was narrowed" in answer["content"][0]["text"]


async def test_an_edited_policy_stops_its_component_until_it_is_approved(place: Path) -> None:
    operate(place, "permission", "grant", "environment-variable", "granted", "TZ")
    file = place / "components" / "granted.policy.yaml"
    async with served.client(place, variables={"TZ": "UTC", "LANG": "C"}) as connection:
        file.write_text(file.read_text().replace("TZ", "LANG"))
        refused = await call(connection, "variables")
        assert refused.is_error
        assert "policy check granted --approve" in text(refused)
        operate(place, "policy", "check", "granted", "--approve")
        assert await value(connection, "variables") == [["LANG", "C"]]


# --- the agent asks, a person decides -------------------------------------------------------


async def test_an_agent_asks_for_a_directory_and_a_person_allows_it_for_one_call(
    place: Path, era: Era
) -> None:
    person = Person("once")
    async with served.client(place, *workspace(place), era=era, person=person) as connection:
        details = {"uri": "fs://data", "access": ["read"]}
        asked = await call(
            connection, "grant-storage-permission", component_id="granted", details=details
        )
        assert not asked.is_error, text(asked)
        assert await value(connection, "read", directory="data", path="note") == "from the host"
        assert await value(connection, "directories") == []
    [message] = person.messages
    assert message.startswith('May the component "granted" read all files in the directory "/')
    assert message.endswith('/desk/data", written as "fs://data"?')


async def test_what_was_allowed_for_a_while_does_not_come_back_with_a_reload(place: Path) -> None:
    person = Person("session")
    async with served.client(place, person=person, variables={"TZ": "UTC"}) as connection:
        details = {"key": "TZ"}
        await call(
            connection,
            "grant-environment-variable-permission",
            component_id="granted",
            details=details,
        )
        assert await value(connection, "variables") == [["TZ", "UTC"]]
        variable = ("environment-variable", "granted", "LANG")
        await run_sync(operate, place, "permission", "grant", *variable)
        await run_sync(operate, place, "permission", "revoke", *variable)
        await run_sync(served.load, place, guests.guest_path("granted"))
        assert await value(connection, "variables") == []


async def test_what_the_ceiling_does_not_allow_is_not_put_to_a_person(
    place: Path, tmp_path: Path, era: Era
) -> None:
    above = tmp_path / "ceiling.yaml"
    above.write_text('version: "1.0"\npermissions: {environment: {allow: [{key: LANG}]}}')
    person = Person("always", "always")
    options = [*workspace(place), "--ceiling", str(above)]
    given = {"TZ": "UTC", "LANG": "C"}
    async with served.client(
        place, *options, era=era, person=person, variables=given
    ) as connection:
        for tool, details in [
            ("grant-environment-variable-permission", {"key": "TZ"}),
            ("grant-storage-permission", {"uri": "fs://data", "access": ["read"]}),
        ]:
            asked = await call(connection, tool, component_id="granted", details=details)
            assert asked.is_error
            assert "can't be granted as it is" in text(asked)
        assert person.messages == []
        wanted = {"key": "LANG"}
        asked = await call(
            connection,
            "grant-environment-variable-permission",
            component_id="granted",
            details=wanted,
        )
        assert not asked.is_error, text(asked)
        assert await value(connection, "variables") == [["LANG", "C"]]
    assert len(person.messages) == 1


async def test_everything_that_was_asked_answered_and_done_is_on_record(place: Path) -> None:
    person = Person("always", "deny")
    async with served.client(place, person=person, variables={"TZ": "UTC"}) as connection:
        for key in ("TZ", "LANG"):
            await call(
                connection,
                "grant-environment-variable-permission",
                component_id="granted",
                details={"key": key},
            )
        await value(connection, "variables")
    lines = [(line["event"], line["decision"]) for line in audited(place)]
    start = lines.index(("question", None))
    assert [line for line in lines[start:] if line[0] != "server-stop"] == [
        ("question", None),
        ("answer", "always"),
        ("grant", "always"),
        ("question", None),
        ("answer", "deny"),
        ("refusal", "denied"),
        ("call-started", "allowed"),
        ("call-ended", None),
    ]
    assert operate(place, "audit", "verify")["problems"] == []


async def test_a_call_that_can_not_be_recorded_does_not_run(place: Path) -> None:
    async with served.client(place) as connection:
        assert await value(connection, "count") == 1
        folder = place / "audit"
        folder.rename(place / "moved")
        folder.write_text("no folder")
        refused = await call(connection, "count")
    assert refused.is_error
    assert "audit" in text(refused)


async def test_two_servers_of_one_store_both_see_what_one_person_allowed_always(
    place: Path,
) -> None:
    person = Person("always")
    variables = {"TZ": "UTC"}
    async with (
        served.client(place, person=person, variables=variables) as one,
        served.client(place, variables=variables, era="legacy") as other,
    ):
        await call(
            one,
            "grant-environment-variable-permission",
            component_id="granted",
            details={"key": "TZ"},
        )
        assert await value(one, "variables") == await value(other, "variables") == [["TZ", "UTC"]]


# --- allow, and run again -------------------------------------------------------------------


async def test_a_tool_that_lacked_a_variable_is_allowed_it_and_run_again(
    place: Path, era: Era
) -> None:
    person = Person("once")
    async with served.client(place, era=era, person=person, variables={"TZ": "UTC"}) as connection:
        assert await value(connection, "demand", key="TZ") == "UTC"
        [message] = person.messages
        assert message == (
            'The tool "demand" failed. May the component "granted" see the value of this server\'s '
            'environment variable "TZ", and be run again?'
        )
        # It was for that call.
        assert await value(connection, "variables") == []
        failed = await call(connection, "demand", key="UNKNOWN_TO_THE_SERVER")
        assert failed.is_error
    assert len(person.asked) == 1


async def test_a_tool_that_lacked_a_directory_is_allowed_it_and_run_again(
    place: Path, era: Era
) -> None:
    data = str(place.parent / "desk" / "data")
    person = Person("session")
    async with served.client(place, era=era, person=person) as connection:
        assert await value(connection, "read", directory=data, path="note") == "from the host"
        assert await value(connection, "directories") == [data]
        # Changing it is another right.
        failed = await call(connection, "write", directory=data, path="new", text="x")
        assert failed.is_error
    [message] = person.messages
    assert message.startswith('The tool "read" failed. May the component "granted" read all files')
    assert message.endswith(", and be run again?")


ONE_NOTE = """
version: "1.0"
permissions:
  storage:
    allow: [{uri: "fs://data/note", access: [read]}]
    deny: [{uri: "fs://data/shut", access: [read, write]}]
"""


async def test_a_path_that_the_rules_refused_is_allowed_and_the_tool_run_again(
    place: Path, era: Era
) -> None:
    data = place.parent / "desk" / "data"
    for name in ("other", "shut"):
        (data / name).write_text(f"of {name}")
    (place.parent / "policy").write_text(ONE_NOTE)
    operate(place, "policy", "set", "granted", place.parent / "policy", "--yes")
    person = Person("session")
    async with served.client(place, *workspace(place), era=era, person=person) as connection:
        assert await value(connection, "read", directory="data", path="note") == "from the host"
        assert await value(connection, "read", directory="data", path="other") == "of other"
        # What a rule denies no grant gives: nobody is asked.
        failed = await call(connection, "read", directory="data", path="shut")
    assert failed.is_error
    assert "shut" not in text(failed)
    [message] = person.messages
    assert f'"{data}/other"' in message
    ended = [entry["detail"] for entry in audited(place) if entry["event"] == "call-ended"]
    assert [each.get("denied") for each in ended] == [
        None,
        [f"{data}/other (read)"],
        None,
        [f"{data}/shut (read)"],
    ]


async def test_a_failed_call_keeps_its_answer_when_nobody_allows_it(place: Path, era: Era) -> None:
    data = str(place.parent / "desk" / "data")
    person = Person("deny")
    async with served.client(place, era=era, person=person) as connection:
        failures = [await call(connection, "read", directory=data, path="note") for _ in range(2)]
    async with served.client(place, era=era) as connection:
        failures.append(await call(connection, "read", directory=data, path="note"))
    assert all(failure.is_error for failure in failures)
    assert len({text(failure) for failure in failures}) == 1
    assert len(person.asked) == 1


@pytest.mark.parametrize("path", ["STORE", "/", "/proc/self", "/nowhere/at/all", "/etc/passwd\0"])
async def test_what_may_never_be_granted_is_not_offered(place: Path, path: str) -> None:
    person = Person("always")
    async with served.client(place, person=person) as connection:
        wanted = path.replace("STORE", str(place))
        failed = await call(connection, "read", directory=wanted, path="x")
    assert failed.is_error
    assert person.asked == []
