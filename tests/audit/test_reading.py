from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.audit import when
from wassette_supervisor.audit.entry import Entry, Event
from wassette_supervisor.audit.following import follow
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.reading import Damaged, Wanted, entries
from wassette_supervisor.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EARLIER = timezone(timedelta(hours=1))
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    made = AuditLog(tmp_path / "audit", rotate_bytes=2000)
    yield made
    made.close()


def calls(found: Iterator[Entry | Damaged]) -> list[str | None]:
    return [each.call if isinstance(each, Entry) else f"damaged {each.line}" for each in found]


# --- what is there --------------------------------------------------------------------------


def test_entries_of_all_files_come_in_their_order(log: AuditLog) -> None:
    written = [log.append(Event.CALL_STARTED, call=str(number)) for number in range(30)]
    assert list(entries(log.directory)) == written


def test_a_log_that_was_never_written_has_no_entries(tmp_path: Path) -> None:
    assert list(entries(tmp_path / "audit")) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param(Wanted(), ["1", "1", "2", "2", None], id="all"),
        pytest.param(Wanted(component="a"), ["1", "1", None], id="component"),
        pytest.param(Wanted(event=Event.CALL_ENDED), ["1", "2"], id="event"),
        pytest.param(Wanted(call="2"), ["2", "2"], id="call"),
        pytest.param(Wanted(component="a", event=Event.GRANT), [None], id="both"),
        pytest.param(Wanted(component="a", call="2"), [], id="none has both"),
    ],
)
def test_filters_take_what_agrees_in_all_of_them(
    log: AuditLog, wanted: Wanted, found: list[str | None]
) -> None:
    for component, call in (("a", "1"), ("b", "2")):
        log.append(Event.CALL_STARTED, component=component, call=call)
        log.append(Event.CALL_ENDED, component=component, call=call)
    log.append(Event.GRANT, component="a")
    assert calls(entries(log.directory, wanted)) == found


def test_since_takes_what_was_written_then_or_later(log: AuditLog) -> None:
    written = [log.append(Event.CALL_STARTED, call=str(number)) for number in range(9)]
    assert list(entries(log.directory, Wanted(since=written[4].time))) == written[4:]


def test_damaged_lines_are_told_once_and_passed_over(log: AuditLog) -> None:
    for number in range(4):
        log.append(Event.CALL_STARTED, call=str(number))
    file = log.directory / "audit-000001.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"call":"1"', b'"call":"7"')
    lines[2:2] = [b"x" * 100_000 + b"\n", b"\xff\n", b"\n", b'{"seq":' + b"[" * 9000 + b"\n"]
    file.write_bytes(b"".join(lines) + b"cut off")
    assert calls(entries(log.directory)) == [
        "0",
        *(f"damaged {line}" for line in (2, 3, 4, 5, 6)),
        "2",
        "3",
        "damaged 9",
    ]


# --- what comes -----------------------------------------------------------------------------


def following(
    log: AuditLog,
    steps: list[Callable[[], object]],
    wanted: Wanted = Wanted(),  # noqa: B008 - immutable
) -> list[str | None]:
    """What is found when a step is taken at each wait, until there are none."""
    left = iter(steps)

    def wait(_: float) -> None:
        step = next(left, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    found: list[Entry | Damaged] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(follow(log.directory, wanted, wait=wait))
    return calls(iter(found))


def start(log: AuditLog, first: int, last: int) -> Callable[[], object]:
    def append() -> None:
        for number in range(first, last + 1):
            log.append(Event.CALL_STARTED, call=str(number))

    return append


def test_following_tells_what_comes_and_nothing_twice(log: AuditLog) -> None:
    start(log, 1, 2)()
    steps = [start(log, 3, 4), lambda: None, start(log, 5, 5), lambda: None]
    assert following(log, steps) == ["3", "4", "5"]


def test_following_since_a_time_starts_with_what_is_there(log: AuditLog) -> None:
    start(log, 1, 2)()
    wanted = Wanted(since="2000-01-01T00:00:00.000000Z")
    assert following(log, [start(log, 3, 3)], wanted) == ["1", "2", "3"]


def test_following_goes_on_from_file_to_file(log: AuditLog) -> None:
    start(log, 1, 3)()
    steps = [start(log, first, first + 6) for first in range(4, 60, 7)]
    assert following(log, steps) == [str(number) for number in range(4, 60)]
    assert len(list(log.directory.glob("*.jsonl"))) > 5


def test_following_reads_a_file_to_its_end_though_the_log_removed_it(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", rotate_bytes=2000, keep_files=1)
    start(log, 1, 1)()
    wanted = Wanted(event=Event.CALL_STARTED)
    assert following(log, [start(log, 2, 8)], wanted)[:3] == ["2", "3", "4"]
    log.close()


def test_following_starts_before_there_is_a_log_and_survives_its_removal(log: AuditLog) -> None:
    def remove() -> None:
        for file in log.directory.iterdir():
            file.unlink()
        log.directory.rmdir()

    steps = [start(log, 1, 1), remove, start(log, 2, 2), start(log, 3, 3)]
    assert following(log, steps) == ["1", "2", "3"]


def test_following_waits_for_the_end_of_a_line_and_tells_damage(log: AuditLog) -> None:
    start(log, 1, 1)()
    file = log.directory / "audit-000001.jsonl"
    line = file.read_bytes()

    def add(data: bytes) -> Callable[[], object]:
        def append() -> None:
            with file.open("ab") as opened:
                opened.write(data)

        return append

    steps = [add(line[:50]), add(line[50:]), add(b"x" * 40_000), add(b"x\n"), add(line)]
    assert following(log, steps) == ["1", "damaged 3", "1"]


def test_following_tells_another_process_writes_within_its_interval(log: AuditLog) -> None:
    script = (
        "import pathlib, sys\n"
        "from wassette_supervisor.audit.log import AuditLog, Event\n"
        "AuditLog(pathlib.Path(sys.argv[1])).append(Event.LOAD, call='other')\n"
    )

    def other() -> None:
        subprocess.run([sys.executable, "-c", script, log.directory], check=True)  # noqa: S603 - this Python, our script

    start(log, 1, 1)()
    assert following(log, [other, start(log, 2, 2)]) == ["other", "2"]


def test_a_log_that_can_not_be_followed_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "audit").write_bytes(b"")
    with pytest.raises(AuditError, match="can't read the audit log") as error:
        next(follow(tmp_path / "audit"))
    assert "\n" not in str(error.value)


# --- points in time -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("1h", NOW - timedelta(hours=1)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T10:20", datetime(2026, 1, 30, 10, 20, tzinfo=UTC)),
        ("2026-01-30 10:20:30.5", datetime(2026, 1, 30, 10, 20, 30, 500_000, tzinfo=UTC)),
        ("2026-01-30T10:20Z", datetime(2026, 1, 30, 10, 20, tzinfo=UTC)),
        (
            "2026-01-30T10:20+01:00",
            datetime(2026, 1, 30, 10, 20, tzinfo=EARLIER),
        ),
    ],
)
def test_a_point_in_time_is_how_long_ago_or_a_date_or_a_time(written: str, time: datetime) -> None:
    assert when.since(written, NOW) == when.text_of(time)


@pytest.mark.parametrize(
    "written", ["", "1", "h", "-1h", "1y", "1h ", "yesterday", "2026-13-01", "999999w", "12:00"]
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="how long ago, as 30m, 1h or 7d, or a date"):
        when.since(written, NOW)
