from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from wassette_supervisor.audit.entry import MAX_LINE_BYTES, Entry, Event
from wassette_supervisor.audit.log import MAX_DETAIL_BYTES, AuditLog
from wassette_supervisor.audit.reading import entries
from wassette_supervisor.audit.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wassette_supervisor.errors import AuditError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def log(directory: Path) -> Iterator[AuditLog]:
    made = AuditLog(directory)
    yield made
    made.close()


def first_file(directory: Path) -> Path:
    return directory / "audit-000001.jsonl"


def found_in(directory: Path) -> list[Entry]:
    """All entries of a whole log."""
    assert verify(directory).problems == []
    found = list(entries(directory))
    return [entry for entry in found if isinstance(entry, Entry)]


def refusal(error: pytest.ExceptionInfo[AuditError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# --- what is written ------------------------------------------------------------------------


def test_an_entry_is_one_line_with_every_field(log: AuditLog, directory: Path) -> None:
    log.append(Event.SERVER_START)
    log.append(
        Event.CALL_ENDED,
        call="c1",
        component="weather",
        digest="0" * 64,
        client="claude",
        decision="denied",
        rule="storage.deny.1",
        detail={"cause": "fuel", "usage": {"fuel": 5}},
    )
    _, line = first_file(directory).read_text().splitlines()
    written = json.loads(line)
    assert written.pop("time").endswith("Z")
    assert len(written.pop("hash")) == len(written.pop("prev")) == 64
    assert written == {
        "seq": 2,
        "event": "call-ended",
        "call": "c1",
        "component": "weather",
        "digest": "0" * 64,
        "client": "claude",
        "decision": "denied",
        "rule": "storage.deny.1",
        "detail": {"cause": "fuel", "usage": {"fuel": 5}},
    }


def test_what_append_returns_is_what_was_written(log: AuditLog, directory: Path) -> None:
    returned = [log.append(event, call="c") for event in Event]
    assert found_in(directory) == returned


def test_everything_is_for_its_user_alone(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "store" / "audit"
    directory.parent.mkdir(parents=True)
    directory.mkdir(mode=0o755)
    (tmp_path / "deep").chmod(0o755)
    umask = os.umask(0)
    try:
        for folder in (directory, tmp_path / "other" / "store" / "audit"):
            log = AuditLog(folder)
            log.append(Event.LOAD)
            log.close()
            assert folder.stat().st_mode & 0o777 == 0o700
            assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    finally:
        os.umask(umask)
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o755


HOSTILE = [
    pytest.param("a\nb\r\n\u2028c\u2029d\x85e\x0bf", id="line breaks"),
    pytest.param("\x00\x1b[2J\x7f\x9b", id="controls"),
    pytest.param("\u202eevil\u2066\u200f\U000e0041", id="bidirectional marks and tags"),
    pytest.param("x" * (1 << 20), id="a megabyte"),
    pytest.param('"},\\"' * 1000, id="what JSON escapes"),
    pytest.param("\ud800\udfff\ud800", id="lone surrogates"),
    pytest.param("🦀" * 1000, id="four bytes each"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_one_bounded_line(log: AuditLog, directory: Path, text: str) -> None:
    log.append(
        Event.REFUSAL,
        call=text,
        component=text,
        digest=text,
        client=text,
        rule=text,
        detail={text: text, "list": [text] * 1000, "object": {text + "2": {text: [text]}}},
    )
    (line,) = first_file(directory).read_bytes().splitlines(keepends=True)
    assert len(line) < MAX_LINE_BYTES
    shown = line.decode()
    assert len(shown.splitlines()) == 1
    assert shown.rstrip("\n").isprintable()
    (entry,) = found_in(directory)
    assert len(msgspec.json.encode(entry.detail)) <= MAX_DETAIL_BYTES


# --- carrying on ----------------------------------------------------------------------------


def test_the_chain_is_carried_on_by_another_process_and_by_a_log_that_was_closed(
    log: AuditLog, directory: Path
) -> None:
    one = log.append(Event.LOAD)
    log.close()
    two = log.append(Event.UNLOAD)
    other = AuditLog(directory)
    three = other.append(Event.LOAD)
    other.close()
    four = log.append(Event.UNLOAD)
    assert [two.prev, three.prev, four.prev] == [one.hash, two.hash, three.hash]
    assert [entry.seq for entry in found_in(directory)] == [1, 2, 3, 4]


@pytest.mark.parametrize("size", [1, 100, 300])
def test_a_line_that_a_crash_cut_off_is_closed_off_and_accounted_for(
    log: AuditLog, directory: Path, size: int
) -> None:
    whole = log.append(Event.LOAD, component="weather")
    log.close()
    with first_file(directory).open("ab") as file:
        file.write((b'{"seq":2,"time":"' + b"x" * 300)[:size])
    (problem,) = verify(directory).problems
    assert problem.what == "it is cut off: a write that did not come to its end"
    log.append(Event.UNLOAD)
    _, resumed, _ = kept = found_in(directory)
    assert [entry.event for entry in kept] == ["load", "resume", "unload"]
    assert resumed.prev == whole.hash
    assert resumed.detail is not None
    assert resumed.detail["left"]["bytes"] == size


def test_a_crash_while_closing_off_is_closed_off_as_well(log: AuditLog, directory: Path) -> None:
    log.append(Event.LOAD)
    for torn in (b'{"seq":2', b'\n{"seq":2,"ti', b"\n"):
        log.close()
        with first_file(directory).open("ab") as file:
            file.write(torn)
    log.append(Event.LOAD)
    assert [entry.event for entry in found_in(directory)] == ["load", "resume", "load"]


def test_what_closes_a_line_off_accounts_for_no_other_bytes(log: AuditLog, directory: Path) -> None:
    log.append(Event.LOAD)
    with first_file(directory).open("ab") as file:
        file.write(b"torn")
    log.append(Event.LOAD)
    data = first_file(directory).read_bytes()
    for other in (b"torn", b"tarn", b"torn\n", b"torn\nmore"):
        first_file(directory).write_bytes(data.replace(b"torn\n", other + b"\n"))
        assert bool(verify(directory).problems) == (other != b"torn")


def test_a_log_cut_at_its_end_is_never_mended_by_going_on(log: AuditLog, directory: Path) -> None:
    written = [log.append(Event.LOAD) for _ in range(5)]
    lines = first_file(directory).read_bytes().splitlines(keepends=True)
    first_file(directory).write_bytes(b"".join(lines[:2]))
    after = log.append(Event.UNLOAD)
    assert after.seq == 7
    kept = [entry for entry in entries(directory) if isinstance(entry, Entry)]
    assert [entry.seq for entry in kept] == [1, 2, 6, 7]
    assert (kept[2].event, kept[2].prev) == (Event.RESUME, written[-1].hash)
    (problem,) = verify(directory).problems
    assert problem == ("audit-000001.jsonl", 3, "entries 3 to 5 are missing before this one")


def test_a_last_entry_that_was_changed_is_never_mended_by_going_on(
    log: AuditLog, directory: Path
) -> None:
    for component in ("a", "b"):
        log.append(Event.LOAD, component=component)
    log.close()
    changed = first_file(directory).read_bytes().replace(b'"component":"b"', b'"component":"c"')
    first_file(directory).write_bytes(changed)
    log.append(Event.UNLOAD)
    assert [problem[:2] for problem in verify(directory).problems] == [("audit-000001.jsonl", 3)]


@pytest.mark.parametrize(
    "head",
    [None, b"", b"x", b"9" * 85 + b"\n"],
    ids=["missing", "empty", "one byte", "too large a number"],
)
def test_a_damaged_head_is_recorded_and_stops_nothing(
    log: AuditLog, directory: Path, head: bytes | None
) -> None:
    for _ in range(3):
        log.append(Event.LOAD)
    if head is None:
        (directory / "head").unlink()
    else:
        (directory / "head").write_bytes(head)
    assert len(verify(directory).problems) == 1
    log.append(Event.UNLOAD)
    assert [entry.event for entry in found_in(directory)][-2:] == ["resume", "unload"]


def test_a_file_full_of_garbage_stops_nothing(log: AuditLog, directory: Path) -> None:
    log.append(Event.LOAD)
    first_file(directory).write_bytes(b"\xff" * 100_000 + b"\n" + b"{}\n" * 1000)
    assert log.append(Event.UNLOAD).seq == 3
    assert len([each for each in entries(directory) if isinstance(each, Entry)]) == 2
    assert verify(directory).problems


def test_a_folder_or_file_that_is_moved_away_under_a_running_log_is_made_again(
    log: AuditLog, directory: Path
) -> None:
    log.append(Event.LOAD)
    directory.rename(directory.with_name("moved"))
    assert log.append(Event.UNLOAD).seq == 1
    assert len(found_in(directory)) == 1
    first_file(directory).rename(directory / "away")
    assert log.append(Event.UNLOAD).seq == 3
    assert len(list(entries(directory))) == 2


def test_a_rotation_carries_the_chain_on_and_keeps_so_many_files(directory: Path) -> None:
    log = AuditLog(directory, rotate_bytes=2000, keep_files=3)
    appended = [log.append(Event.CALL_STARTED, call=str(number)) for number in range(50)]
    log.close()
    files = sorted(directory.glob("*.jsonl"))
    assert len(files) == 3
    assert all(file.stat().st_size <= 2500 for file in files)
    kept = found_in(directory)
    assert kept[-1] == appended[-1]
    assert [entry.seq for entry in kept] == list(range(kept[0].seq, appended[-1].seq + 1))
    assert any(entry.event is Event.PRUNE for entry in kept)


def test_an_entry_longer_than_a_file_may_be_has_a_file_of_its_own(directory: Path) -> None:
    log = AuditLog(directory, rotate_bytes=1)
    for _ in range(5):
        log.append(Event.LOAD)
    log.close()
    assert len(list(directory.glob("*.jsonl"))) == len(found_in(directory)) == 5


def test_an_empty_file_that_a_crash_left_in_a_rotation_is_used(
    log: AuditLog, directory: Path
) -> None:
    log.append(Event.LOAD)
    log.close()
    (directory / "audit-000002.jsonl").touch(0o600)
    log.append(Event.UNLOAD)
    assert [entry.event for entry in found_in(directory)] == ["load", "unload"]
    assert (directory / "audit-000002.jsonl").stat().st_size
