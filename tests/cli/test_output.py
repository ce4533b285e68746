"""What commands print: it fits, means what it says, and drives no terminal."""

from __future__ import annotations

import argparse
import errno
import json
import os
import pty
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import served
from wassette_supervisor.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a terminal may obey, or what may make a line look like another one.
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\rgone\x08\x00" + BIDIRECTIONAL + "\U000e0041\ufeff"
BOLD = b"\x1b[1m"


def harmless(text: str) -> bool:
    # White space at the end of a line is a line feed.
    return all(line.isprintable() for line in text.split("\n"))


# --- tables ---------------------------------------------------------------------------------


@pytest.fixture
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("_eighty_columns")
def test_a_table_fits_80_columns_and_cuts_its_widest_column() -> None:
    shown = output.table(("id", "description"), [("one", "x" * 200), ("two", "short")])
    lines = shown.splitlines()
    assert max(map(len, lines)) == 80
    assert lines[1].endswith("…")
    assert lines[2] == "two  short"


def test_a_table_of_nothing_is_its_headings() -> None:
    assert output.table(("id", "state"), []) == "ID  STATE\n"


def test_a_table_has_one_line_a_row_and_no_control_characters() -> None:
    shown = output.table(("id",), [("a\nb\x1b[31m\u202e",), (HOSTILE,)])
    assert len(shown.splitlines()) == 3
    assert harmless(shown)


def test_a_table_is_as_wide_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "3000")
    assert output.table(("id", "description"), [("one", "x" * 150)]).endswith("x" * 150 + "\n")


@pytest.mark.usefixtures("_eighty_columns")
def test_ideographs_have_two_columns_and_accents_none() -> None:
    shown = output.table(("a", "b"), [("日本", "x"), ("e\u0301", "y")]).splitlines()
    assert shown[1:] == ["日本  x", "e\u0301     y"]
    wide = output.table(("a",), [("日" * 60,)]).splitlines()[1]
    assert wide == "日" * 39 + "…"  # 79 columns


@pytest.mark.usefixtures("_eighty_columns")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a constant
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_a_table_of_any_text_has_a_line_a_row_within_80_columns(
    rows: list[tuple[str, str, str]],
) -> None:
    shown = output.table(("a", "b", "c"), rows)
    assert shown.count("\n") == len(rows) + 1
    assert harmless(shown)
    assert all(output._width(line) <= 80 for line in shown.split("\n"))


# --- JSON, YAML and lines -------------------------------------------------------------------


def test_json_of_a_guest_is_the_same_value_without_what_a_terminal_obeys() -> None:
    value = {"result": "\x1b[31m\x9b31m\u202e\U000e0041 ü € 😀\x7f\n"}
    shown = output.json_line(value)
    assert json.loads(shown) == value
    assert shown.isprintable()
    assert "ü € 😀" in shown


def test_every_control_and_bidirectional_character_is_taken_out_of_a_line() -> None:
    controls = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) == "Cc"]
    for character in [*controls, *BIDIRECTIONAL, "\u2028", "\u2029"]:
        kept = "\t" if character == "\t" else "\n" if character == "\n" else " "
        assert output.visible(character) == kept
        assert output.json_line(character).isprintable()


@pytest.mark.parametrize("form", ["json", "yaml", "table"])
def test_hostile_text_is_harmless_in_every_format_and_whole_in_two(
    capsysbinary: pytest.CaptureFixture[bytes], form: str
) -> None:
    data = {"id": "a", "description": HOSTILE}
    options = argparse.Namespace(output=form)
    output.emit(options, data, ("id", "description"), [("a", HOSTILE)])
    text = capsysbinary.readouterr().out.decode()
    assert harmless(text)
    match form:
        case "json":
            assert json.loads(text) == data
        case "yaml":
            assert yaml.safe_load(text) == data


def test_a_lone_surrogate_is_printed_as_an_escape(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    output.write("\ud800")
    assert capsysbinary.readouterr().out == b"\\ud800"


def test_an_error_and_a_warning_are_one_harmless_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.complain(f"first\nsecond {HOSTILE}")
    output.warn("it is seen")
    said = capsys.readouterr().err
    assert said.startswith("wassette-supervisor: first second ")
    assert said.endswith("\nwassette-supervisor: warning: it is seen\n")
    assert said.count("\n") == 2
    assert harmless(said)


# --- at a terminal --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "bold"),
    [
        pytest.param({"TERM": "xterm"}, True, id="a terminal"),
        pytest.param({"TERM": "xterm", "NO_COLOR": ""}, True, id="NO_COLOR empty"),
        pytest.param({"TERM": "xterm", "NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param({"TERM": "dumb"}, False, id="a dumb terminal"),
        pytest.param({}, False, id="a terminal without a name"),
    ],
)
def test_a_terminal_gets_a_table_and_bold_headings_unless_it_does_not_want_them(
    tmp_path: Path, environ: dict[str, str], *, bold: bool
) -> None:
    seen = b"".join(at_a_terminal(tmp_path, environ, "settings"))
    assert b"SETTING  " in seen
    assert (BOLD in seen) is bold
    assert bold or b"\x1b" not in seen


def at_a_terminal(home: Path, environ: dict[str, str], *words: str) -> Iterator[bytes]:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [served.COMMAND, *words],
            env={"HOME": str(home), "PATH": os.environ["PATH"]} | environ,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        with process:
            yield from iter(lambda: _read(ours), b"")
    finally:
        os.close(ours)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError as error:
        if error.errno != errno.EIO:  # how Linux says that nobody has the other end any more
            raise
        return b""


@pytest.mark.parametrize("words", ["component list", "settings -o table", "--help", "--version"])
def test_a_full_disk_under_the_output_is_one_line_and_a_failure(tmp_path: Path, words: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - it takes no byte
        done = _printing_to(tmp_path, words, full.fileno())
    assert done.returncode == 1
    assert done.stderr.decode().startswith(
        "wassette-supervisor: standard output can't be written: No space left on device; "
    )
    assert done.stderr.count(b"\n") == 1


def test_a_closed_output_is_one_line_and_a_failure(tmp_path: Path) -> None:
    script = f"{served.COMMAND} component list --component-dir {tmp_path / 'store'} >&-"
    done = subprocess.run(  # noqa: S602 - a shell closes it as a person would
        script, shell=True, env=served.environment(), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"standard output is closed" in done.stderr
    assert done.stderr.count(b"\n") == 1


def _printing_to(place: Path, words: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own command
        [served.COMMAND, *words.split(), "--component-dir", place / "store"],
        env=served.environment(),
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
