"""`permission grant`, `revoke` and `reset`, on real stores and guests."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support import served
from support.commands import answered, refused, run

if TYPE_CHECKING:
    from pathlib import Path

AT_ONCE = 6


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("filled") / "store", ["granted"])


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return served.copy_of(filled, tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    return made


def permission(store: Path, words: str, **environ: str) -> Any:
    return answered(store, "permission", *words.split(), env=environ)


def failing(store: Path, words: str) -> subprocess.CompletedProcess[bytes]:
    return run(store, "permission", *words.split())


def rules(store: Path) -> list[str]:
    return [rule["text"] for rule in answered(store, "policy", "get", "granted")["rules"]]


def entries(store: Path, event: str) -> list[dict[str, Any]]:
    done = served.operate(store, "audit", "--event", event, "-o", "json")
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- granting -------------------------------------------------------------------------------


def test_what_is_granted_the_guest_has_and_what_is_revoked_it_has_no_more(
    store: Path, folder: Path
) -> None:
    done = permission(store, f"grant storage granted fs://{folder}/** --access read,write")
    right = f"read, write fs://{folder}"
    assert done == {
        "id": "granted",
        "status": "granted",
        "changes": [{"sign": "+", "right": right}],
    }
    assert answered(store, "tool", "invoke", "directories") == [str(folder)]

    done = permission(store, f"revoke storage granted fs://{folder}")
    assert (done["status"], done["changes"]) == ("revoked", [{"sign": "-", "right": right}])
    assert answered(store, "tool", "invoke", "directories") == []


def test_a_second_grant_of_the_same_says_that_nothing_changed(store: Path, folder: Path) -> None:
    grant = f"grant storage granted fs://{folder} --access read"
    permission(store, grant)
    assert permission(store, grant)["changes"] == []
    assert len(rules(store)) == 1
    assert b"granted before" in failing(store, f"{grant} -o table").stdout
    more = permission(store, grant.replace("read", "read,write"))
    assert more["changes"] == [{"sign": "+", "right": f"write fs://{folder}"}]
    assert len(rules(store)) == 1


def test_a_variable_is_the_servers_or_has_a_value_or_is_a_secret(store: Path) -> None:
    permission(store, "grant environment-variable granted OURS", OURS="from us")
    permission(store, "grant environment-variable granted MODE --value a=b")
    answered(store, "secret", "set", "granted", "KEPT", stdin=b"s3cret")
    permission(store, "grant environment-variable granted TOKEN --secret KEPT")
    seen = answered(store, "tool", "invoke", "variables", env={"OURS": "from us"})
    assert sorted(seen) == [["MODE", "a=b"], ["OURS", "from us"], ["TOKEN", "s3cret"]]
    refused(failing(store, "grant environment-variable granted MODE --value c"), "another value")


def test_a_folder_that_is_not_there_is_granted_with_a_warning(store: Path, tmp_path: Path) -> None:
    done = failing(store, f"grant storage granted fs://{tmp_path}/gone --access read")
    assert done.returncode == 0
    assert done.stderr.decode().count("\n") == 1
    assert "warning" in done.stderr.decode()
    assert f"{tmp_path}/gone" in done.stderr.decode()


def test_every_grant_is_on_record_as_made_by_the_command_line(store: Path, folder: Path) -> None:
    permission(store, f"grant storage granted fs://{folder} --access read")
    permission(store, "reset granted")
    for event in ("grant", "reset"):
        [entry] = entries(store, event)
        assert (entry["client"], entry["component"]) == ("command line", "granted")


def test_grants_of_several_processes_at_once_are_all_kept(store: Path) -> None:
    running = [
        subprocess.Popen(  # noqa: S603 - our own command
            [
                *(served.COMMAND, "permission", "grant", "environment-variable", "granted"),
                *(f"KEY_{number}", "--value", "v", "--component-dir", store),
            ],
            env=served.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for number in range(AT_ONCE)
    ]
    for process in running:
        _, said = process.communicate(timeout=served.LOAD_S)
        assert (process.returncode, said) == (0, b"")
    policy = answered(store, "policy", "get", "granted")
    assert {rule["key"] for rule in policy["rules"]} == {f"KEY_{n}" for n in range(AT_ONCE)}
    assert policy["state"] == "approved"


REFUSED: list[Any] = [
    pytest.param("network granted *", ["--allow-any-host"], id="every host"),
    pytest.param("network granted 010.1.1.1", ["four numbers"], id="an odd address"),
    pytest.param("storage granted /etc --access read", ["fs:///etc"], id="no URI"),
    pytest.param("storage granted fs:///a/../b --access read", ["'..'"], id="dots"),
    pytest.param("storage granted fs:///**/x --access read", ["overlaps"], id="a glob of all"),
    pytest.param("storage granted fs://state --access write", ["without read"], id="no read"),
    pytest.param("storage granted fs:///proc --access read", ["kernel's own"], id="the kernel's"),
    pytest.param("storage granted fs:///{store} --access read", ["the store"], id="the store"),
    pytest.param("storage granted fs://state/a --access read", ["whole"], id="a part of the state"),
    pytest.param("environment-variable granted 1A", ["'1A'"], id="no name"),
    pytest.param("environment-variable granted A*", ["pattern"], id="a pattern"),
    pytest.param("environment-variable granted A --secret a-b", ["'a-b'"], id="no secret's name"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_cannot_be_granted_is_refused_and_not_on_record(
    filled: Path, words: str, said: list[str]
) -> None:
    refused(failing(filled, f"grant {words.format(store=str(filled)[1:])}"), *said)
    assert rules(filled) == []
    assert entries(filled, "grant") == []


@pytest.mark.parametrize(
    "words",
    [
        "grant storage granted fs:///var/tmp",
        "grant storage granted fs:///var/tmp --access execute",
        "grant environment-variable granted A --value v --secret S",
        "grant resource granted 1Gi",
    ],
)
def test_a_grant_that_is_written_wrongly_is_a_mistake_in_usage(filled: Path, words: str) -> None:
    refused(failing(filled, words), status=2)


def test_a_value_that_is_no_text_is_refused(filled: Path) -> None:
    words = "permission grant environment-variable granted A --value"
    done = run(filled, *words.split(), os.fsdecode(b"\xff"))
    refused(done, "--value", "UTF-8", status=2)


# --- revoking -------------------------------------------------------------------------------


def test_a_rule_is_revoked_by_its_number(store: Path, folder: Path) -> None:
    permission(store, f"grant storage granted fs://{folder} --access read")
    permission(store, "grant environment-variable granted MODE --value v")
    refused(failing(store, "revoke storage granted 2"), "rule 2", "no rule about storage")
    refused(failing(store, "revoke storage granted 3"), "no rule 3", "rule 1")
    permission(store, "revoke environment-variable granted 2")
    assert rules(store) == [f"allow read fs://{folder}"]


def test_what_nothing_grants_cannot_be_revoked_and_that_is_not_on_record(store: Path) -> None:
    refused(failing(store, "revoke environment-variable granted TZ"), "'TZ'")
    refused(failing(store, "revoke storage granted fs:///var/tmp"), "fs:///var/tmp")
    refused(failing(store, "revoke network granted example.com"), "example.com")
    assert entries(store, "revoke") == []


def test_a_reset_takes_everything_back_in_whatever_state_the_policy_is(
    store: Path, folder: Path
) -> None:
    permission(store, f"grant storage granted fs://{folder} --access read")
    done = permission(store, "reset granted")
    assert done["changes"] == [{"sign": "-", "right": f"read fs://{folder}"}]
    assert permission(store, "reset granted")["changes"] == []
    (store / "components" / "granted.policy.yaml").write_bytes(b"no policy")
    assert permission(store, "reset granted")["status"] == "reset"
    assert answered(store, "policy", "get", "granted")["state"] == "none"


# --- memory ---------------------------------------------------------------------------------


def test_memory_is_granted_changed_and_revoked_in_the_words_of_wassette(store: Path) -> None:
    done = permission(store, "grant memory granted 512Mi")
    assert [change["right"] for change in done["changes"] if change["sign"] == "+"]
    assert rules(store) == ["limit memory at most 512Mi"]
    assert answered(store, "policy", "get", "granted")["limits"]["memory"] == "512Mi"
    assert permission(store, "grant memory granted 512")["changes"] == []  # as policy-mcp has it
    permission(store, "grant memory granted 1Gi")
    assert rules(store) == ["limit memory at most 1Gi"]
    permission(store, "revoke memory granted")
    assert rules(store) == []
    assert permission(store, "revoke memory granted")["changes"] == []
    granted = [entry["rule"] for entry in entries(store, "grant")]
    assert granted == [f"memory at most {size}" for size in ("512Mi", "512Mi", "1Gi")]


@pytest.mark.parametrize("limit", ["0", "-1", "many", "5Ti", "1e9", "64Gi"])
def test_a_limit_of_memory_that_is_none_is_refused(store: Path, limit: str) -> None:
    refused(failing(store, f"grant memory granted {limit}"), "LIMIT should be", status=2)
    assert rules(store) == []


def test_a_limit_of_memory_above_the_operators_is_refused(store: Path) -> None:
    done = failing(store, "grant memory granted 512Mi --max-limit memory=256Mi")
    refused(done, "at most 256Mi")
    assert rules(store) == []


# --- under a ceiling ------------------------------------------------------------------------


def test_a_grant_beyond_the_ceiling_says_that_it_gives_nothing(store: Path, tmp_path: Path) -> None:
    above = tmp_path / "ceiling.yaml"
    above.write_text('version: "1.0"\npermissions: {environment: {allow: [{key: LANG}]}}')
    grant = ("permission", "grant", "environment-variable", "granted", "TZ")
    done = run(store, *grant, "--ceiling", above)
    assert done.returncode == 0
    assert b"variable TZ: the operator's ceiling doesn't allow it; so it gives no" in done.stderr
    shown = answered(store, "policy", "get", "granted", "--ceiling", above)
    assert shown["missing"] == ["variable TZ: the operator's ceiling doesn't allow it"]
    shown = answered(store, "policy", "check", "granted", "--ceiling", above)
    assert shown["missing"] == ["variable TZ: the operator's ceiling doesn't allow it"]
