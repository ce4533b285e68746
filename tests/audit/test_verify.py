from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wassette_supervisor.audit.entry import START, Event
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.audit.verify import verify
from wassette_supervisor.errors import AuditError

if TYPE_CHECKING:
    from wassette_supervisor.audit.verify import Problem, Verified

ENTRIES = 9
FIELDS = "seq time event call component digest client decision rule detail prev hash"


def write(directory: Path, count: int, *, rotate_bytes: int = 1 << 20, keep: int = 16) -> None:
    log = AuditLog(directory, rotate_bytes=rotate_bytes, keep_files=keep)
    for number in range(count):
        log.append(Event.CALL_STARTED, call=f"c{number}", detail={"tool": "add", "é": [1, None]})
    log.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("whole") / "audit"
    write(directory, ENTRIES)
    return (directory / "audit-000001.jsonl").read_bytes()


@pytest.fixture(scope="module")
def head(whole: bytes) -> bytes:
    last = json.loads(whole.splitlines()[-1])
    return f"{last['seq']:020} {last['hash']}\n".encode()


def checked(data: bytes, head: bytes | None) -> Verified:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "audit-000001.jsonl").write_bytes(data)
        if head is not None:
            Path(folder, "head").write_bytes(head)
        return verify(Path(folder))


def problems(directory: Path) -> list[str]:
    return [f"{file}:{line} {what}" for file, line, what in verify(directory).problems]


# --- the format -----------------------------------------------------------------------------


def test_anyone_can_check_the_chain_with_a_few_lines_of_their_own(whole: bytes) -> None:
    prev, seq = START, 0
    for line in whole.decode().splitlines():
        entry = json.loads(line)
        without_hash = re.sub(r',"hash":"[0-9a-f]{64}"}$', "}", line)
        assert entry["hash"] == hashlib.sha256(without_hash.encode()).hexdigest()
        assert (entry["seq"], entry["prev"]) == (seq + 1, prev)
        assert list(entry) == (
            [
                "seq",
                "time",
                "event",
                "call",
                "component",
                "digest",
                "client",
                "decision",
                "rule",
                "detail",
                "prev",
                "hash",
            ]
        )
        prev, seq = entry["hash"], entry["seq"]
    assert seq == ENTRIES


def test_a_log_that_was_left_alone_is_whole(whole: bytes, head: bytes) -> None:
    found = checked(whole, head)
    assert found.problems == []
    assert (found.entries, found.files) == (ENTRIES, 1)
    assert found.first is not None
    assert found.last is not None
    assert (found.first.seq, found.last.seq) == (1, ENTRIES)


def test_a_log_that_was_never_written_is_whole_and_is_not_made_by_looking(tmp_path: Path) -> None:
    found = verify(tmp_path / "audit")
    assert found == (0, 0, None, None, [])
    assert list(tmp_path.iterdir()) == []


# --- damage ---------------------------------------------------------------------------------


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_byte_that_is_changed_is_found(whole: bytes, head: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
    assert checked(changed, head).problems


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_any_byte_of_the_head_that_is_changed_is_found(
    whole: bytes, head: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(head) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != head[at]))
    assert checked(whole, head[:at] + bytes([byte]) + head[at + 1 :]).problems


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_run_of_bytes_that_is_cut_out_or_put_in_is_found(
    whole: bytes, head: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    assert checked(whole[:start] + whole[end:], head).problems
    put_in = data.draw(st.binary(min_size=1, max_size=40))
    assert checked(whole[:start] + put_in + whole[start:], head).problems


@given(st.integers(0, ENTRIES - 1))
@settings(deadline=None)
def test_a_dropped_line_is_found_and_named(whole: bytes, head: bytes, number: int) -> None:
    lines = whole.splitlines(keepends=True)
    del lines[number]
    (problem,) = checked(b"".join(lines), head).problems
    assert problem.what.startswith(f"entry {number + 1} is missing")
    assert (problem.file, problem.line) == (
        ("head", 0) if number == ENTRIES - 1 else ("audit-000001.jsonl", number + 1)
    )


@given(st.integers(0, ENTRIES - 1), st.integers(0, ENTRIES))
@settings(deadline=None)
def test_a_line_that_stands_twice_is_found(
    whole: bytes, head: bytes, number: int, place: int
) -> None:
    lines = whole.splitlines(keepends=True)
    lines.insert(place, lines[number])
    assert any("out of order, or twice" in what for *_, what in problems_of(lines, head))


@given(st.integers(0, ENTRIES - 1), st.integers(0, ENTRIES - 1))
@settings(deadline=None)
def test_swapped_lines_are_found(whole: bytes, head: bytes, one: int, other: int) -> None:
    lines = whole.splitlines(keepends=True)
    lines[one], lines[other] = lines[other], lines[one]
    assert bool(problems_of(lines, head)) == (one != other)


def problems_of(lines: list[bytes], head: bytes) -> list[Problem]:
    return checked(b"".join(lines), head).problems


def test_a_changed_word_is_reported_once_with_its_line(whole: bytes, head: bytes) -> None:
    (problem,) = checked(whole.replace(b'"call":"c3"', b'"call":"c7"'), head).problems
    assert problem == ("audit-000001.jsonl", 4, "it was changed: its hash is another one")


def test_without_its_head_a_log_does_not_pass_for_whole(whole: bytes) -> None:
    for damaged, state in ((None, "missing"), (b"", "damaged"), (b"x", "damaged")):
        (problem,) = checked(whole, damaged).problems
        assert problem.what.startswith(f"it is {state}: whether entries are missing at the end")


def test_a_writer_killed_at_the_very_first_entry_leaves_a_whole_log(whole: bytes) -> None:
    assert checked(whole.splitlines(keepends=True)[0], b"").problems == []


def test_a_line_with_a_right_hash_but_a_second_spelling_is_no_entry(
    whole: bytes, head: bytes
) -> None:
    first, rest = whole.split(b"\n", 1)
    body = first[: first.index(b',"hash"')].replace(b'{"seq":1', b'{"seq":9,"seq":1') + b"}"
    digest = hashlib.sha256(body).hexdigest().encode()
    line = body[:-1] + b',"hash":"' + digest + b'"}\n'
    assert checked(line + rest, head).problems[0].what == "it is not written as an entry is"


def test_what_is_reported_of_a_log_full_of_damage_is_bounded(head: bytes) -> None:
    found = checked(b"x\n" * 5000 + b"y" * 5_000_000, head)
    assert len(found.problems) == 1001
    assert found.problems[-1].what.endswith(" more problems")


# --- several files --------------------------------------------------------------------------


@pytest.fixture
def rotated(tmp_path: Path) -> Path:
    write(tmp_path / "audit", 40, rotate_bytes=2000)
    assert len(list((tmp_path / "audit").glob("*.jsonl"))) > 5
    return tmp_path / "audit"


def test_the_chain_runs_through_all_files(rotated: Path) -> None:
    found = verify(rotated)
    assert (found.entries, found.problems) == (40, [])


@pytest.mark.parametrize("which", [0, 1, 3, -2, -1])
def test_a_missing_file_is_found(rotated: Path, which: int) -> None:
    sorted(rotated.glob("*.jsonl"))[which].unlink()
    (problem,) = problems(rotated)
    assert " missing " in problem


def test_files_that_changed_places_are_found(rotated: Path) -> None:
    one, other = rotated / "audit-000002.jsonl", rotated / "audit-000003.jsonl"
    (rotated / "between").write_bytes(one.read_bytes())
    other.rename(one)
    (rotated / "between").rename(other)
    assert any("out of order" in problem for problem in problems(rotated))


def test_the_loss_of_every_file_is_found_by_the_head(rotated: Path) -> None:
    for file in rotated.glob("*.jsonl"):
        file.unlink()
    assert problems(rotated) == ["head:0 entries 1 to 40 are missing at the end of the log"]


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_oldest_files_that_the_log_removed_itself_are_not_missing(
    tmp_path: Path, keep: int
) -> None:
    write(tmp_path, 60, rotate_bytes=2000, keep=keep)
    assert len(list(tmp_path.glob("*.jsonl"))) == keep
    found = verify(tmp_path)
    assert found.problems == []
    assert found.first is not None
    assert found.first.seq > 1


@pytest.mark.parametrize("keep", [2, 5])
def test_one_more_that_somebody_else_removed_is(tmp_path: Path, keep: int) -> None:
    write(tmp_path, 60, rotate_bytes=2000, keep=keep)
    min(tmp_path.glob("*.jsonl")).unlink()
    (problem,) = problems(tmp_path)
    assert problem.endswith("are missing before this one, and the log did not remove them")


def test_a_log_that_keeps_fewer_files_from_now_on_removes_them_one_after_the_other(
    rotated: Path,
) -> None:
    write(rotated, 10, rotate_bytes=2000, keep=2)
    assert len(list(rotated.glob("*.jsonl"))) == 2
    assert problems(rotated) == []


# --- a system that refuses ------------------------------------------------------------------


def test_what_is_no_folder_or_no_file_of_ours_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    write(tmp_path / "audit", 1)
    (tmp_path / "link").symlink_to("audit")
    (tmp_path / "odd" / "audit-000001.jsonl").mkdir(parents=True)
    for name in ("file", "link", "odd"):
        with pytest.raises(AuditError, match=f"can't read the audit log .*/{name}: ") as error:
            verify(tmp_path / name)
        assert "\n" not in str(error.value)
