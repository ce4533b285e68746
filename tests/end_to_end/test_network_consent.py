"""A host that a tool may not speak with: asked for by a model, or missed by a call of a tool."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from support import served
from support.person import Person
from support.served import ANSWER_S, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import mcp_types as types
    from mcp import Client

    from support.served import Era

pytestmark = pytest.mark.anyio

GRANT, REVOKE = "grant-network-permission", "revoke-network-permission"
DENIED = '"HTTP-request-denied"'


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """Of a server on this machine that answers each GET."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def net_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("asked") / "store", ["net"])


@pytest.fixture
def place(net_store: Path, tmp_path: Path) -> Path:
    return served.copy_of(net_store, tmp_path / "store")


async def call(connection: Client, tool: str, **arguments: Any) -> types.CallToolResult:
    with anyio.fail_after(4 * ANSWER_S):
        return await connection.call_tool(tool, arguments)


async def status(connection: Client, url: str) -> Any:
    """What the tool `abandon` gives: the status of an answer, or its error as text."""
    result = await call(connection, "abandon", url=url)
    if result.is_error:
        return text(result)
    assert result.structured_content is not None
    return result.structured_content["result"]


async def change(connection: Client, tool: str, host: str) -> types.CallToolResult:
    return await call(connection, tool, component_id="net", details={"host": host})


def rules(place: Path) -> list[str]:
    done = served.operate(place, "policy", "get", "net", "-o", "json")
    return [rule["text"] for rule in msgspec.json.decode(done.stdout)["rules"]]


def policy(place: Path, network: str) -> Path:
    file = place.parent / "policy.yaml"
    file.write_text(f'version: "1.0"\npermissions: {{network: {network}}}\n')
    return file


def put(place: Path, network: str) -> None:
    done = served.operate(place, "policy", "set", "net", policy(place, network), "--yes")
    assert done.returncode == 0, done.stderr


# --- a model asks ---------------------------------------------------------------------------


async def test_a_model_asks_for_a_host_and_a_person_is_told_which(
    place: Path, url: str, era: Era
) -> None:
    person = Person("always")
    async with served.client(place, era=era, person=person) as connection:
        granted = await change(connection, GRANT, f"{url.upper().replace('HTTP', 'http')}")
        assert granted.structured_content == {
            "status": "permission granted successfully",
            "component_id": "net",
            "permission_type": "network",
            "details": {"rule": url, "scope": "always"},
        }
        assert await status(connection, f"{url}/a") == 200
        assert len(person.asked) == 1
        revoked = await change(connection, REVOKE, url)
        assert not revoked.is_error, text(revoked)
        assert len(person.asked) == 1  # taking away needs nobody
    assert person.messages == [
        f'May the component "net" send requests to "{url}", and it is a loopback address?'
    ]
    assert rules(place) == []


async def test_a_name_is_asked_about_as_it_is_looked_up_and_granted_in_that_form(
    place: Path, era: Era
) -> None:
    person = Person("always", "deny")
    async with served.client(place, era=era, person=person) as connection:
        await change(connection, GRANT, "https://Bücher.EXAMPLE.")
        again = await change(connection, GRANT, "https://bücher.example:443")
        refused = await change(connection, GRANT, "*.com")
    assert not again.is_error  # it is the same, and granted
    assert refused.is_error
    assert "permission grant network net '*.com'" in text(refused)
    assert person.messages == [
        'May the component "net" send requests to "https://xn--bcher-kva.example"?',
        'May the component "net" send requests to every host below "com", whoever they belong to?',
    ]
    assert rules(place) == ["allow https://xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("*", "--allow-any-host"),
        ("https://user@api.example.com", "a user name"),
        ("ftp://api.example.com", "scheme"),
        ("api.example.com/path", "path"),
        ("0x7f.1", "address"),
        ("a\r\nb.example", "space"),
    ],
)
async def test_what_is_no_host_of_a_rule_is_asked_of_nobody(
    place: Path, host: str, why: str
) -> None:
    person = Person("always")
    async with served.client(place, person=person) as connection:
        result = await change(connection, GRANT, host)
    assert result.is_error
    assert why in text(result)
    assert "\n" not in text(result)
    assert person.asked == []
    assert rules(place) == []


async def test_where_the_ceiling_forbids_it_nobody_is_asked_and_no_model_told_why(
    place: Path, url: str, era: Era
) -> None:
    ceiling = policy(place, '{allow: [{host: "api.example.com"}]}')
    options = ("--ceiling", str(ceiling))
    person = Person("always")
    async with served.client(place, *options, era=era, person=person) as connection:
        asked = await change(connection, GRANT, url)
        assert await status(connection, url) == DENIED
    assert person.asked == []
    assert "that host can't be granted as it is" in text(asked)
    assert "api.example.com" not in text(asked)


# --- a tool misses a host -------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["once", "session", "always"])
async def test_a_tool_that_was_denied_a_host_is_allowed_it_and_run_again(
    place: Path, url: str, era: Era, scope: str
) -> None:
    person = Person(scope, "deny")
    async with served.client(place, era=era, person=person) as connection:
        assert await status(connection, f"{url}/secret-path?key=hidden") == 200
        later = await status(connection, url)
    assert later == (DENIED if scope == "once" else 200)
    question = (
        f'The tool "abandon" failed. May the component "net" send requests to "{url}", and it is '
        "a loopback address, and be run again?"
    )
    assert person.messages == [question] * (2 if scope == "once" else 1)
    assert rules(place) == ([f"allow {url}"] if scope == "always" else [])


async def test_a_person_who_refuses_leaves_the_tools_own_error_and_is_not_asked_again(
    place: Path, url: str, era: Era
) -> None:
    person = Person("deny")
    async with served.client(place, era=era, person=person) as connection:
        assert [await status(connection, url) for _ in range(3)] == [DENIED] * 3
    assert len(person.asked) == 1


async def test_a_client_that_can_not_ask_gets_the_tools_own_error(place: Path, url: str) -> None:
    async with served.client(place) as connection:
        assert await status(connection, url) == DENIED


@pytest.mark.parametrize("approve", ["deny", "allow"])
async def test_where_nobody_is_asked_nothing_is_granted_that_nobody_asked_for(
    place: Path, url: str, approve: str
) -> None:
    async with served.client(place, "--approve", approve, person=Person("always")) as connection:
        assert await status(connection, url) == DENIED
    assert rules(place) == []


METADATA = (
    "http://169.254.169.254/latest",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
)


@pytest.mark.parametrize("address", METADATA)
async def test_the_address_of_a_metadata_service_is_offered_to_nobody(
    place: Path, address: str
) -> None:
    person = Person("always")
    async with served.client(place, person=person) as connection:
        assert await status(connection, address) == DENIED
    assert person.asked == []


@pytest.mark.parametrize("network", [
    '{{deny: [{{host: "{0}"}}]}}',
    '{{deny: [{{cidr: "127.0.0.0/8"}}]}}',
    '{{allow: [{{host: "{0}"}}], deny: [{{host: "*"}}]}}',
], ids=["host", "range", "all"])  # fmt: skip
async def test_what_a_rule_denies_is_offered_to_nobody(place: Path, url: str, network: str) -> None:
    put(place, network.format(url))
    person = Person("always")
    async with served.client(place, person=person) as connection:
        assert await status(connection, url) == DENIED
    assert person.asked == []


@pytest.mark.parametrize("asked", [
    {"method": "CONNECT", "scheme": "http", "authority": "api.example.com", "path": "/"},
    {"method": "GET", "scheme": "http", "authority": "api.example.com:99999", "path": "/"},
], ids=["method", "port"])  # fmt: skip
async def test_what_is_no_request_is_offered_to_nobody(place: Path, asked: dict[str, str]) -> None:
    person = Person("always")
    async with served.client(place, person=person) as connection:
        assert (await call(connection, "ask", **asked)).is_error
    assert person.asked == []


async def test_a_host_that_is_too_long_to_be_judged_is_offered_to_nobody(place: Path) -> None:
    person = Person("always")
    long = ".".join(["a" * 60] * 4)
    async with served.client(place, person=person) as connection:
        assert await status(connection, f"http://{long}/") == DENIED
    assert person.asked == []


async def test_a_call_that_was_denied_hosts_and_did_not_fail_for_it_asks_nobody(
    place: Path, url: str
) -> None:
    person = Person("session")
    urls = [url, *(f"https://host{number}.example/" for number in range(20))]
    async with served.client(place, person=person) as connection:
        result = await call(connection, "parallel", urls=urls)
    assert not result.is_error
    assert person.asked == []
