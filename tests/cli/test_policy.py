"""`policy` of the command line, and `component load --policy`, on real stores and guests."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support import guests, served
from support.commands import answered, at_terminal, refused, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIB = 1 << 30
NOTHING = b'version: "1.0"\n'


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("filled") / "store", ["add", "granted"])


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return served.copy_of(filled, tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to grant, with a file in it."""
    made = tmp_path / "notes"
    made.mkdir()
    (made / "a.txt").write_text("a note")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def storage(*rules: tuple[Path | str, str]) -> bytes:
    """A policy that grants folders: `read`, or `read,write`."""
    lines = [f'{{uri: "fs://{path}", access: [{access}]}}' for path, access in rules]
    return NOTHING + f"permissions: {{storage: {{allow: [{', '.join(lines)}]}}}}\n".encode()


def attach(store: Path, text: bytes, component: str = "granted") -> Any:
    done = run(store, "policy", "set", component, "-", "--yes", stdin=text)
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    said = [f"wassette-supervisor: warning: {warning}" for warning in answer["warnings"]]
    assert done.stderr.decode().splitlines() == said
    return answer


def kept(store: Path, component: str = "granted") -> Path:
    return store / "components" / f"{component}.policy.yaml"


# --- what is shown --------------------------------------------------------------------------


def test_a_component_without_a_policy_has_none_and_the_default_limits(store: Path) -> None:
    shown = answered(store, "policy", "get", "add")
    assert (shown["state"], shown["rules"], shown["policy"]) == ("none", [], None)
    assert shown["limits"]["memory"] == "256Mi"


def test_rules_are_numbered_and_limits_are_those_of_a_call(store: Path, folder: Path) -> None:
    text = storage((folder, "read")) + (b"tools: {read: {permissions: {}}}\n# a remark\n")
    text = text.replace(b"permissions: {", b'permissions: {resources: {limits: {fuel: "7"}}, ', 1)
    attach(store, text)
    shown = answered(store, "policy", "get", "granted")
    assert shown["state"] == "approved"
    assert [(rule["number"], rule["section"], rule["kind"]) for rule in shown["rules"]] == [
        (1, "storage", "allow"),
        (2, "limits", "limit"),
    ]
    assert shown["rules"][0]["uri"] == f"fs://{folder}"
    assert shown["limits"]["fuel"] == "7"
    assert shown["yaml"].encode() == text


def test_what_is_shown_of_a_policy_can_be_set_again(store: Path, folder: Path, file: Path) -> None:
    attach(store, storage((folder, "read, write")))
    shown = answered(store, "policy", "get", "granted")
    for text in (shown["yaml"], yaml.safe_dump(shown["policy"])):
        file.write_text(text)
        # Not refused without --yes: it grants nothing more.
        assert answered(store, "policy", "set", "granted", file)["changes"] == []


def test_a_policy_in_a_table_has_80_columns_at_most(store: Path, folder: Path) -> None:
    attach(store, storage((folder, "read"), (folder.parent / ("x" * 200), "read")))
    for words in (["get", "granted"], ["check", "granted"], ["explain", "granted", "--env", "TZ"]):
        done = run(store, "policy", *words, "-o", "table")
        lines = done.stdout.decode().splitlines()
        assert done.returncode == 0
        assert len(lines) > 1
        assert max(map(len, lines)) <= 80


def test_nobody_reading_is_no_traceback(store: Path) -> None:
    words = [str(served.COMMAND), "policy", "get", "add", "--component-dir", str(store)]
    done = subprocess.run(  # noqa: S603 - our own command
        ["sh", "-c", f"{shlex.join(words)} | true"],  # noqa: S607 - programs of the system
        env=served.environment(),
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )
    assert done.stderr == b""


COMMANDS = [
    "policy get nobody",
    "policy set nobody - --yes",
    "policy unset nobody",
    "policy check nobody --approve",
    "policy explain nobody --env TZ",
    "permission grant storage nobody fs:///var/tmp --access read",
    "permission grant network nobody example.com",
    "permission grant environment-variable nobody TZ",
    "permission revoke storage nobody fs:///var/tmp",
    "permission revoke network nobody 1",
    "permission revoke environment-variable nobody TZ",
    "permission reset nobody",
    "secret set nobody TOKEN",
    "secret list nobody",
    "secret delete nobody TOKEN",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_component_that_is_not_there_is_named_and_nothing_is_recorded(
    filled: Path, command: str
) -> None:
    before = served.operate(filled, "audit", "-o", "json").stdout
    refused(run(filled, *command.split(), stdin=NOTHING), "'nobody'")
    assert served.operate(filled, "audit", "-o", "json").stdout == before


# --- files that are no policy ---------------------------------------------------------------


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    with path.open("wb") as opened:
        opened.truncate(GIB)


def written(text: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text)


BAD_FILES: list[Any] = [
    pytest.param(lambda _: None, ["No such file"], id="missing"),
    pytest.param(make_fifo, ["a FIFO"], id="a FIFO"),
    pytest.param(lambda path: path.mkdir(), ["a directory"], id="a directory"),
    pytest.param(make_sparse, ["more than 262144 bytes"], id="a sparse file of 1 GiB"),
    pytest.param(lambda path: path.symlink_to("/dev/zero"), ["a device"], id="a device"),
    pytest.param(written(b""), ["is empty"], id="empty"),
    pytest.param(written(bytes(range(256))), ["not UTF-8"], id="binary"),
    pytest.param(written(guests.SOURCES.as_posix().encode()), ["line 1"], id="a text"),
    pytest.param(
        written(NOTHING + b"permissions: [}\n"), ["line 2, column 15"], id="no YAML in line 2"
    ),
    pytest.param(
        written(NOTHING + b"permissions: {}\nversion: '1.0'\n"),
        ["line 3, column 1", "a second time"],
        id="a key twice",
    ),
    pytest.param(
        written(NOTHING + b"permissions:\n  netwrok: {}\n"),
        ["line 3, column 3", "netwrok"],
        id="an unknown key",
    ),
    pytest.param(
        written(
            NOTHING + b"permissions:\n  storage:\n    allow:\n"
            b"    - {uri: 'fs://state', access: [write]}\n"
        ),
        ["line 5, column 7", "rule 1", "can't be enforced", "without read"],
        id="a rule that is not enforced",
    ),
    pytest.param(
        written(NOTHING + b"permissions: {resources: {limits: {memory: 4Gi}}}\n"),
        ["memory", "operator's maximum"],
        id="a limit above the operator's",
    ),
    pytest.param(
        written(storage(("/proc", "read"))), ["/proc", "the kernel's own files"], id="what is kept"
    ),
]


@pytest.mark.parametrize(("make", "said"), BAD_FILES)
def test_a_file_that_is_no_policy_is_refused_by_name(
    filled: Path, file: Path, make: Callable[[Path], object], said: list[str]
) -> None:
    make(file)
    refused(run(filled, "policy", "check", file), str(file), *said)


@pytest.mark.parametrize(
    "command", ["policy set add {} --yes", "component load {{add}} --policy {}"]
)
@pytest.mark.parametrize("make", [make_fifo, written(b"no: policy")], ids=["a FIFO", "no policy"])
def test_a_file_that_is_no_policy_changes_nothing(
    store: Path, file: Path, make: Callable[[Path], object], command: str
) -> None:
    make(file)
    words = command.format(file).format(add=guests.guest_path("add")).split()
    refused(run(store, *words), str(file))
    assert not kept(store, "add").exists()


def test_a_policy_too_long_for_standard_input_is_refused(store: Path) -> None:
    refused(run(store, "policy", "check", "-", stdin=b"#" * 300_000), "more than 262144 bytes")


def test_a_link_to_a_policy_is_followed(store: Path, file: Path, tmp_path: Path) -> None:
    file.write_bytes(NOTHING)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    assert answered(store, "policy", "check", link)["status"] == "enforceable"


def test_a_name_that_is_neither_a_component_nor_a_file_is_said_to_be_neither(store: Path) -> None:
    refused(run(store, "policy", "check", "nothing-of-this-name"), "no component and no file")


# --- setting --------------------------------------------------------------------------------


def test_what_grants_more_needs_a_yes_where_nobody_can_be_asked(
    store: Path, folder: Path, file: Path
) -> None:
    file.write_bytes(storage((folder, "read")))
    done = run(store, "policy", "set", "granted", file)
    refused(done, f"read fs://{folder}", "--yes", status=2)
    assert not kept(store).exists()

    done = answered(store, "policy", "set", "granted", file, "--yes")
    change = {"sign": "+", "right": f"read fs://{folder}"}
    assert done == {"id": "granted", "status": "set", "changes": [change], "warnings": []}
    assert kept(store).read_bytes() == file.read_bytes()


def test_what_grants_less_needs_no_yes(store: Path, folder: Path) -> None:
    attach(store, storage((folder, "read, write")))
    done = answered(store, "policy", "set", "granted", "-", stdin=storage((folder, "read")))
    assert done["changes"] == [{"sign": "-", "right": f"write fs://{folder}"}]
    done = answered(store, "policy", "unset", "granted")
    assert done["changes"] == [{"sign": "-", "right": f"read fs://{folder}"}]
    assert not kept(store).exists()


@pytest.mark.parametrize(
    ("answer", "is_set"),
    [
        pytest.param(b"y\n", True, id="y"),
        pytest.param(b"YES\n", True, id="YES"),
        pytest.param(b"\n", False, id="nothing"),
        pytest.param(b"no\n", False, id="no"),
        pytest.param(b"\x04", False, id="the end of input"),
    ],
)
def test_at_a_terminal_the_difference_is_shown_and_a_person_asked(
    store: Path, folder: Path, file: Path, answer: bytes, *, is_set: bool
) -> None:
    file.write_bytes(storage((folder, "read")))
    words = ["policy", "set", "granted", str(file)]
    seen, status = at_terminal(store, *words, typed=[(b"[y/N] ", answer)])
    assert f"+ read fs://{folder}\r\n".encode() in seen.partition(b"[y/N]")[0]
    assert status == (0 if is_set else 1)
    assert kept(store).exists() == is_set
    assert (b"nothing was changed" in seen) != is_set


def test_a_policy_that_changes_while_a_person_is_asked_is_left_as_it_is(
    store: Path, folder: Path, file: Path
) -> None:
    file.write_bytes(storage((folder, "read")))

    def late_yes() -> bytes:
        attach(store, NOTHING)
        return b"y\n"

    words = ["policy", "set", "granted", str(file)]
    seen, status = at_terminal(store, *words, typed=[(b"[y/N] ", late_yes)])
    assert status == 1
    assert b"changed while a person was asked" in b" ".join(seen.split())
    assert kept(store).read_bytes() == NOTHING


def test_what_is_ignored_in_a_policy_is_said_to_be(store: Path) -> None:
    text = NOTHING + b"permissions: {resources: {limits: {memory: 128}}}\n"
    done = run(store, "policy", "set", "granted", "-", "--yes", stdin=text)
    assert done.returncode == 0
    assert done.stderr.decode().startswith("wassette-supervisor: warning: line 2: memory 128")
    assert "128Mi" in done.stdout.decode()


def test_a_policy_of_a_load_is_in_force_and_a_bad_one_loads_nothing(
    tmp_path: Path, folder: Path, file: Path
) -> None:
    store = tmp_path / "new"
    file.write_bytes(b"version: '2.0'\n")
    load = ["component", "load", str(guests.guest_path("granted")), "--policy", str(file)]
    refused(run(store, *load), str(file), "line 1, column 10")
    assert answered(store, "component", "list")["total"] == 0

    file.write_bytes(storage((folder, "read")))
    answered(store, *load)
    assert answered(store, "policy", "get", "granted")["state"] == "approved"
    asked = f'{{"directory": "{folder}", "path": "a.txt"}}'
    assert answered(store, "tool", "invoke", "read", "--args", asked) == "a note"


def test_the_policies_of_the_guide_can_be_set(store: Path, folder: Path) -> None:
    guide = (guests.REPOSITORY / "docs" / "policy.md").read_text()
    texts = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    assert len(texts) == 3
    for name in ("drafts", "outbox"):
        (folder.parent / name).mkdir()
    (folder.parent / "todo.txt").touch()
    words = ["policy", "check", "-", "--workspace", str(folder.parent)]
    for text in texts:
        found = answered(store, *words, stdin=text.encode(), env={"TZ": "UTC"})
        lacking = "requests that take it along: there is no secret WEATHER_TOKEN"
        missing = [lacking] if "${secret:WEATHER_TOKEN}" in text else []
        assert (found["status"], found["missing"]) == ("enforceable", missing)


# --- a file that was edited -----------------------------------------------------------------


def test_an_edited_policy_waits_until_it_is_approved(store: Path, folder: Path) -> None:
    attach(store, NOTHING)
    kept(store).write_bytes(storage((folder, "read")))

    done = run(store, "policy", "check", "granted")
    refused(done, "edited", "--approve", printed=True)
    assert b'"status": "waits"' in done.stdout
    assert b"+" in done.stdout
    done = run(store, "tool", "invoke", "directories")
    assert done.returncode == 1
    assert b"waits for approval" in done.stderr
    refused(run(store, *f"permission grant storage granted fs://{folder} --access read".split()),
            "waits for approval")  # fmt: skip

    done = answered(store, "policy", "check", "granted", "--approve")
    assert (done["state"], done["status"]) == ("approved", "approved")
    assert done["changes"] == [{"sign": "+", "right": f"read fs://{folder}"}]
    assert answered(store, "tool", "invoke", "directories") == [str(folder)]
    assert answered(store, "policy", "check", "granted")["status"] == "applies"


@pytest.mark.parametrize("approve", [[], ["--approve"]], ids=["check", "approve"])
def test_an_edit_that_is_no_policy_is_refused_with_its_line(
    store: Path, approve: list[str]
) -> None:
    attach(store, NOTHING)
    kept(store).write_bytes(NOTHING + b"permissions: {sotrage: {}}\n")
    done = run(store, "policy", "check", "granted", *approve)
    refused(done, "'granted'", "line 2", "sotrage", printed=True)
    assert answered(store, "policy", "get", "granted")["state"] == "edited"


def test_a_policy_file_that_was_deleted_waits_too(store: Path, folder: Path) -> None:
    attach(store, storage((folder, "read")))
    kept(store).unlink()
    refused(run(store, "policy", "check", "granted"), "edited", printed=True)
    assert answered(store, "policy", "check", "granted", "--approve")["status"] == "approved"
    assert answered(store, "policy", "get", "granted")["state"] == "none"


def test_a_new_policy_takes_the_place_of_an_edited_one(store: Path, folder: Path) -> None:
    attach(store, NOTHING)
    kept(store).write_bytes(b"no policy")
    # What was approved of it before is not known, so all of it is more.
    text = storage((folder, "read"))
    refused(run(store, "policy", "set", "granted", "-", stdin=text), "--yes", status=2)
    attach(store, text)
    assert answered(store, "policy", "check", "granted")["status"] == "applies"


def test_a_check_names_what_gives_nothing_now(store: Path, tmp_path: Path) -> None:
    text = storage((tmp_path / "gone", "read")).replace(
        b"permissions: {",
        b"permissions: {environment: {allow: [{key: NO_SUCH_VARIABLE},"
        b" {key: TOKEN, value_from: {secret: NO_SUCH_SECRET}}]}, ",
    )
    warned = attach(store, text)["warnings"]
    missing = "\n".join(answered(store, "policy", "check", "granted")["missing"])
    assert [warning.removesuffix("; so it gives nothing yet") for warning in warned] == (
        missing.splitlines()
    )
    for name in (str(tmp_path / "gone"), "NO_SUCH_VARIABLE", "NO_SUCH_SECRET"):
        assert name in missing
    answered(store, "secret", "set", "granted", "NO_SUCH_SECRET", stdin=b"x")
    missing = "\n".join(answered(store, "policy", "check", "granted")["missing"])
    assert "NO_SUCH_SECRET" not in missing


# --- explaining -----------------------------------------------------------------------------


def explained(store: Path, *words: str | Path, **environ: str) -> Any:
    return answered(store, "policy", "explain", "granted", *words, env=environ)


async def test_an_explanation_is_what_a_guest_meets(
    store: Path, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / "below").mkdir(parents=True)
    (other / "below" / "b.txt").write_text("b")
    (tmp_path / "secret.txt").write_text("s")
    (folder / "out").symlink_to("../secret.txt")
    (folder / "in").symlink_to("a.txt")
    attach(store, storage((folder, "read"), (other, "read, write")))
    met = {}
    async with served.client(store) as guest:
        for directory, name in (
            (folder, "in"),
            (folder, "out"),
            (folder, "../secret.txt"),
            (other, "below/b.txt"),
        ):
            asked = {"directory": str(directory), "path": name}
            read = await guest.call_tool("read", asked)
            write = await guest.call_tool("write", {**asked, "text": "new"})
            met[directory / name, "read"] = not read.is_error
            met[directory / name, "write"] = not write.is_error
    assert set(met.values()) == {True, False}
    for (path, access), was_allowed in met.items():
        told = explained(store, "--path", path, "--access", access)["decision"]
        assert (told == "allowed") == was_allowed, (path, access)


EXACT = """version: "1.0"
permissions:
  storage:
    allow:
    - {{uri: "fs://{0}/notes", access: [read, write]}}
    - {{uri: "fs://{0}/drafts/*.md", access: [read]}}
    - {{uri: "fs://{0}/one/file.txt", access: [read]}}
    - {{uri: "fs://{0}/out", access: [write]}}
    deny: [{{uri: "fs://{0}/notes/**/.env", access: [read, write]}}]
"""
JUDGED = {
    "notes": ["a.txt", ".env", "below/.env", ".envrc", "to-env", ".git/config", ".git/x"],
    "drafts": ["a.md", "a.txt", "d/a.md"],
    "one": ["file.txt", "other.txt"],
    "out": ["a.txt"],
}


async def test_an_explanation_is_what_a_guest_meets_where_each_path_is_judged(
    store: Path, tmp_path: Path
) -> None:
    for folder, names in JUDGED.items():
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text("text")
    (tmp_path / "notes/to-env").unlink()
    (tmp_path / "notes/to-env").symlink_to(".env")
    attach(store, EXACT.format(tmp_path).encode())
    met = {}
    async with served.client(store) as guest:
        for folder, names in JUDGED.items():
            for name in names:
                asked = {"directory": str(tmp_path / folder), "path": name}
                read = await guest.call_tool("read", asked)
                write = await guest.call_tool("write", {**asked, "text": "new"})
                met[folder, name] = "r" * (not read.is_error) + "w" * (not write.is_error)
    assert met == {
        ("notes", "a.txt"): "rw",
        ("notes", ".env"): "",
        ("notes", "below/.env"): "",
        ("notes", ".envrc"): "r",
        ("notes", "to-env"): "",
        ("notes", ".git/config"): "r",
        ("notes", ".git/x"): "rw",
        ("drafts", "a.md"): "r",
        ("drafts", "a.txt"): "",
        ("drafts", "d/a.md"): "",
        ("one", "file.txt"): "r",
        ("one", "other.txt"): "",
        ("out", "a.txt"): "w",
    }
    for (folder, name), allowed in met.items():
        for access in ("read", "write"):
            told = explained(store, "--path", tmp_path / folder / name, "--access", access)
            assert (told["decision"] == "allowed") == (access[0] in allowed), (name, access)
            assert told["mode"] == "exact"
            assert told["mode_reason"] == "rule 5 of the policy denies something"


async def test_what_is_never_written_to_is_given_up_with_plain_writes(
    store: Path, folder: Path
) -> None:
    attach(store, storage((folder, "read, write")))
    for options, mode, allowed in (((), "exact", False), (("--plain-writes",), "plain", True)):
        told = explained(store, "--path", folder / ".envrc", "--access", "write", *options)
        assert (told["mode"], told["decision"] == "allowed") == (mode, allowed)
        async with served.client(store, *options) as guest:
            asked = {"directory": str(folder), "path": ".envrc", "text": "new"}
            assert (await guest.call_tool("write", asked)).is_error is not allowed
        assert (folder / ".envrc").exists() is allowed


def test_an_explanation_has_the_rule_and_the_mode(store: Path, folder: Path) -> None:
    attach(store, storage((folder, "read")))
    told = explained(store, "--path", folder / "not-there-yet", "--access", "read")
    assert (told["decision"], told["mode"], told["missing"]) == ("allowed", "plain", [])
    assert (told["rule"]["number"], told["rule"]["uri"]) == (1, f"fs://{folder}")
    assert "mounted" in told["reason"]
    told = explained(store, "--path", folder.parent, "--access", "read")
    assert (told["decision"], told["rule"]) == ("denied", None)


def test_a_folder_that_is_missing_grants_nothing_and_is_named(store: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    attach(store, storage((gone, "read")))
    told = explained(store, "--path", gone / "a", "--access", "read")
    assert (told["decision"], told["rule"]["number"]) == ("denied", 1)
    assert str(gone) in told["missing"][0]


def test_a_path_below_the_workspace_is_judged_by_where_it_is(store: Path, folder: Path) -> None:
    workspace = ["--workspace", str(folder.parent)]
    grant = "permission grant storage granted fs://notes --access read"
    answered(store, *grant.split(), *workspace)
    told = explained(store, "--path", folder / "a.txt", "--access", "read", *workspace)
    assert told["decision"] == "allowed"
    # Elsewhere the rule names another folder.
    told = explained(store, "--path", folder / "a.txt", "--access", "read", "--workspace", "/")
    assert told["decision"] == "denied"


def test_a_variable_that_the_server_has_not_is_allowed_and_said_to_be_missing(store: Path) -> None:
    answered(
        store, *["permission", "grant", "environment-variable", "granted", "KEY", "--value", "v"]
    )
    assert explained(store, "--env", "KEY")["decision"] == "allowed"
    assert explained(store, "--env", "OTHER")["decision"] == "denied"
    attach(store, NOTHING + b"permissions: {environment: {allow: [{key: HERE}]}}\n")
    told = explained(store, "--env", "HERE")
    assert (told["decision"], len(told["missing"])) == ("allowed", 1)
    assert "no value now" in told["reason"]
    assert explained(store, "--env", "HERE", HERE="1")["missing"] == []


HOSTS = (
    NOTHING
    + b"""\
permissions:
  network:
    allow:
    - {host: api.example.com, methods: [GET], paths: ["/v1/**"]}
    - {host: "https://intern.example"}
    - {host: "localhost:8080"}
    - {host: "http://127.0.0.1"}
    - {host: "http://[64:ff9b::7f00:1]"}
    - {cidr: 10.1.0.0/16}
    deny: [{cidr: 10.1.2.0/24}, {host: "[::1]"}]
"""
)


@pytest.mark.parametrize(
    ("url", "rule", "reason"),
    [
        ("https://api.example.com/v1/a?q", 1, "judged when it is looked up"),
        ("HTTPS://Intern.Example.", 2, "judged when it is looked up"),
        ("http://localhost:8080", 3, "127.0.0.1 may be dialled; ::1 may not be dialled: a rule"),
        ("http://127.0.0.1/", 4, "127.0.0.1 may be dialled"),
        ("http://10.1.1.1", 6, "10.1.1.1 may be dialled"),
    ],
)
def test_a_request_is_allowed_and_what_is_known_of_its_addresses_is_told(
    store: Path, url: str, rule: int, reason: str
) -> None:
    attach(store, HOSTS)
    told = explained(store, "--url", url)
    assert (told["decision"], told["rule"]["number"]) == ("allowed", rule)
    assert reason in told["reason"]


@pytest.mark.parametrize(
    ("url", "rule", "reason"),
    [
        ("https://api.example.com/v2", None, "no rule of the policy allows this request"),
        ("https://api.example.com/v1/..;/v2", None, "no rule of the policy allows this request"),
        ("http://10.1.2.3/", 7, "rule 7 of the policy denies it"),
        ("http://[64:ff9b::7f00:1]/", 5, "loopback address, as 127.0.0.1 within it is"),
        ("ftp://a/", None, "the scheme is neither http nor https"),
        ("https://user@api.example.com/v1/", None, "a user name before the host"),
        ("https://host:port/", None, "the port is no number"),
        ("https://[::1", None, "the host is no name and no address"),
        ("https:///v1", None, "it has no host"),
        ("https://api.example.com/v1/#f", None, "a fragment"),
    ],
)
def test_a_request_is_denied_with_the_reason_and_the_rule(
    store: Path, url: str, rule: int | None, reason: str
) -> None:
    attach(store, HOSTS)
    told = explained(store, "--url", url)
    assert (told["decision"], told["rule"] and told["rule"]["number"]) == ("denied", rule)
    assert reason in told["reason"]
    assert url not in told["reason"]


def test_every_host_is_allowed_only_where_the_operator_says_so(store: Path, file: Path) -> None:
    file.write_bytes(NOTHING + b'permissions: {network: {allow: [{host: "*"}]}}\n')
    done = run(store, "policy", "set", "granted", file, "--yes")
    refused(done, "rule 1 (allow *) allows every host; name the hosts, as *.example.com")
    answered(store, "policy", "set", "granted", file, "--yes", "--allow-any-host")
    url = ["--url", "https://anywhere.example"]
    assert explained(store, *url, "--allow-any-host")["decision"] == "allowed"
    told = explained(store, *url)
    assert told["decision"] == "denied"
    assert "no call runs" in told["reason"]
    assert explained(store, "--url", "https://8.8.8.8", "--allow-any-host")["decision"] == "denied"


@pytest.mark.parametrize(
    "words",
    [
        "--url nothing",
        "--url //api.example.com/",
        "--url https:api.example.com",
        "--path /a",
        "--access read",
        "--path /a --access execute",
        "--path /a --access read --env TZ",
        "--env TZ --tool no-such-tool",
        "",
    ],
)
def test_what_cannot_be_asked_is_a_mistake_in_usage(filled: Path, words: str) -> None:
    refused(run(filled, "policy", "explain", "granted", *words.split()), status=2)


def test_a_tool_that_may_have_less_is_judged_by_less(store: Path, folder: Path) -> None:
    text = storage((folder, "read")) + b"tools: {count: {permissions: {}}}\n"
    attach(store, text)
    path = ["--path", str(folder), "--access", "read"]
    assert explained(store, *path, "--tool", "read")["decision"] == "allowed"
    told = explained(store, *path, "--tool", "count")
    assert told["decision"] == "denied"
    assert "count" in told["reason"]


def test_a_ceiling_is_part_of_the_judgement(store: Path, folder: Path, file: Path) -> None:
    attach(store, storage((folder, "read")))
    file.write_bytes(NOTHING)
    path = ["--path", str(folder), "--access", "read"]
    told = explained(store, *path, "--ceiling", file)
    assert told["decision"] == "denied"
    assert "ceiling" in told["reason"]


def test_while_no_call_runs_everything_is_denied(store: Path, folder: Path) -> None:
    attach(store, NOTHING)
    kept(store).write_bytes(storage((folder, "read")))
    told = explained(store, "--path", folder, "--access", "read")
    assert (told["decision"], told["rule"]) == ("denied", None)
    assert "waits for approval" in told["reason"]
