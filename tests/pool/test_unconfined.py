"""The plain process that describes a component where there is no Linux, honest and otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.guests import guest_bytes
from wassette_protocol.codec import encode_frame
from wassette_protocol.frames import Compiled, CompileFailed, Progress
from wassette_supervisor.errors import LoadError
from wassette_supervisor.pool import unconfined

ANSWER = encode_frame(Compiled(0, [], [], []))
READ = "sys.stdin.buffer.read()\n"


def saying(told: bytes) -> str:
    return f"{READ}sys.stdout.buffer.write({told!r}); sys.stdout.buffer.flush()\n"


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs in the interpreter's place; to be written."""
    program = tmp_path / "python"
    program.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def write(program: Path, text: str) -> None:
    program.write_text(f"#!{sys.base_prefix}/bin/python3 -I\nimport os, sys, time\n{text}")


def test_a_component_is_described_and_nothing_of_it_is_linked_or_run() -> None:
    described = unconfined.describe(guest_bytes("unknown_import"))
    assert [tool.export.function for tool in described.tools] == ["reveal"]
    assert described.imports == ["acme:secret/store"]


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (f"{READ}os._exit(3)", "ended early, with status 3"),
        ("os._exit(0)", "ended early, with status 0"),
        (f"{READ}os.abort()", "ended early, with status -6"),
        (saying(ANSWER[:-1]), "ended early"),
        (saying(b"\xff" * 100), "frame of 4294967295 bytes"),
        (saying(b"\0\0\0\x01\x00"), "not a frame of this direction"),
        (saying(ANSWER * 2), "Compiled while done"),
        (saying(ANSWER + b"\0"), "end of file inside a frame"),
        (saying(encode_frame(Progress("compiling"))), "Progress while starting"),
        (saying(encode_frame(CompileFailed("a\nb\x1b[m"))), "a b [m"),
    ],
    ids=[
        "exits", "reads nothing", "aborts", "half a frame", "a long one", "no frame", "twice",
        "something after it", "out of turn", "words for a terminal",
    ],
)  # fmt: skip
def test_whatever_it_does_else_is_an_error_of_one_line(instead: Path, does: str, said: str) -> None:
    write(instead, does)
    with pytest.raises(LoadError) as caught:
        unconfined.describe(b"\0" * (1 << 20))  # more than a pipe holds
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "does", ["time.sleep(600)", f"{READ}time.sleep(600)"], ids=["reads nothing", "says nothing"]
)
def test_its_time_is_limited(instead: Path, does: str) -> None:
    write(instead, does)
    with pytest.raises(LoadError, match="took more than 1 s"):
        unconfined.describe(b"\0" * (1 << 20), within_s=1)


def test_one_that_does_not_end_is_ended(instead: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    write(instead, f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n{saying(ANSWER)}")
    with instead.open("a") as program:
        program.write("time.sleep(600)\n")
    unconfined.describe(b"\0", within_s=1)
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_it_sees_no_variable_of_its_parent(
    instead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    seen = tmp_path / "seen"
    write(instead, f"{READ}open({str(seen)!r}, 'w').write(repr(os.environ))")
    with pytest.raises(LoadError):
        unconfined.describe(b"")
    assert "LC_CTYPE" in seen.read_text() or "environ({})" in seen.read_text()
    assert "TOKEN" not in seen.read_text()
    assert "PATH" not in seen.read_text()


def test_an_interpreter_that_is_not_there_is_an_error_of_one_line(instead: Path) -> None:
    instead.unlink()
    with pytest.raises(LoadError, match="no process can be started for it: No such file"):
        unconfined.describe(b"")
