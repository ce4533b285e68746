"""`audit --event request`: what a tool talked to, at 80 columns and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wassette_supervisor.audit.entry import Entry, Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.cli import audit_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = Path(sys.executable).with_name("wassette-supervisor")
ASKED: dict[str, Any] = {
    "tool": "forecast",
    "method": "GET",
    "scheme": "https",
    "host": "api.weather.example",
    "port": 443,
    "path": "/v1/forecast",
}
DONE: dict[str, Any] = {
    "outcome": "complete",
    "status": 200,
    "address": "192.0.2.7",
    "version": "HTTP/2",
    "sent_bytes": 0,
    "received_bytes": 5_400_000_000,
    "first_byte_us": 1,
    "total_us": 2,
}
RULE = "allow https://api.weather.example"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    made = AuditLog(tmp_path / "store" / "audit")
    yield made
    made.close()


def record(log: AuditLog, event: Event, decision: Any, **more: Any) -> None:
    rule = RULE if decision == "allowed" else None
    log.append(
        event,
        component="weather-of-all-countries",
        call="c1",
        decision=decision,
        rule=rule,
        detail=ASKED | more,
    )


def shown(log: AuditLog, *words: str, columns: int = 80) -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own command
        [COMMAND, "audit", *words, "--component-dir", log.directory.parent],
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"], "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def without_times(lines: list[str]) -> list[str]:
    return [line[19:] if line[:2] == "20" else line for line in lines]


def test_a_table_of_requests_has_what_came_of_each_and_below_it_where_it_went(
    log: AuditLog,
) -> None:
    record(log, Event.REQUEST_STARTED, "allowed")
    record(log, Event.REQUEST, "allowed", **DONE)
    record(log, Event.REQUEST, "allowed", **DONE | {"outcome": "connection-timeout", "status": 0})
    record(log, Event.REQUEST, "denied", port=8443, why="no rule of the policy allows this request")
    assert without_times(shown(log, "--event", "request", "-o", "table")) == [
        "TIME (UTC)           COMPONENT       DECISION  STATUS              SENT    GOT",
        "  weather-of-al…  allowed   200                 0       5.0Gi",
        "    GET https://api.weather.example/v1/forecast",
        "  weather-of-al…  allowed   connection-timeout  0       5.0Gi",
        "    GET https://api.weather.example/v1/forecast",
        "  weather-of-al…  denied    no rule of the policy allows thi…",
        "    GET https://api.weather.example:8443/v1/forecast",
    ]
    assert without_times(shown(log, "--event", "request-started", "-o", "table"))[1:] == [
        "  weather-of-al…  allowed",
        "    GET https://api.weather.example/v1/forecast",
    ]


def test_no_line_is_wider_than_the_terminal_and_no_word_of_a_guest_makes_one(
    log: AuditLog,
) -> None:
    record(log, Event.REQUEST, "allowed", path="/a\x1b[2J\n\u202e" + "x" * 250, **DONE)
    record(log, Event.REQUEST, "denied", host="2001:db8::1", why="w" * 200)
    for columns in (80, 120):
        lines = shown(log, "--event", "request", "-o", "table", columns=columns)
        assert len(lines) == 5
        assert max(map(len, lines)) <= columns
        assert not any("\x1b" in line or "\u202e" in line for line in lines)
        assert lines[-1] == "    GET https://[2001:db8::1]/v1/forecast"


def test_among_other_entries_a_request_is_a_line_that_begins_with_what_was_asked_for(
    log: AuditLog,
) -> None:
    record(log, Event.REQUEST, "allowed", **DONE)
    [_, line] = shown(log, "-o", "table", columns=200)
    assert line.endswith("allowed GET https://api.weather.example/v1/forecast 200")


def test_what_could_not_be_read_as_a_request_is_a_row_all_the_same() -> None:
    entry = Entry(
        1, "2026-01-31T12:00:00.000000Z", Event.REQUEST, None, None, None, None, "denied", None,
        {"tool": "forecast", "why": "the method is no token of at most 32 characters"}, "", "",
    )  # fmt: skip
    first, second, _ = audit_requests.lines(entry, "now").split("\n")
    assert "the method is no token" in first
    assert second.strip() == "a request that could not be read, or that was one too many"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0Ki"),
        (65536, "64Ki"),
        (1 << 20, "1.0Mi"),
        (5 << 40, "5.0Ti"),
    ],
)
def test_sizes_have_at_most_five_characters(size: int, text: str) -> None:
    entry = Entry(
        1, "", Event.REQUEST, None, None, None, None, "allowed", None,
        ASKED | {"received_bytes": size}, "", "",
    )  # fmt: skip
    assert audit_requests.lines(entry, "now").splitlines()[0].split()[-1] == text


def test_to_a_pipe_it_is_the_line_that_is_in_the_log(log: AuditLog) -> None:
    record(log, Event.REQUEST, "allowed", **DONE)
    [line] = shown(log, "--event", "request")
    assert line == (log.directory / "audit-000001.jsonl").read_text().rstrip("\n")
    assert json.loads(line)["detail"] == ASKED | DONE
