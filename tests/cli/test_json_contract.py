"""What each command prints as JSON, for real, is what its schema in `docs/json` says."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from jsonschema import (  # type: ignore[import-untyped]  # no stubs in dev
    Draft202012Validator,
    ValidationError,
)

from support import guests, served
from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli.grammar.command import OUTPUT
from wassette_supervisor.cli.grammar.commands import COMMANDS
from wassette_supervisor.components.local import files
from wassette_supervisor.store.noticed import Noticed, Notices
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SCHEMAS = Path(__file__).parents[2] / "docs/json"
POLICY = Path(__file__).parents[2] / "examples/policies/limits-and-time-zone.yaml"


class Row(NamedTuple):
    """A command line on a store of its own; `{NAME}` is the file of a guest, or the policy."""

    command: str  # as in the grammar; its schema has this name, with dashes
    words: str
    status: int = 0  # 1: it found what is damaged in the store, and says so behind its answer


# A new command has its rows here and its schema there.
ROWS = [
    Row("component load", "component load {spin}"),
    Row("component load", "component load {add}"),  # again
    Row("component load", "component load {resource} --name again"),  # leaves something out
    Row("component approve", "component approve waits --yes"),
    Row("component unload", "component unload add"),
    Row("component release", "component release add"),
    Row("component list", "component list"),
    Row("component state", "component state ctiny size"),
    Row("component state", "component state add reset --yes"),  # there is nothing
    Row("component state", "component state ctiny reset --yes"),
    Row("component repair", "component repair add"),
    Row("component repair", "component repair --all", 1),
    Row("inspect", "inspect add"),
    Row("inspect", "inspect resource"),
    Row("inspect", "inspect {ctiny}"),
    Row("tool list", "tool list"),
    Row("tool read", "tool read add"),
    Row("tool read", "tool read checked-divide"),
    Row("tool invoke", 'tool invoke add --args {{"a":1,"b":2}}'),
    Row("policy get", "policy get add"),
    Row("policy get", "policy get ctiny"),
    Row("policy set", "policy set add {policy} --yes"),
    Row("policy unset", "policy unset ctiny --yes"),
    Row("policy check", "policy check {policy}"),
    Row("policy check", "policy check add"),
    Row("policy check", "policy check ctiny"),
    Row("policy explain", "policy explain ctiny --env TZ"),
    Row("policy explain", "policy explain ctiny --path /var/tmp/a --access read"),
    Row("policy explain", "policy explain add --url https://api.example.com"),
    Row("policy explain", "policy explain net --url http://127.0.0.1:9/a --method PUT"),
    Row("permission grant storage", "permission grant storage add fs:///var/tmp --access read"),
    Row(
        "permission grant environment-variable",
        "permission grant environment-variable add TZ --value UTC",
    ),
    Row("permission grant network", "permission grant network add https://api.example.com"),
    Row("permission revoke storage", "permission revoke storage ctiny fs:///var/tmp"),
    Row("permission revoke network", "permission revoke network net http://127.0.0.1:9"),
    Row(
        "permission revoke environment-variable", "permission revoke environment-variable ctiny TZ"
    ),
    Row("permission grant memory", "permission grant memory add 512Mi"),
    Row("permission revoke memory", "permission revoke memory ctiny"),
    Row("permission reset", "permission reset ctiny"),
    Row("secret set", "secret set add TOKEN --from-env PATH"),
    Row("secret list", "secret list ctiny"),
    Row("secret delete", "secret delete ctiny TOKEN"),
    Row("audit", "audit --event secret-set"),  # one line, of the store's own making
    Row("audit verify", "audit verify"),
    Row("doctor", "doctor", 1),
    Row("settings", "settings"),
    Row("settings", "settings --env A=b --max-limit memory=1Mi --workspace /w --queue 3"),
]


def schema_of(command: str) -> dict[str, Any]:
    schema = json.loads((SCHEMAS / f"{command.replace(' ', '-')}.json").read_text())
    assert isinstance(schema, dict)
    return schema


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something of each kind, a damaged entry too."""
    names = ["add", "ctiny", "resource", "net"]
    store = served.make_store(tmp_path_factory.mktemp("filled") / "store", names)
    for words in (
        "permission grant storage ctiny fs:///var/tmp --access read",
        "permission grant environment-variable ctiny TZ --value UTC",
        "permission grant network net http://127.0.0.1:9",
        "secret set ctiny TOKEN --from-env PATH",
    ):
        assert served.operate(store, *words.split()).returncode == 0
    (store / "components" / "bad.json").write_text("{")
    (store / "state" / "ctiny").mkdir(parents=True, mode=0o700)
    leave_in_a_directory(store, tmp_path_factory.mktemp("drop"))
    return store


def leave_in_a_directory(store: Path, drop: Path) -> None:
    """What a server that follows this directory would have put down."""
    waits, odd = drop / "waits.wasm", drop / "-.wasm"
    waits.write_bytes(guests.guest_bytes("exit"))
    odd.symlink_to(waits)
    fetched = files.read(waits, files.stamp_of(waits.lstat()))
    os.close(fetched.descriptor)
    found = [
        Noticed(odd.as_uri(), "refused", None, None, files.stamp_of(odd.lstat()), reason="a link"),
        Noticed(
            waits.as_uri(),
            "waiting",
            ComponentId("waits"),
            fetched.digest,
            files.stamp_of(waits.lstat()),
            ("leave",),
            "allow it",
        ),
    ]
    Notices(Store(store)).write(drop.as_uri(), found)


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    store = served.copy_of(filled, tmp_path / "store")
    words = "secret set add OTHER --from-env PATH"  # the log begins anew with a copy
    assert served.operate(store, *words.split()).returncode == 0
    return store


def run(store: Path, row: Row, *more: str) -> subprocess.CompletedProcess[bytes]:
    names = set(re.findall(r"(?<!{){(\w+)}", row.words)) - {"policy"}
    files = {"policy": POLICY} | {name: guests.guest_path(name) for name in names}
    done = served.operate(store, *row.words.format(**files).split(), *more)
    assert (done.returncode, bool(done.stderr)) == (row.status, row.status != 0)
    return done


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_a_command_prints_what_its_schema_says(store: Path, row: Row) -> None:
    printed = json.loads(run(store, row).stdout)
    Draft202012Validator(schema_of(row.command)).validate(printed)


def test_yaml_is_the_same_value_as_json(filled: Path) -> None:
    row = Row("component list", "component list")
    in_yaml = yaml.safe_load(run(filled, row, "-o", "yaml").stdout)
    assert in_yaml == json.loads(run(filled, row, "-o", "json").stdout)
    assert {component["state"] for component in in_yaml["components"]} == {
        *("ready", "damaged", "waiting", "refused")
    }


@pytest.mark.parametrize("file", sorted(SCHEMAS.glob("*.json")), ids=lambda file: file.stem)
def test_a_schema_is_one_and_takes_no_member_that_it_does_not_know(file: Path) -> None:
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"].removeprefix("wassette-supervisor ").replace(" ", "-") == file.stem
    for object_schema in objects(schema):
        with pytest.raises(ValidationError, match="Additional properties"):
            Draft202012Validator(object_schema | {"required": []}).validate({"unknown!": 1})


def objects(schema: object) -> Iterator[dict[str, Any]]:
    """Each object whose members a schema names."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_a_request_in_the_log_is_what_its_schema_says(store: Path) -> None:
    for port in (9, 8):  # where nobody is, and what nothing allows
        url = f"http://127.0.0.1:{port}/path?query"
        words = ("tool", "invoke", "abandon", "--args", json.dumps({"url": url}))
        assert served.operate(store, *words).returncode == 1
    schema = schema_of("audit")
    strict = Draft202012Validator(schema["$defs"]["request"])
    found = []
    for event in ("request-started", "request"):
        for line in served.operate(store, "audit", "--event", event).stdout.splitlines():
            entry = json.loads(line)
            Draft202012Validator(schema).validate(entry)
            strict.validate(entry["detail"])
            assert b"query" not in line
            found.append((event, entry["decision"], entry["detail"].get("outcome")))
    assert found == [
        ("request-started", "allowed", None),
        ("request", "allowed", "connection-refused"),
        ("request", "denied", None),
    ]


def test_every_command_has_a_row_and_a_schema() -> None:
    of_rows = {row.command for row in ROWS}
    printing = {command.words for command in COMMANDS if OUTPUT in command.options}
    assert of_rows == printing | {"tool invoke"}
    with_schema = {file.stem for file in SCHEMAS.glob("*.json")}
    assert {command.replace(" ", "-") for command in of_rows} <= with_schema
