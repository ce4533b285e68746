"""`doctor` has workers try what they may not; where one of them can, it says so and ends with 1."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import leaky, served
from support.commands import answered, refused
from wassette_supervisor.doctor.probe import DEEDS

if TYPE_CHECKING:
    from pathlib import Path

ALL = {deed.name for deed in DEEDS}


def doctor_without(mechanisms: str, store: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "support.leaky", mechanisms, "doctor", "--component-dir", store],
        cwd=leaky.TESTS,
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


def rows(answer: Any) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in answer["checks"] if check["name"] in ALL}


@pytest.mark.parametrize("isolation", ["fork", "exec"])
def test_no_worker_can_do_what_doctor_has_them_try(tmp_path: Path, isolation: str) -> None:
    found = rows(answered(tmp_path / "store", "doctor", "--isolation", isolation))
    assert found.keys() == ALL
    assert all(row["available"] and row["in_use"] and row["required"] for row in found.values())
    seen = {row["how"] for row in found.values()}
    assert seen == {
        "a worker tried, and was refused (EACCES)",
        "a worker tried, and the kernel ended it (SIGSYS)",
    }


# What each is alone in keeping from a worker that has a directory.
KEPT = {
    "Landlock": {"can't read others' files", "can't write the store"},
    "seccomp": {"can't fork"},
    "MDWE": set[str](),
    "seccomp,MDWE": {"can't fork", "can't make code"},
    "seccomp,Landlock,MDWE,not dumpable,namespaces": ALL,
}


@pytest.mark.parametrize(("left_out", "done"), KEPT.items(), ids=KEPT)
def test_what_a_worker_can_do_without_a_mechanism_is_told(
    left_out: str, done: set[str], tmp_path: Path
) -> None:
    ended = doctor_without(left_out, tmp_path / "store")
    found = rows(json.loads(ended.stdout))
    assert {name for name, row in found.items() if not row["available"]} == done
    for name in done:
        assert found[name]["required"]
        assert found[name]["how"] in (
            "a worker tried, and could",
            "a worker tried, and became another program",
        )
    assert list(tmp_path.iterdir()) == []
    if done:
        refused(ended, *done, printed=True)
        assert json.loads(ended.stdout)["ok"] is False


def test_a_worker_that_gets_past_the_broker_is_told(tmp_path: Path) -> None:
    ended = doctor_without("doorbell,seccomp,Landlock,namespaces", tmp_path / "store")
    refused(ended, "can't pass the broker", printed=True)
    found = {check["name"]: check for check in json.loads(ended.stdout)["checks"]}
    row = found["can't pass the broker"]
    assert row["how"] == "a worker connected, and reached another process than the broker"
    assert (row["available"], row["required"]) == (False, True)


def test_what_a_person_has_to_do_stands_beside_what_is_missing(tmp_path: Path) -> None:
    ended = subprocess.run(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "support.leaky", "Landlock", "doctor", "-o", "table"),
            *("--component-dir", tmp_path / "store"),
        ],
        cwd=leaky.TESTS,
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )
    lines = ended.stdout.decode().splitlines()
    assert max(map(len, lines)) <= 80
    [row] = [place for place, line in enumerate(lines) if line.startswith("can't read others'")]
    assert lines[row].split()[-6:-4] == ["no", "no"]
    below = " ".join(line.strip() for line in lines[row + 1 : row + 6])
    assert "(a worker tried, and could)" in below
    assert "to have it: what is missing above" in below


def test_every_check_says_how_to_have_it(tmp_path: Path) -> None:
    for check in answered(tmp_path / "store", "doctor")["checks"]:
        assert check["remedy"], check["name"]
        assert check["lost_without"], check["name"]
