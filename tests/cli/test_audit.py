"""`audit` and `audit verify`, as a person, a pipe and a script meet them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from wassette_supervisor.audit.entry import Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import Wanted
from wassette_supervisor.cli import arguments
from wassette_supervisor.cli.audit import NOTE, wanted_of
from wassette_supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMAND = Path(sys.executable).with_name("wassette-supervisor")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TIME_OUT_S = 30


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    made = AuditLog(tmp_path / "store" / "audit")
    yield made
    made.close()


@pytest.fixture
def filled(log: AuditLog) -> AuditLog:
    log.append(Event.LOAD, component="weather", client="cli", decision="allowed")
    log.append(Event.CALL_STARTED, component="weather", call="c1", detail={"tool": "get-weather"})
    log.append(
        Event.CALL_ENDED,
        component="weather",
        call="c1",
        detail={
            "cause": "limit",
            "limit": "fuel",
            "usage": {"fuel": 50_000_000_000},
            "words": "é" * 99,
        },
    )
    log.append(Event.GRANT, component="greeter", decision="always", rule="fs://notes/**")
    return log


def words(log: AuditLog, *words: str) -> list[str | Path]:
    return [COMMAND, *words, "--component-dir", log.directory.parent]


def environment(log: AuditLog, **more: str) -> dict[str, str]:
    return {"HOME": str(log.directory.parent), "PATH": os.environ["PATH"]} | more


def run(log: AuditLog, *given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        words(log, *given),
        env=environment(log),
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )


def answered(log: AuditLog, *given: str) -> str:
    done = run(log, *given)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def on_a_terminal(log: AuditLog, *given: str, **environ: str) -> list[str]:
    """What a person sees, in 80 columns."""
    main, side = pty.openpty()
    env = environment(log, TERM="xterm", COLUMNS="80", **environ)
    with subprocess.Popen(words(log, *given), env=env, stdout=side, stderr=side) as process:  # noqa: S603 - our own command
        os.close(side)
        shown = b""
        try:
            while chunk := os.read(main, 65536):
                shown += chunk
        except OSError:  # EIO: the other side is closed
            pass
        process.wait(TIME_OUT_S)
    os.close(main)
    return shown.decode().splitlines()


# --- what is asked for ----------------------------------------------------------------------


def wanted(*given: str) -> Wanted:
    invocation = arguments.parse(["audit", *given], {"HOME": "/home/op"})
    assert invocation.command == "audit:show"
    return wanted_of(invocation.options, NOW)


def test_without_options_all_is_wanted() -> None:
    assert wanted() == Wanted()


def test_options_say_which_entries_are_wanted() -> None:
    found = wanted(
        "--component", "weather", "--event", "call-ended", "--since", "1h", "--call", "c1"
    )
    assert found == Wanted("weather", Event.CALL_ENDED, "2026-01-31T11:00:00.000000Z", "c1")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--event", "grnat"], "--event: there is no event 'grnat'; did you mean grant?"),
        (["--event", "?"], "--event: there is no event '?'; there are load, unload, repair, "),
        (
            ["--since", "soon"],
            "--since: should be how long ago, as 30m, 1h or 7d, or a date or time",
        ),
    ],
    ids=["near", "far", "time"],
)
def test_what_can_not_be_wanted_is_refused_in_one_line(given: Sequence[str], said: str) -> None:
    with pytest.raises(UsageError) as error:
        wanted(*given)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


# --- audit ----------------------------------------------------------------------------------


def test_to_a_pipe_each_entry_is_the_line_that_is_in_the_log(filled: AuditLog) -> None:
    kept = (filled.directory / "audit-000001.jsonl").read_text()
    assert answered(filled, "audit") == kept
    assert answered(filled, "audit", "--event", "grant") == kept.splitlines(keepends=True)[3]


def test_yaml_is_one_list(filled: AuditLog) -> None:
    lines = answered(filled, "audit", "-o", "json").splitlines()
    assert yaml.safe_load(answered(filled, "audit", "-o", "yaml")) == list(map(json.loads, lines))


def test_a_table_fits_80_columns_and_says_what_was_decided(filled: AuditLog) -> None:
    head, load, started, ended, grant = on_a_terminal(filled, "audit", NO_COLOR="1")
    assert head.split() == ["TIME", "(UTC)", "EVENT", "COMPONENT", "WHAT"]
    assert load.endswith("  load           weather           allowed")
    assert started.endswith("  weather           tool=get-weather")
    assert "cause=limit limit=fuel" in ended
    assert len(ended) == 80
    assert ended.endswith("…")
    assert grant.endswith("  greeter           always fs://notes/**")


def test_only_the_heading_is_bold_and_not_with_no_color(filled: AuditLog) -> None:
    assert [line.startswith("\x1b") for line in on_a_terminal(filled, "audit")] == [
        True,
        *[False] * 4,
    ]
    assert "\x1b" not in "".join(on_a_terminal(filled, "audit", NO_COLOR="1"))


def test_a_store_without_a_log_has_no_entries(log: AuditLog) -> None:
    assert answered(log, "audit") == ""
    assert not log.directory.exists()


def test_damage_is_told_beside_the_entries_and_stops_nothing(filled: AuditLog) -> None:
    file = filled.directory / "audit-000001.jsonl"
    file.write_bytes(b"\x1b[2J\n" + file.read_bytes())
    done = run(filled, "audit")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr == (
        "wassette-supervisor: audit-000001.jsonl:1: it is no entry; it was left out\n"
    )


def test_a_log_that_can_not_be_read_is_one_line_and_status_1(log: AuditLog) -> None:
    log.directory.parent.mkdir()
    log.directory.write_bytes(b"")
    for command in (["audit"], ["audit", "verify"], ["audit", "--follow"]):
        done = run(log, *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("wassette-supervisor: can't read the audit log ")
        assert done.stderr.count("\n") == 1


# --- pipes that close, and following --------------------------------------------------------


def test_a_closed_pipe_ends_it_quietly(log: AuditLog) -> None:
    for number in range(3000):
        log.append(Event.CALL_STARTED, call=str(number))
    with started(log, "audit") as process:
        line = pipe(process.stdout).readline()
        assert json.loads(line)["call"] == "0"
        pipe(process.stdout).close()
        assert pipe(process.stderr).read() == b""


def test_follow_prints_what_comes_as_lines_and_ends_when_nobody_reads(filled: AuditLog) -> None:
    with started(filled, "audit", "--follow", "--since", "1h") as process:
        for _ in range(4):
            pipe(process.stdout).readline()
        filled.append(Event.UNLOAD, component="weather")
        assert json.loads(pipe(process.stdout).readline())["event"] == "unload"
        pipe(process.stdout).close()  # and nothing is written to the log any more
        assert pipe(process.stderr).read() == b""
        process.wait(TIME_OUT_S)


def test_follow_ends_quietly_when_interrupted(filled: AuditLog) -> None:
    with started(filled, "audit", "--follow", "--since", "1h") as process:
        pipe(process.stdout).readline()
        process.send_signal(signal.SIGINT)
        assert pipe(process.stderr).read() == b""
        assert process.wait(TIME_OUT_S) == 130


def started(log: AuditLog, *given: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own command
        words(log, *given),
        env=environment(log),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def pipe(stream: Any) -> Any:
    assert stream is not None
    return stream


# --- audit verify ---------------------------------------------------------------------------


def test_a_whole_log_is_verified_with_status_0_and_the_limits_of_that_are_said(
    filled: AuditLog,
) -> None:
    found = json.loads(answered(filled, "audit", "verify"))
    assert found["whole"] is True
    assert (found["entries"], found["files"], found["problems"]) == (4, 1, [])
    assert (found["first"]["seq"], found["last"]["seq"]) == (1, 4)
    assert found["note"] == NOTE
    assert "does not show a rewrite" in NOTE


def test_a_damaged_log_is_status_1_and_each_place_is_named(filled: AuditLog) -> None:
    file = filled.directory / "audit-000001.jsonl"
    file.write_bytes(file.read_bytes().replace(b"fs://notes/**", b"fs://other/**"))
    done = run(filled, "audit", "verify")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["whole"] is False
    assert found["problems"] == [
        {
            "file": "audit-000001.jsonl",
            "line": 4,
            "what": "it was changed: its hash is another one",
        },
        {"file": "head", "line": 0, "what": "entry 4 is missing at the end of the log"},
    ]
    assert done.stderr.count("\n") == 1
    assert "is damaged; keep a copy" in done.stderr


def test_on_a_terminal_the_problems_are_rows(filled: AuditLog) -> None:
    (filled.directory / "head").unlink()
    shown = on_a_terminal(filled, "audit", "verify", NO_COLOR="1")
    assert any(line.startswith("problem  head: it is missing") for line in shown)
    assert "note     it does not show a rewrite by whoever owns the files" in shown
    assert all(len(line) <= 80 for line in shown[:-1])  # the last one is the error
