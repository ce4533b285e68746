"""Tools that make requests, on the real server: nginx answers, and name servers of the test."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from support import served
from support.certificates import Authority
from support.name_server import addresses, name_server
from support.nginx import PAGE, SPARSE, Nginx, nginx
from support.person import Person
from support.processes import descendants, named, until
from support.served import ANSWER_S, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp import Client

    from support.name_server import NameServer

pytestmark = pytest.mark.anyio

SECRET = "sesame-0123456789"  # noqa: S105 - of the test


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")  # other tests ask whether a process is left
def world(authority: Authority) -> Iterator[Nginx]:
    with nginx(authority) as running:
        yield running


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server() as running:
        yield running


@pytest.fixture(scope="session")
def c_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("net") / "store", ["net"])


@pytest.fixture(scope="session")
def python_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("net-python") / "store", ["net_python"])


@pytest.fixture(scope="session")
def javascript_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    guests_store = tmp_path_factory.mktemp("net-javascript") / "store"
    return served.make_store(guests_store, ["net_javascript"])


@pytest.fixture
def place(c_store: Path, tmp_path: Path) -> Path:
    return served.copy_of(c_store, tmp_path / "store")


def operate(store: Path, *words: str | Path) -> Any:
    done = served.operate(store, *words)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout) if done.stdout else None


def allow(store: Path, *rules: str, limits: str = "{}", component: str = "net") -> None:
    """Put a policy in force whose network rules are these; those that begin with `deny ` deny."""
    lists = {
        kind: [rule.removeprefix("deny ") for rule in rules if rule.startswith("deny ") == denies]
        for kind, denies in (("allow", False), ("deny", True))
    }
    network = "\n".join(
        f"    {kind}:\n" + "\n".join(f"    - {rule}" for rule in these)
        for kind, these in lists.items()
        if these
    )
    policy = store.parent / "policy.yaml"
    policy.write_text(
        f'version: "1.0"\npermissions:\n  network:\n{network}\n  resources: {{limits: {limits}}}\n'
    )
    operate(store, "policy", "set", component, policy, "--yes")


def host(url: str) -> str:
    """A rule for the host of this URL."""
    return f'{{host: "{"/".join(url.split("/")[:3])}"}}'


class Tools:
    """The tools of one server's component."""

    def __init__(self, connection: Client) -> None:
        self.connection = connection

    async def call(self, tool: str, **arguments: Any) -> Any:
        """What it returned; of an error of its own the text."""
        with anyio.fail_after(4 * ANSWER_S):
            result = await self.connection.call_tool(tool, arguments)
        if result.is_error:
            return text(result).strip('"')
        assert result.structured_content is not None
        return result.structured_content["result"]

    async def fetch(
        self, url: str, method: str = "GET", headers: Any = (), body: str | None = None
    ) -> Any:
        return await self.call(
            "fetch", method=method, url=url, headers=[list(one) for one in headers], body=body
        )


@asynccontextmanager
async def serving(store: Path, *options: str, **more: Any) -> AsyncIterator[Tools]:
    async with served.client(store, *options, **more) as connection:
        yield Tools(connection)


def requests(store: Path, event: str = "request") -> list[dict[str, Any]]:
    done = served.operate(store, "audit", "--event", event, "-o", "json")
    assert done.returncode == 0, done.stderr.decode()
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


# --- what is allowed ------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["fork", "exec"])
async def test_a_tool_gets_a_page_from_a_host_that_is_granted_and_from_no_other(
    place: Path, world: Nginx, isolation: str
) -> None:
    allow(place, host(world.url("http")))
    async with serving(place, "--isolation", isolation) as tools:
        got = await tools.fetch(world.url("http", "/page.txt?token=private"))
        assert (got["status"], len(got["body"])) == (200, (len(PAGE) + 2) // 3 * 4)
        for other in (world.url("http", host="localhost"), world.url("https"), "http://10.0.0.1/"):
            assert await tools.fetch(other) == "HTTP-request-denied"
    allowed, *denied = requests(place)
    detail = allowed["detail"]
    assert (allowed["decision"], allowed["component"]) == ("allowed", "net")
    assert host(world.url("http"))[8:-2] in allowed["rule"]
    assert (detail["method"], detail["scheme"], detail["host"]) == ("GET", "http", "127.0.0.1")
    assert (detail["port"], detail["path"]) == (world.ports["http"], "/page.txt")
    assert (detail["status"], detail["address"]) == (200, "127.0.0.1")
    assert (detail["outcome"], detail["received_bytes"]) == ("complete", len(PAGE))
    assert [entry["decision"] for entry in denied] == ["denied"] * 3
    assert "private" not in str(requests(place))
    assert len(requests(place, "request-started")) == 1
    shown = served.operate(place, "audit", "--event", "request", "-o", "table").stdout.decode()
    _, first, where, *_ = shown.splitlines()
    assert first.split()[2:5] == ["net", "allowed", "200"]
    assert where.strip() == f"GET {world.url('http')}"


async def test_each_way_to_answer_reaches_the_guest(place: Path, world: Nginx) -> None:
    allow(place, host(world.url("http")))
    async with serving(place) as tools:
        head = await tools.fetch(world.url("http"), method="HEAD")
        assert (head["status"], head["body"]) == (200, "")
        empty = await tools.fetch(world.url("http", "/status/204"))
        assert (empty["status"], empty["body"]) == (204, "")
        assert (await tools.fetch(world.url("http", "/chunked/page.html")))["status"] == 200
        large = await tools.fetch(world.url("http", "/large-header"))
        assert len(dict(map(tuple, large["headers"]))["x-large"]) > 8000
        ended = await tools.fetch(world.url("http", "/trailers/page.txt"))
        assert ["x-checksum", "42"] in ended["trailers"]
        coded = [["accept-encoding", "gzip"]]
        zipped = await tools.fetch(world.url("http", "/gzip/page.txt"), headers=coded)
        assert ["content-encoding", "gzip"] in zipped["headers"]
        assert await tools.call("download", url=world.url("http", "/100M")) == SPARSE["100M"]
        for _ in range(10):  # whatever comes first, the answer or the end of what takes the body
            early = await tools.call("upload", url=world.url("http", "/early"), size=50_000_000)
            assert early == 200
        ours = await tools.fetch(world.url("http", "/status/599"))
        assert ours["status"] == 599
        several = [world.url("http")] * 12
        assert await tools.call("parallel", urls=several) == [{"ok": 200}] * 12
        assert await tools.fetch(world.url("http", "/silent")) == "connection-terminated"


async def test_a_host_speaks_http_2_by_tls_with_a_certificate_that_the_operator_knows(
    place: Path, world: Nginx, authority: Authority
) -> None:
    kinds = ("https", "https1", "old", "expired", "wrong-host", "self-signed", "stranger")
    allow(place, *(host(world.url(kind)) for kind in kinds))
    async with serving(place, "--ca-file", str(authority.certificate)) as tools:
        for kind in ("https", "https1"):
            assert (await tools.fetch(world.url(kind)))["status"] == 200
        for kind in ("expired", "wrong-host", "self-signed", "stranger"):
            assert await tools.fetch(world.url(kind)) == "TLS-certificate-error"
        assert (await tools.fetch(world.url("old"))).startswith("TLS-")
    versions = [entry["detail"]["version"] for entry in requests(place)]
    assert versions[:2] == ["HTTP/2", "HTTP/1.1"]


async def test_without_the_operators_authority_no_certificate_of_it_is_believed(
    place: Path, world: Nginx
) -> None:
    allow(place, host(world.url("https")))
    async with serving(place) as tools:
        assert await tools.fetch(world.url("https")) == "TLS-certificate-error"


async def test_a_redirect_is_another_request_and_another_decision(
    place: Path, world: Nginx
) -> None:
    allow(place, host(world.url("http")))
    async with serving(place) as tools:
        moved = await tools.fetch(world.url("http", "/redirect?to=http://localhost/"))
        assert moved["status"] == 302
        assert await tools.fetch(dict(map(tuple, moved["headers"]))["location"]) == (
            "HTTP-request-denied"
        )


async def test_rules_of_methods_and_paths_hold_for_what_is_sent(place: Path, world: Nginx) -> None:
    rule = host(world.url("http"))[:-1] + ', methods: [GET], paths: ["/gzip/**", "/page.txt"]}'
    allow(place, rule)
    async with serving(place) as tools:
        for path in ("/page.txt", "/gzip/page.txt", "/page.txt?x=1"):
            assert (await tools.fetch(world.url("http", path)))["status"] == 200
        for path in (
            "/page.html", "/gzip/../page.html", "/gzip/%2e%2e/page.html", "/PAGE.txt",
            "/gzip%2f..%2fpage.html", "/gzip/%252e%252e/page.html/../x", "/page.txt;x",
            "//page.txt",
        ):  # fmt: skip
            assert await tools.fetch(world.url("http", path)) == "HTTP-request-denied", path
        assert await tools.fetch(world.url("http"), method="HEAD") == "HTTP-request-denied"


# --- where a name leads ---------------------------------------------------------------------


async def test_a_name_that_leads_home_is_refused_and_one_that_changes_is_judged_each_time(
    place: Path, world: Nginx, names: NameServer
) -> None:
    port = world.ports["http"]
    hosts = ("rebinds.example", "inside.example", "nowhere.example")
    allow(place, *(f'{{host: "http://{name}:{port}"}}' for name in hosts))
    names.say("rebinds.example", addresses("127.0.0.1"))
    names.say("inside.example", addresses("10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1"))
    async with serving(place, "--name-server", names.address) as tools:
        for name in ("rebinds.example", "inside.example"):
            assert await tools.fetch(f"http://{name}:{port}/") == "destination-IP-prohibited"
        assert await tools.fetch(f"http://nowhere.example:{port}/") == "DNS-error"
    addressed = [entry["detail"]["address"] for entry in requests(place)]
    assert addressed == [None, None, None]
    world_saw_nobody = world.folder / "seen.json"
    assert b"rebinds" not in world_saw_nobody.read_bytes()


async def test_a_range_lifts_the_refusal_for_names_that_are_granted(
    place: Path, world: Nginx, names: NameServer
) -> None:
    port = world.ports["http"]
    allow(place, f'{{host: "http://mine.example:{port}"}}', '{cidr: "127.0.0.0/8"}')
    names.say("mine.example", addresses("127.0.0.1"))
    names.say("other.example", addresses("127.0.0.1"))
    async with serving(place, "--name-server", names.address) as tools:
        assert (await tools.fetch(f"http://mine.example:{port}/page.txt"))["status"] == 200
        assert await tools.fetch(f"http://other.example:{port}/") == "HTTP-request-denied"
    assert names.count("mine.example") == 1


# --- secrets --------------------------------------------------------------------------------


def memory_holds(pid: int, needle: bytes) -> bool:
    """Whether it stands anywhere in what a process could read."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(number, 16) for number in place.split("-"))
            while start < end:
                try:
                    memory.seek(start)
                    found = memory.read(min(1 << 24, end - start))
                except (OSError, OverflowError):
                    break
                if needle in found:
                    return True
                start += max(len(found) - len(needle), 1) if len(found) == 1 << 24 else end - start
    return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads others' memory")
async def test_a_secret_goes_along_and_no_guest_worker_log_or_record_has_it(
    place: Path, world: Nginx, capfd: pytest.CaptureFixture[str]
) -> None:
    rule = '{headers: {authorization: "Bearer ${secret:KEY}"}}'
    allow(place, f"{host(world.url('http'))[:-1]}, inject: {rule}}}")
    done = served.operate(place, "secret", "set", "net", f"KEY={SECRET}")
    assert done.returncode == 0, done.stderr
    world.forget()
    async with serving(place, "--log-level", "debug") as tools:
        asked = [("authorization", "Bearer mine"), ("Authorization", "again")]
        got = await tools.fetch(world.url("http", "/headers"), headers=asked)
        assert got["status"] == 200
        assert SECRET not in str(got)
        headers = dict(map(tuple, got["headers"]))
        assert headers["x-authorization"] == "*" * len(f"Bearer {SECRET}")
        [seen] = world.seen(1)
        assert seen.authorization == f"Bearer {SECRET}"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tools.fetch, world.url("http", "/slow/100M"))
            await until(lambda: len(requests(place, "request-started")) == 2, "a second request")
            holders = {
                seen.name: memory_holds(seen.pid, SECRET.encode())
                for seen in descendants()
                if seen.name.startswith("wassette-")
            }
            tasks.cancel_scope.cancel()
    assert holders.pop("wassette-broker") is True  # so that the look at memory is proven
    assert {"wassette-worker", "wassette-templ", "wassette-zygote"} <= holders.keys()
    holders.pop(served.SERVER, None)
    assert not any(holders.values()), holders
    assert SECRET not in capfd.readouterr().err
    log = served.operate(place, "audit", "-o", "json").stdout
    assert SECRET.encode() not in log


# --- limits, and what is taken away ---------------------------------------------------------


async def test_limits_of_requests_and_bytes_hold_and_are_on_record(
    place: Path, world: Nginx
) -> None:
    allow(place, host(world.url("http")), limits="{requests: 2, response_bytes: 1Mi}")
    async with serving(place) as tools:
        assert await tools.call("parallel", urls=[world.url("http")] * 4) == [
            *[{"ok": 200}] * 2,
            *[{"err": "HTTP-request-denied"}] * 2,
        ]
        assert await tools.call("download", url=world.url("http", "/100M")) == (
            "HTTP-response-body-size"
        )
    *_, too_long = requests(place)
    refusals = [entry for entry in requests(place) if entry["decision"] == "denied"]
    assert len(refusals) == 1
    assert "limit requests" in refusals[0]["detail"]["why"]
    assert too_long["detail"]["outcome"] == "HTTP-response-body-size"


async def test_a_revoke_ends_a_call_in_the_middle_of_its_request(place: Path, world: Nginx) -> None:
    allow(place, host(world.url("http")), limits="{response_bytes: 1Gi}")
    async with serving(place) as tools:
        ended: list[str] = []

        async def download() -> None:
            ended.append(await tools.call("download", url=world.url("http", "/slow/100M")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(download)
            started = "request-started"
            await until(lambda: len(requests(place, started)) == 1, "a request")
            revoke = ("permission", "revoke", "network", "net", host(world.url("http"))[8:-2])
            await run_sync(operate, place, *revoke)
    assert "was ended because" in ended[0]
    [entry] = requests(place)
    assert entry["detail"]["outcome"] == "aborted"


async def test_a_broker_that_dies_takes_its_requests_along_and_no_others(
    place: Path, world: Nginx
) -> None:
    allow(place, host(world.url("http")), limits="{response_bytes: 1Gi}")
    async with serving(place) as tools:
        ended: list[Any] = []

        async def download() -> None:
            ended.append(await tools.call("download", url=world.url("http", "/slow/100M")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(download)
            await until(lambda: len(requests(place, "request-started")) == 1, "a request")
            [broker] = named("wassette-broker")
            os.kill(broker.pid, signal.SIGKILL)
        assert isinstance(ended[0], str)
        assert (await tools.fetch(world.url("http")))["status"] == 200
    assert [entry["detail"]["outcome"] for entry in requests(place)] == ["broker-ended", "complete"]


# --- a person -------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_person_may_allow_a_host_that_was_denied_and_the_tool_runs_again(
    place: Path, world: Nginx, era: Any
) -> None:
    person = Person("always")
    async with serving(place, person=person, era=era) as tools:
        got = await tools.fetch(world.url("http"))
        assert got["status"] == 200
        asked = len(person.asked)
        assert (await tools.fetch(world.url("http")))["status"] == 200
    assert (asked, len(person.asked)) == (1, 1)
    assert f'"http://127.0.0.1:{world.ports["http"]}"' in str(person.asked[0])
    policy = operate(place, "policy", "get", "net", "-o", "json")
    assert f"http://127.0.0.1:{world.ports['http']}" in str(policy)


async def test_a_person_who_says_no_leaves_the_tool_its_own_error(
    place: Path, world: Nginx
) -> None:
    person = Person("deny")
    async with serving(place, person=person) as tools:
        assert await tools.fetch(world.url("http")) == "HTTP-request-denied"


# --- other guests, and other ways out -------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("tcp-connect", "access-denied"),
        ("tcp-listen", "access-denied"),
        ("udp-bind", "access-denied"),
        ("udp-send", "access-denied"),
        ("name-lookup", "permanent-resolver-failure"),
    ],
)
async def test_a_guest_of_c_has_no_socket_and_no_look_up(
    place: Path, world: Nginx, what: str, error: str
) -> None:
    allow(place, host(world.url("http")))
    async with serving(place) as tools:
        said = await tools.call("probe", what=what, port=world.ports["http"])
    assert said.endswith(error)


@pytest.mark.thorough
async def test_a_guest_of_python_makes_requests_and_has_no_socket(
    python_store: Path, tmp_path: Path, world: Nginx
) -> None:
    place = served.copy_of(python_store, tmp_path / "store")
    allow(place, host(world.url("http")), component="net_python")
    async with serving(place) as tools:
        got = await tools.fetch(world.url("http"))
        assert got["status"] == 200
        assert await tools.fetch(world.url("https")) == "HTTP-request-denied"
        for what in ("tcp-connect", "tcp-listen", "udp-bind", "udp-send", "name-lookup"):
            said = await tools.call("probe", what=what, port=world.ports["http"])
            assert "done" not in said


@pytest.mark.thorough
async def test_a_guest_of_javascript_fetches(
    javascript_store: Path, tmp_path: Path, world: Nginx
) -> None:
    place = served.copy_of(javascript_store, tmp_path / "store")
    allow(place, host(world.url("http")), component="net_javascript")
    async with serving(place) as tools:
        got = await tools.call("fetch-text", url=world.url("http"))
        assert (got["status"], got["text"]) == (200, PAGE.decode())
        assert await tools.call("fetch-all", urls=[world.url("http")] * 5) == [200] * 5
        assert isinstance(await tools.call("fetch-text", url=world.url("https")), str)
