"""A model asks, a person decides: with the library's own client, in both eras of the protocol."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from support.fake_backend import FakeBackend, component, tool
from support.person import Person, accepted
from wassette_protocol.frames import ComponentId
from wassette_supervisor import settings
from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.reading import Damaged, entries
from wassette_supervisor.front.asking import ANSWER
from wassette_supervisor.front.server import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.client.session import ElicitationFnT

    from wassette_supervisor.store.record import Record

pytestmark = pytest.mark.anyio

Era = Literal["auto", "legacy"]
ONE = ComponentId("one")
GRANT = "grant-environment-variable-permission"
REVOKE = "revoke-environment-variable-permission"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    era: Era = request.param
    return era


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(component("one", tool("answer")))


def client(
    backend: FakeBackend,
    era: Era,
    person: ElicitationFnT | None,
    **flags: object,
) -> Client:
    server = make_server(settings.load(flags, {"HOME": "/home/op"}), backend)
    return Client(server, mode=era, elicitation_callback=person)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's settings are those that a person's shell has."""
    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


def variable(key: str) -> dict[str, Any]:
    return {"component_id": "one", "details": {"key": key}}


def reading(directory: Path | str) -> dict[str, Any]:
    return {"component_id": "one", "details": {"uri": f"fs://{directory}", "access": ["read"]}}


def text(result: types.CallToolResult) -> str:
    [block] = result.content
    assert isinstance(block, types.TextContent)
    return block.text


def record(backend: FakeBackend) -> Record:
    return backend.records()[ONE]


def granted(backend: FakeBackend) -> set[str]:
    """The variables that a call of the component would see now, were it in the server."""
    right = backend.permissions.effective(record(backend), None)
    from wassette_supervisor.policy.effective import environment  # noqa: PLC0415 - of a test

    return {rule.key for rule in environment(right)}


def recorded(backend: FakeBackend) -> list[tuple[str, str | None]]:
    return [
        (each.event.value, each.decision)
        for each in entries(backend.audit.directory)
        if not isinstance(each, Damaged)
    ]


# --- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["once", "session", "always"])
async def test_what_a_person_allows_is_granted_for_as_long_as_they_said(
    backend: FakeBackend, era: Era, scope: str
) -> None:
    person = Person(scope)
    async with client(backend, era, person) as connection:
        result = await connection.call_tool(GRANT, variable("TZ"))
    assert not result.is_error, text(result)
    [question] = person.asked
    assert question.message == (
        'May the component "one" see the value of this server\'s environment variable "TZ"?'
    )
    assert granted(backend) == {"TZ"}
    in_policy = backend.permissions.attached(record(backend)).policy is not None
    assert in_policy == (scope == "always")
    backend.permissions.granted(record(backend), "answer")  # its next call
    assert granted(backend) == (set() if scope == "once" else {"TZ"})


NO = {
    "decline": types.ElicitResult(action="decline"),
    "cancel": types.ElicitResult(action="cancel"),
    "deny": accepted("deny"),
    "no-content": types.ElicitResult(action="accept"),
    "made-up": accepted("forever"),
    "other-field": types.ElicitResult(action="accept", content={"answer": "always"}),
    "not-a-text": types.ElicitResult(action="accept", content={ANSWER: True}),
    "content-of-a-decline": types.ElicitResult(action="decline", content={ANSWER: "always"}),
}


@pytest.mark.parametrize("answer", NO.values(), ids=NO)
async def test_any_other_answer_is_a_no_and_is_not_asked_again(
    backend: FakeBackend, era: Era, answer: types.ElicitResult
) -> None:
    person = Person(answer)
    async with client(backend, era, person) as connection:
        results = [await connection.call_tool(GRANT, variable("TZ")) for _ in range(3)]
        other = await connection.call_tool(GRANT, variable("LANG"))
    assert all(result.is_error for result in [*results, other])
    refused = "dismissed the question" if answer.action == "cancel" else "refused it"
    assert text(results[0]) == (
        f"the permission was not granted: a person {refused}; have the operator run: "
        "wassette-supervisor permission grant environment-variable one TZ"
    )
    assert "not asked again" in text(results[1])
    assert len(person.asked) == 2  # TZ once, LANG once
    assert granted(backend) == set()


async def test_no_answer_in_time_is_a_no(backend: FakeBackend, era: Era) -> None:
    class Sleeper(Person):
        async def __call__(self, *asked: Any, **more: Any) -> types.ElicitResult:
            await anyio.sleep(1.5)
            return await super().__call__(*asked, **more)

    async with client(backend, era, Sleeper("always"), approval_timeout="1s") as connection:
        result = await connection.call_tool(GRANT, variable("TZ"))
        assert result.is_error
        again = await connection.call_tool(GRANT, variable("TZ"))
    assert "not asked again" in text(again)
    assert granted(backend) == set()


async def test_a_client_that_cannot_ask_gets_the_operators_command(
    backend: FakeBackend, era: Era
) -> None:
    async with client(backend, era, None) as connection:
        result = await connection.call_tool(GRANT, variable("TZ"))
    assert result.is_error
    assert text(result) == (
        "the permission was not granted: a person has to approve it, and this client can't ask "
        "one; have the operator run: wassette-supervisor permission grant environment-variable "
        "one TZ"
    )


async def test_a_client_that_is_gone_while_asked_leaves_nothing_granted(
    backend: FakeBackend, era: Era
) -> None:
    reached = anyio.Event()

    class Absent(Person):
        async def __call__(self, *asked: Any, **more: Any) -> types.ElicitResult:
            reached.set()
            await anyio.sleep_forever()
            return await super().__call__(*asked, **more)

    async with (
        client(backend, era, Absent("always")) as connection,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(connection.call_tool, GRANT, variable("TZ"))
        with anyio.fail_after(5):
            await reached.wait()
        tasks.cancel_scope.cancel()
    assert granted(backend) == set()


async def test_of_fifty_questions_of_a_pushy_model_each_is_asked_once(
    backend: FakeBackend, era: Era
) -> None:
    person = Person("deny")
    async with client(backend, era, person) as connection, anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(connection.call_tool, GRANT, variable(f"KEY_{number % 5}"))
    async with client(backend, era, person) as connection:
        for number in range(50):
            await connection.call_tool(GRANT, variable(f"KEY_{number % 5}"))
    assert granted(backend) == set()
    asked = [form.message for form in person.asked]
    # Another server asks anew; within one nobody is asked twice.
    assert all(asked.count(message) <= 2 for message in asked)


async def test_every_question_and_answer_is_on_record(backend: FakeBackend, era: Era) -> None:
    async with client(backend, era, Person("deny", "once")) as connection:
        await connection.call_tool(GRANT, variable("TZ"))
        await connection.call_tool(GRANT, variable("LANG"))
    assert recorded(backend) == [
        ("question", None),
        ("answer", "deny"),
        ("refusal", "denied"),
        ("question", None),
        ("answer", "once"),
        ("grant", "once"),
    ]


# --- what needs no person -------------------------------------------------------------------


async def test_taking_away_is_not_asked(backend: FakeBackend, era: Era) -> None:
    person = Person("always")
    async with client(backend, era, person) as connection:
        await connection.call_tool(GRANT, variable("TZ"))
        await connection.call_tool(GRANT, variable("LANG"))
        revoked = await connection.call_tool(REVOKE, variable("TZ"))
        assert granted(backend) == {"LANG"}
        reset = await connection.call_tool("reset-permission", {"component_id": "one"})
        policy = await connection.call_tool("get-policy", {"component_id": "one"})
    assert len(person.asked) == 2
    assert revoked.structured_content == {
        "status": "permission revoked successfully",
        "component_id": "one",
        "key": "TZ",
    }
    assert reset.structured_content == {
        "status": "permissions reset successfully",
        "component_id": "one",
    }
    assert policy.structured_content["rules"] == []
    assert granted(backend) == set()
    assert set(backend.stopped) == {ONE}  # and calls that ran were ended


async def test_what_was_allowed_for_a_session_can_be_revoked_and_reset(
    backend: FakeBackend, era: Era
) -> None:
    async with client(backend, era, Person("session")) as connection:
        await connection.call_tool(GRANT, variable("TZ"))
        await connection.call_tool(GRANT, variable("LANG"))
        result = await connection.call_tool(REVOKE, variable("TZ"))
        assert not result.is_error, text(result)
        assert granted(backend) == {"LANG"}
        await connection.call_tool("reset-permission", {"component_id": "one"})
    assert granted(backend) == set()


async def test_what_is_granted_already_is_not_asked(backend: FakeBackend, era: Era) -> None:
    person = Person("always", "deny")
    async with client(backend, era, person) as connection:
        for _ in range(2):
            result = await connection.call_tool(GRANT, variable("TZ"))
            assert not result.is_error
    assert len(person.asked) == 1


@pytest.mark.parametrize(
    ("approve", "why"), [("deny", "the operator lets no model do it"), ("allow", "")]
)
async def test_an_operator_may_settle_it_for_everything(
    backend: FakeBackend, era: Era, approve: str, why: str
) -> None:
    person = Person("deny")
    async with client(backend, era, person, approve=approve) as connection:
        result = await connection.call_tool(GRANT, variable("TZ"))
    assert person.asked == []
    assert granted(backend) == ({"TZ"} if approve == "allow" else set())
    assert result.is_error == bool(why)
    assert why in text(result)


# --- loading --------------------------------------------------------------------------------


async def test_a_load_is_asked_before_anything_is_read_and_again_with_what_was_found(
    era: Era,
) -> None:
    backend = FakeBackend()
    person = Person("always")
    backend.files["file:///new.wasm"] = component("new", tool("answer"), tool("ask"))
    async with client(backend, era, person) as connection:
        result = await connection.call_tool("load-component", {"path": "file:///new.wasm"})
    assert not result.is_error, text(result)
    first, second = (form.message for form in person.asked)
    assert "Nothing has been read yet" in first
    assert '"file:///new.wasm"' in first
    assert f"SHA-256 {'ab' * 32}, signed by nobody" in second
    assert 'Tools: "answer", "ask"' in second
    assert "environment variables" in second
    assert set(backend.records()) == {"new"}


@pytest.mark.parametrize("answers", [("deny",), ("always", "deny")], ids=["first", "second"])
async def test_a_load_that_is_refused_keeps_nothing_and_leaks_nothing(
    era: Era, answers: tuple[str, ...]
) -> None:
    backend = FakeBackend()
    backend.files["file:///new.wasm"] = component("new", tool("answer"))
    async with client(backend, era, Person(*answers)) as connection:
        result = await connection.call_tool("load-component", {"path": "file:///new.wasm"})
    assert result.is_error
    assert "the component was not loaded: a person refused it" in text(result)
    assert backend.records() == {}
    assert all(draft.closed for draft in backend.drafts)
    assert len(backend.drafts) == len(answers) - 1


async def test_an_unload_says_what_is_lost(backend: FakeBackend, era: Era) -> None:
    person = Person("always")
    async with client(backend, era, person) as connection:
        await connection.call_tool(GRANT, variable("TZ"))
        backend.permissions.secrets.set(ONE, {"TOKEN": "hidden"})
        await connection.call_tool("unload-component", {"id": "one"})
    assert person.asked[-1].message == (
        'Unload the component "one"? Its tools, its policy (1 rule) and its 1 secret are deleted.'
    )
    assert backend.records() == {}


# --- a client that cheats, in the era without sessions --------------------------------------


async def ask(connection: Client, **extra: Any) -> types.CallToolResult | types.InputRequiredResult:
    result: types.CallToolResult | types.InputRequiredResult = await connection.session.call_tool(
        extra.pop("tool", GRANT),
        extra.pop("arguments", variable("TZ")),
        allow_input_required=True,
        **extra,
    )
    return result


async def state_of_a_question(connection: Client, **extra: Any) -> str:
    question = await ask(connection, **extra)
    assert isinstance(question, types.InputRequiredResult)
    assert question.request_state is not None
    return question.request_state


YES = {ANSWER: accepted("always")}


async def test_an_answer_counts_once(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        state = await state_of_a_question(connection)
        first = await ask(connection, input_responses=YES, request_state=state)
        assert isinstance(first, types.CallToolResult)
        assert granted(backend) == {"TZ"}
        await connection.call_tool(REVOKE, variable("TZ"))
        for _ in range(3):
            again = await ask(connection, input_responses=YES, request_state=state)
            assert not isinstance(again, types.CallToolResult) or again.is_error
            assert granted(backend) == set()


async def test_an_answer_without_a_question_is_nobodys(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        result = await ask(connection, input_responses=YES)
        assert isinstance(result, types.InputRequiredResult)
    assert granted(backend) == set()


@pytest.mark.parametrize("at", [0, 10, -1], ids=["first", "middle", "last"])
async def test_an_altered_state_is_refused(backend: FakeBackend, at: int) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        state = list(await state_of_a_question(connection))
        state[at] = "A" if state[at] != "A" else "B"
        with pytest.raises(MCPError) as caught:
            await ask(connection, input_responses=YES, request_state="".join(state))
    assert caught.value.error.code == types.INVALID_PARAMS
    assert granted(backend) == set()


@pytest.mark.parametrize(
    "other",
    [
        {"arguments": variable("AWS_SECRET_ACCESS_KEY")},
        {"arguments": {"component_id": "two", "details": {"key": "TZ"}}},
        {"tool": "grant-network-permission", "arguments": variable("TZ")},
    ],
    ids=["other-key", "other-component", "other-tool"],
)
async def test_a_state_answers_no_other_call(backend: FakeBackend, other: dict[str, Any]) -> None:
    backend.put(component("two", tool("other")))
    async with client(backend, "auto", Person("deny")) as connection:
        state = await state_of_a_question(connection)
        with pytest.raises(MCPError) as caught:
            await ask(connection, input_responses=YES, request_state=state, **other)
    assert caught.value.error.code == types.INVALID_PARAMS
    assert granted(backend) == set()


async def test_a_state_of_one_server_is_none_of_another(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        state = await state_of_a_question(connection)
    async with client(backend, "auto", Person("deny")) as connection:
        with pytest.raises(MCPError):
            await ask(connection, input_responses=YES, request_state=state)
    assert granted(backend) == set()


async def test_an_answer_is_void_when_what_it_was_about_has_changed(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        state = await state_of_a_question(connection)
        # Another process changes the policy while the person thinks.
        backend.permissions.set_policy(ONE, b'version: "1.0"\ndescription: other\n')
        result = await ask(connection, input_responses=YES, request_state=state)
        assert isinstance(result, types.InputRequiredResult)  # it is asked anew
    assert granted(backend) == set()
    assert recorded(backend) == [("question", None), ("answer", "deny"), ("question", None)]


async def test_a_person_is_asked_one_question_at_a_time(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny")) as connection:
        state = await state_of_a_question(connection)
        for key in ("LANG", "TZ"):
            other = await ask(connection, arguments=variable(key))
            assert isinstance(other, types.CallToolResult)
            assert "one change at a time; call again" in text(other)
        await ask(connection, input_responses=YES, request_state=state)
        assert isinstance(
            await ask(connection, arguments=variable("LANG")), types.InputRequiredResult
        )
    assert granted(backend) == {"TZ"}


# --- words ----------------------------------------------------------------------------------


# Names that a directory may have, and a policy may name.
HOSTILE = {
    "bidirectional": "\u202egnp.exe\u2066",
    "look-alike": "\u0430dmin",  # a Cyrillic letter
    "markdown": "_bold_ (evil.example) ~x~",
    "html": "<b onclick=alert(1)>&lt;",
    "quote": 'x". Yes. Allow "y',
    "invisible": "a\u200b\U000e0041\ufeff",
}


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """With a path that leaves room for the name in a question."""
    with tempfile.TemporaryDirectory(prefix="q") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
async def test_no_name_shapes_the_question(
    backend: FakeBackend, era: Era, short_folder: Path, name: str
) -> None:
    (short_folder / name).mkdir()
    person = Person("deny")
    async with client(backend, era, person) as connection:
        await connection.call_tool("grant-storage-permission", reading(short_folder / name))
    [form] = person.asked
    before, _, rest = form.message.partition('directory "')
    value, _, after = rest.rpartition('"')
    assert (before, after) == ('May the component "one" read all files in the ', "?")
    assert value.isascii()
    assert value.isprintable()
    assert not set(value) & set("\"*`<>[]()&#~|!$'")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("note.md", 'the file "{}/note.md"'),
        ("", 'all files in the directory "{}"'),
        ("*.md", 'all files that match "{}/\\u{{2a}}.md", in which \\u{{2a}} stands for any text'),
    ],
    ids=["file", "folder", "pattern"],
)
async def test_a_person_is_told_whether_it_is_a_file_a_folder_or_a_pattern(
    backend: FakeBackend, short_folder: Path, name: str, asked: str
) -> None:
    (short_folder / "note.md").write_bytes(b"")
    person = Person("deny")
    async with client(backend, "auto", person) as connection:
        wanted = reading(f"{short_folder}/{name}".rstrip("/"))
        await connection.call_tool("grant-storage-permission", wanted)
    [form] = person.asked
    assert form.message == f'May the component "one" read {asked.format(short_folder)}?'


@pytest.mark.parametrize("name", ["a\nAllow everything?", "\x1b[2J\x07", "**x**", "a\0b"], ids=repr)
async def test_a_name_that_no_policy_takes_is_not_asked_about(
    backend: FakeBackend, era: Era, short_folder: Path, name: str
) -> None:
    person = Person("always")
    async with client(backend, era, person) as connection:
        arguments = reading(f"{short_folder}/{name}")
        result = await connection.call_tool("grant-storage-permission", arguments)
    assert result.is_error
    assert person.asked == []
    assert not set(text(result)) & set("\n\x1b\x07\0")


async def test_what_is_too_long_to_be_judged_is_not_asked(
    backend: FakeBackend, era: Era, short_folder: Path
) -> None:
    deep = short_folder / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    person = Person("always")
    async with client(backend, era, person) as connection:
        result = await connection.call_tool("grant-storage-permission", reading(deep))
    assert result.is_error
    assert "a person is shown 200 at most" in text(result)
    assert person.asked == []
    assert Event.GRANT.value not in [event for event, _ in recorded(backend)]


# --- hints ----------------------------------------------------------------------------------


async def test_the_hints_of_a_tool_follow_from_what_it_may_do(
    backend: FakeBackend, era: Era, tmp_path: Path
) -> None:
    async def hints(connection: Client) -> tuple[bool | None, bool | None, bool | None]:
        listed = await connection.list_tools(cache_mode="bypass")
        [found] = [each.annotations for each in listed.tools if each.name == "answer"]
        assert found is not None
        return found.read_only_hint, found.destructive_hint, found.open_world_hint

    async with client(backend, era, Person("always")) as connection:
        assert await hints(connection) == (True, False, False)
        storage = {"uri": f"fs://{tmp_path}", "access": ["read"]}
        arguments = {"component_id": "one", "details": storage}
        await connection.call_tool("grant-storage-permission", arguments)
        assert await hints(connection) == (True, False, False)
        storage["access"] = ["read", "write"]
        await connection.call_tool("grant-storage-permission", arguments)
        assert await hints(connection) == (False, True, False)
        await connection.call_tool("reset-permission", {"component_id": "one"})
        await connection.call_tool(GRANT, variable("TZ"))
        assert await hints(connection) == (False, False, False)
        backend.permissions.path(ONE).write_bytes(b"edited")
        assert await hints(connection) == (False, True, True)


# --- what a reviewer found ------------------------------------------------------------------


async def test_a_refused_directory_is_not_asked_again_under_another_spelling(
    backend: FakeBackend, era: Era, tmp_path: Path
) -> None:
    person = Person("deny")
    async with client(backend, era, person) as connection:
        for ending in ("", "/", "/**"):
            details = {"uri": f"fs://{tmp_path}{ending}", "access": ["read"]}
            arguments = {"component_id": "one", "details": details}
            await connection.call_tool("grant-storage-permission", arguments)
    assert len(person.asked) == 1


@pytest.mark.parametrize("approve", ["ask", "deny"])
async def test_a_reset_that_takes_limits_away_is_asked(
    backend: FakeBackend, era: Era, approve: str
) -> None:
    limits = b'version: "1.0"\npermissions: {resources: {limits: {fuel: 1000}}}\n'
    backend.permissions.set_policy(ONE, limits)
    person = Person("deny")
    async with client(backend, era, person, approve=approve) as connection:
        result = await connection.call_tool("reset-permission", {"component_id": "one"})
    assert result.is_error
    assert len(person.asked) == (approve == "ask")
    assert backend.permissions.attached(record(backend)).text == limits


async def test_what_is_on_the_disk_is_told_to_no_model(
    backend: FakeBackend, era: Era, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc")
    told = set()
    async with client(backend, era, Person("deny")) as connection:
        for name in ("fifo", "none", "link"):
            details = {"uri": f"fs://{tmp_path}/{name}", "access": ["read"]}
            arguments = {"component_id": "one", "details": details}
            result = await connection.call_tool("grant-storage-permission", arguments)
            told.add(text(result).replace(name, "NAME"))
    assert len(told) == 1


async def test_a_question_that_nobody_answers_is_on_record_as_a_no(backend: FakeBackend) -> None:
    async with client(backend, "auto", Person("deny"), approval_timeout="1s") as connection:
        await ask(connection)
        await anyio.sleep(1.1)
        await connection.call_tool("list-components", {})
    assert recorded(backend) == [("question", None), ("answer", "deny")]


async def test_the_value_of_a_variable_is_told_to_no_model_and_no_log(
    backend: FakeBackend, era: Era
) -> None:
    backend.permissions.set_policy(
        ONE,
        b'version: "1.0"\npermissions: {environment: {allow: [{key: A, value: hunter2}]}}\n',
    )
    async with client(backend, era, Person("deny")) as connection:
        results = [
            await connection.call_tool("get-policy", {"component_id": "one"}),
            await connection.call_tool(REVOKE, variable("NOPE")),
            await connection.call_tool(GRANT, variable("A")),
        ]
    assert not any("hunter2" in text(result) for result in results)
    assert not any(
        b"hunter2" in file.read_bytes() for file in backend.audit.directory.glob("*.jsonl")
    )
