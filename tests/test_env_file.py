from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.errors import UsageError
from wassette_supervisor.settings import env_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vars"


def refusal(file: Path) -> str:
    with pytest.raises(UsageError) as caught:
        env_file.read(file)
    text = str(caught.value)
    assert "\n" not in text
    assert "hunter2" not in text
    return text


def test_lines_are_variables_comments_or_empty(file: Path) -> None:
    file.write_bytes(
        b"# comment\n\n \t\nA=1\r\n  B=two  \nexport C=3\nexport \t D='4 #$\\`\" '\nE=\"f # ' g\"\n"
        b"F=\nG=''\nH=a#b=c:/d?e&f\nexported=1\nI=\xc3\xbc\n_9z='\t'"
    )
    assert env_file.read(file) == {
        "A": "1",
        "B": "two",
        "C": "3",
        "D": '4 #$\\`" ',
        "E": "f # ' g",
        "F": "",
        "G": "",
        "H": "a#b=c:/d?e&f",
        "exported": "1",
        "I": "ü",
        "_9z": "\t",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("hunter2", "should be KEY=VALUE", id="no equals sign"),
        pytest.param("export hunter2", "should be KEY=VALUE", id="export without a value"),
        pytest.param("9hunter2=1", "before = should be a key", id="digit first"),
        pytest.param("hunter2://x?a=1", "before = should be a key", id="an address"),
        pytest.param("A =hunter2", "before = should be a key", id="space before ="),
        pytest.param("=hunter2", "before = should be a key", id="no key"),
        pytest.param("\ufeffA=hunter2", "before = should be a key", id="byte order mark"),
        pytest.param("é=hunter2", "before = should be a key", id="not ASCII"),
        pytest.param("A= hunter2", "value of A", id="space after ="),
        pytest.param("A=hunter2 # comment", "value of A", id="comment behind"),
        pytest.param("A=#hunter2", "value of A", id="comment at once"),
        pytest.param("A=hunter2 x", "value of A", id="two words"),
        pytest.param("A=$hunter2", "value of A", id="dollar"),
        pytest.param('A="$hunter2"', "value of A", id="dollar in double quotes"),
        pytest.param('A="hunter2\\n"', "value of A", id="escape in double quotes"),
        pytest.param("A=hunter2\\n", "value of A", id="escape"),
        pytest.param("A=`hunter2`", "value of A", id="backtick"),
        pytest.param("A='hunter2", "value of A", id="quote left open"),
        pytest.param("A='hunter2' x", "value of A", id="something behind the quote"),
        pytest.param("A='hunter2''x'", "value of A", id="two quotes"),
        pytest.param("A=hun'ter2'", "value of A", id="quote inside"),
        pytest.param("A=hunter2\x1b", "value of A", id="control character"),
        pytest.param("A='hunter2\x00'", "value of A", id="zero byte"),
        pytest.param("A='hunter2\x7f'", "value of A", id="delete"),
        pytest.param("A=hunter2\u2028", "value of A", id="line separator"),
        pytest.param("A=a\rB=hunter2", "value of A", id="carriage return alone"),
        pytest.param("OK=2", "OK is there twice", id="twice"),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused_with_its_line(
    file: Path, line: str, said: str
) -> None:
    file.write_bytes(f"# first\nOK=1\n{line}\nZ=2".encode())
    assert said in refusal(file)
    assert refusal(file).startswith(f"line 3 of {file}: ")


def test_a_file_is_bounded_and_has_to_be_there_as_text(file: Path, tmp_path: Path) -> None:
    assert refusal(file).startswith(f"{file}: can't be read (No such file or directory); ")
    assert refusal(tmp_path).startswith(f"{tmp_path}: can't be read (Is a directory); ")
    file.write_bytes(b"A=1\nB=\xff")
    assert refusal(file) == f"{file}: not UTF-8 at byte 6; save it as that"
    file.write_bytes(b"#" * env_file.MAX_BYTES)
    assert env_file.read(file) == {}
    file.write_bytes(b"#" * (env_file.MAX_BYTES + 1))
    assert refusal(file).startswith(f"{file}: more than 1 MiB; ")
    assert refusal(type(file)("/dev/zero")).startswith("/dev/zero: more than 1 MiB; ")


def test_a_pipe_can_be_read_as_a_file(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"):
        with os.fdopen(writer, "wb") as ours:
            ours.write(b"A=1")
        assert env_file.read(tmp_path.__class__(f"/dev/fd/{reader}")) == {"A": "1"}


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_line_that_is_read_means_to_a_shell_what_it_means_to_us(text: str) -> None:
    try:
        entry = env_file._entry(f"A={text}")
    except ValueError:
        return
    assert entry is not None
    assert shlex.split(text.strip(" \t\r") or "''") == [entry[1]]


def test_values_mean_to_a_real_shell_what_they_mean_to_us(file: Path) -> None:
    file.write_text("A=b#c=d\nexport B='$A \\ ` \" #'\nC=\"x ' y # z\"\nD=~x\nE=*?[a]{b,c}\n")
    ours = env_file.read(file)
    script = '. "$1"; printf "%s\\n" "$A" "$B" "$C" "$D" "$E"'
    done = subprocess.run(  # noqa: S603 - our own script
        ["sh", "-c", script, "sh", file],  # noqa: S607 - the system's own shell
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert done.stdout.splitlines() == [ours[key] for key in "ABCDE"]
