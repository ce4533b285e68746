"""Where there is no Linux: one clear line; policies are checked and components described."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support import elsewhere, served
from support.commands import refused
from support.guests import guest_path

POLICY = Path(__file__).parents[2] / "examples/policies/limits-and-time-zone.yaml"
SYSTEMS = pytest.mark.parametrize("system", ["win32", "darwin"])
WITHOUT_A_SANDBOX = ("--sandbox", "available")
WARNING = "compiled without the lock-down of Linux"


def on(
    system: str, *words: str | Path, interpreter: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    chosen = {"INTERPRETER": str(interpreter)} if interpreter else {}
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, elsewhere.__file__, system, *words],
        env={**served.environment(), **chosen},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def inspected(folder: Path, system: str, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    interpreter = elsewhere.executable(folder, system)
    return on(system, "inspect", *words, "--component-dir", folder, interpreter=interpreter)


@pytest.mark.parametrize(
    "words", ["", "run", "component list", "tool invoke add", "policy check greeter", "doctor"]
)
def test_what_needs_linux_says_so_in_one_line(words: str) -> None:
    refused(on("win32", *words.split()), "on Linux only, and this is win32", "WSL 2")


@SYSTEMS
def test_a_policy_is_checked(system: str, tmp_path: Path) -> None:
    done = on(system, "policy", "check", POLICY)
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)
    assert answer["status"] == "enforceable"
    assert "variable TZ, with a value of its own" in [each["right"] for each in answer["changes"]]
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 2")
    refused(on(system, "policy", "check", bad), "bad.yaml: line 1", 'write version: "1.0"')


def test_what_is_checked_there_is_printed_as_here(tmp_path: Path) -> None:
    here = served.operate(tmp_path / "store", "policy", "check", POLICY)
    assert json.loads(on("win32", "policy", "check", POLICY).stdout) == json.loads(here.stdout)


@SYSTEMS
def test_a_file_is_compiled_only_by_somebody_who_does_without_a_sandbox(
    system: str, tmp_path: Path
) -> None:
    # Were it compiled all the same, this interpreter would leave a mark.
    mark, interpreter = tmp_path / "compiled", tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\n: > "{mark}"\n')
    interpreter.chmod(0o755)
    words = ("inspect", guest_path("add"), "--component-dir", tmp_path)
    refused(on(system, *words, interpreter=interpreter), "--sandbox available", system, "WSL 2")
    assert not mark.exists()
    on(system, *words, *WITHOUT_A_SANDBOX, interpreter=interpreter)
    assert mark.exists()


@SYSTEMS
@pytest.mark.parametrize("guest", ["add", "resource"])
def test_a_file_is_described_there_as_here_and_the_answer_says_without_what(
    system: str, guest: str, tmp_path: Path
) -> None:
    file = guest_path(guest)
    done = inspected(tmp_path, system, file, *WITHOUT_A_SANDBOX)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert WARNING in done.stderr.decode()
    there = json.loads(done.stdout)
    here = json.loads(served.operate(tmp_path / "store", "inspect", file).stdout)
    assert (there.pop("unconfined"), here.pop("unconfined")) == (True, False)
    assert there == here
    table = inspected(tmp_path, system, file, *WITHOUT_A_SANDBOX, "-o", "table")
    assert "without the lock-down of Linux" in table.stdout.decode()


@SYSTEMS
def test_a_component_of_a_store_is_described_without_any_process(
    system: str, tmp_path: Path
) -> None:
    store = served.make_store(tmp_path / "store", ["add"])
    here = served.operate(store, "inspect", "add")
    nobody = tmp_path / "no-interpreter"
    there = on(system, "inspect", "add", "--component-dir", store, interpreter=nobody)
    assert (there.returncode, there.stderr) == (0, b"")
    assert there.stdout == here.stdout
    record = store / "components/add.json"
    record.write_bytes(record.read_bytes().replace(b'"add"', b'"bad"'))
    damaged = on(system, "inspect", "add", "--component-dir", store)
    refused(damaged, "the record of 'add' is damaged", "on Linux")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"MZ\x90", "starts with \\0asm"),
        (b"\0asm\x01\0\0\0", "wasm-tools component new"),
        (b"\0asm\x0d\0\x01\0\xff\xff\xff", "not a valid component"),
        (b"\0asm\x0d\0\x01\0", "exports no function"),
    ],
    ids=["empty", "another format", "core module", "broken", "without exports"],
)
def test_what_is_no_component_is_refused_there(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.wasm"
    file.write_bytes(content)
    done = inspected(tmp_path, "win32", file, *WITHOUT_A_SANDBOX)
    warning, error = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    assert WARNING in warning
    assert said in error


@pytest.mark.parametrize("name", ["a.wasm", ".", "greeter", "https://example.com/a.wasm"])
def test_what_is_no_file_there_is_refused_before_anything_is_started(
    name: str, tmp_path: Path
) -> None:
    refused(inspected(tmp_path, "win32", name, *WITHOUT_A_SANDBOX), name, "give")
