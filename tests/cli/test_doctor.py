"""`doctor`, on this system and on ones that lack something."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import held_listener, served
from support.commands import answered, refused, run
from support.processes import named
from wassette_supervisor.pool.sandbox import MAPS

if TYPE_CHECKING:
    from pathlib import Path

    Done = subprocess.CompletedProcess[bytes]

REQUIRED = {
    "kernel",
    "python",
    "wasmtime",
    "process a call",
    "no_new_privs",
    "not dumpable",
    "resource limits",
    "seccomp",
    "Landlock",
    "pidfd",
    "sealed memory",
    "store",
    "audit log",
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def checks(answer: Any) -> dict[str, dict[str, Any]]:
    found = {check["name"]: check for check in answer["checks"]}
    assert len(found) == len(answer["checks"])
    return found


def without_namespaces(store: Path) -> Done:
    """A system whose operator lets nobody make namespaces; as the root of one himself."""
    words = shlex.join([str(served.COMMAND), "doctor", "--component-dir", str(store)])
    script = f"echo 0 > /proc/sys/user/max_user_namespaces || exit 77; {words}"
    return subprocess.run(  # noqa: S603 - our own script
        ["unshare", "--map-root-user", "sh", "-c", script],  # noqa: S607 - programs of the system
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


def where_somebody_listens(store: Path, *words: str | Path) -> Done:
    """Run a command where no worker can have a doorbell."""
    return subprocess.run(  # noqa: S603 - our own programs
        [
            *(sys.executable, held_listener.__file__),
            *(served.COMMAND, *words, "--component-dir", store),
        ],
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


@pytest.mark.parametrize("isolation", ["fork", "exec"])
def test_what_is_required_holds_here_and_workers_told_so(store: Path, isolation: str) -> None:
    answer = answered(store, "doctor", "--isolation", isolation)
    assert answer["ok"]
    found = checks(answer)
    assert {name for name, check in found.items() if check["required"]} >= REQUIRED
    assert all(c["available"] and c["in_use"] for c in found.values() if c["required"])
    assert found["process a call"]["detail"] == isolation
    told = [check for check in found.values() if "each worker told of it" in check["how"]]
    assert len(told) >= len(MAPS) - 1
    assert "NoNewPrivs 1" in found["no_new_privs"]["how"]


def test_what_the_system_lacks_is_not_said_to_hold(store: Path) -> None:
    found = checks(answered(store, "doctor"))["cgroup v2"]
    assert found["in_use"] == found["available"]
    assert not found["required"]


def test_it_leaves_no_process_and_no_store_behind(store: Path) -> None:
    answered(store, "doctor")
    assert not store.exists()
    assert named("wassette-zygote") == []
    assert named("wassette-broker") == []


def test_its_table_has_80_columns_at_most_and_says_what_is_lost(store: Path) -> None:
    done = run(store, "doctor", "-o", "table")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0
    assert lines[0].split() == ["WHAT", "THERE", "IN", "USE", "WITHOUT", "IT"]
    assert max(map(len, lines)) <= 80
    assert not any(line.endswith("…") for line in lines)


def test_a_system_without_namespaces_is_fit_and_what_is_lost_is_shown(store: Path) -> None:
    done = without_namespaces(store)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)
    assert answer["ok"]
    found = checks(answer)
    for kind in ("user", "pid", "net", "ipc", "uts"):
        check = found[f"{kind} namespace"]
        assert (check["available"], check["in_use"], check["required"]) == (False, False, False)
        assert "max_user_namespaces" in check["how"]
    for name in ("no_new_privs", "no capabilities", "seccomp", "Landlock", "resource limits"):
        assert found[name]["in_use"], name


def test_a_store_that_others_may_write_to_is_not_fit(store: Path) -> None:
    store.mkdir(mode=0o700)
    store.chmod(0o777)
    done = run(store, "doctor")
    refused(done, "store", "chmod go-w", printed=True)
    answer = json.loads(done.stdout)
    assert not answer["ok"]
    assert not checks(answer)["store"]["available"]


def test_a_store_that_is_a_file_is_not_fit(store: Path) -> None:
    store.write_text("mine")
    refused(run(store, "doctor"), "store", "is no folder", printed=True)


def test_what_is_damaged_is_named_and_is_a_failure_and_keeps_nothing_else_from_running(
    store: Path,
) -> None:
    served.make_store(store, ["add"])
    (store / "components" / "bad.json").write_text("{")
    [log] = (store / "audit").glob("*.jsonl")
    log.write_bytes(log.read_bytes().replace(b'"load"', b'"evil"'))
    done = run(store, "doctor")
    refused(done, "store entries, audit chain", "run `component repair --all`", printed=True)
    answer = json.loads(done.stdout)
    assert not answer["ok"]
    found = checks(answer)
    assert "1 damaged of 2" in found["store entries"]["how"]
    assert "bad: record: its SHA-256 is another one" in found["store entries"]["how"]
    assert "problems; `audit verify` shows all: audit-000001.jsonl:" in found["audit chain"]["how"]
    assert not found["audit chain"]["available"]
    assert (
        served.operate(store, "tool", "invoke", "add", "--args", '{"a":1,"b":2}').stdout == b"3\n"
    )


def test_a_policy_that_waits_for_approval_is_no_damage(store: Path) -> None:
    served.make_store(store, ["add"])
    (store / "components" / "add.policy.yaml").write_text('version: "1.0"\n')
    answer = answered(store, "doctor")
    assert answer["ok"]
    how = checks(answer)["store entries"]["how"]
    assert how == "1, none damaged, 1 held by a policy"


def test_a_ceiling_that_is_none_is_not_fit(store: Path, tmp_path: Path) -> None:
    ceiling = tmp_path / "ceiling.yaml"
    ceiling.write_text("no: policy")
    done = run(store, "doctor", "--ceiling", ceiling)
    refused(done, "ceiling", str(ceiling), printed=True)


def test_the_workspace_and_the_settings_file_are_shown(store: Path, tmp_path: Path) -> None:
    found = checks(answered(store, "doctor", "--workspace", tmp_path / "gone"))
    assert found["workspace"]["how"] == f"{tmp_path}/gone is no folder"
    assert not found["settings file"]["in_use"]

    workspace, settings = tmp_path / "workspace", tmp_path / "config" / "wassette-supervisor"
    workspace.mkdir()
    settings.mkdir(parents=True)
    (settings / "config.toml").write_text("queue = 3\n")
    env = {"XDG_CONFIG_HOME": str(settings.parent)}
    found = checks(answered(store, "doctor", "--workspace", workspace, env=env))
    assert found["settings file"]["in_use"]
    assert found["workspace"]["how"] == str(workspace)


# --- the network ----------------------------------------------------------------------------


NETWORK = ("doorbell", "second layer", "broker", "can't pass the broker")


@pytest.mark.parametrize("isolation", ["fork", "exec"])
def test_a_worker_with_a_network_meets_the_broker_wherever_it_connects_to(
    store: Path, isolation: str
) -> None:
    found = checks(answered(store, "doctor", "--isolation", isolation))
    assert all(found[name]["available"] and found[name]["in_use"] for name in NETWORK)
    assert found["broker"]["required"]
    assert "Seccomp 2, CapEff 0000000000000000" in found["broker"]["how"]
    assert "met the broker in its place" in found["can't pass the broker"]["how"]


def test_without_namespaces_the_rules_of_ports_are_the_second_layer(store: Path) -> None:
    found = checks(json.loads(without_namespaces(store).stdout))
    assert found["second layer"]["how"] == "Landlock's rules of ports"
    assert all(found[name]["in_use"] for name in NETWORK)


def test_where_somebody_listens_already_no_tool_has_a_network_and_doctor_says_why(
    store: Path,
) -> None:
    done = where_somebody_listens(store, "doctor")
    assert (done.returncode, done.stderr) == (0, b"")  # for calls run
    answer = json.loads(done.stdout)
    assert answer["ok"]
    found = checks(answer)
    assert "somebody listens already" in found["doorbell"]["how"]
    assert not any(found[name]["in_use"] or found[name]["required"] for name in NETWORK)
    assert found["can't connect out"]["required"]  # nothing else is any looser for it
    assert found["seccomp"]["in_use"]


def test_where_somebody_listens_already_a_component_with_a_host_is_refused_and_others_run(
    store: Path, tmp_path: Path
) -> None:
    served.make_store(store, ["add", "net"])
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        'version: "1.0"\npermissions: {network: {allow: [{host: "api.example.com"}]}}\n'
    )
    answered(store, "policy", "set", "net", policy, "--yes")
    ask = ("tool", "invoke", "abandon", "--args", '{"url": "https://api.example.com/"}')
    refused(
        where_somebody_listens(store, *ask),
        "a tool with a network can't be kept to it here",
        "somebody listens already",
        "`doctor` has more",
    )
    other = where_somebody_listens(store, "tool", "invoke", "add", "--args", '{"a":1,"b":2}')
    assert (other.returncode, other.stdout) == (0, b"3\n")
    answered(store, "permission", "reset", "net")
    # Without a host it runs, and each of its requests is refused.
    refused(where_somebody_listens(store, *ask), "the tool returned its error", "request-denied")


def test_a_broker_that_does_not_start_makes_a_system_unfit(store: Path, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("no certificate")
    done = run(store, "doctor", "--ca-file", authorities)
    refused(done, "broker", "the broker doesn't start", printed=True)
    found = checks(json.loads(done.stdout))
    assert found["process a call"]["in_use"]
    assert not found["broker"]["available"]
