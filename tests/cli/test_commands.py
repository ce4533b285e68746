"""Bad input through the command line: one line, status 1, and nothing of it is kept."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import shlex
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
from wasmtime import wat2wasm

from support import guests, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Done = subprocess.CompletedProcess[bytes]

MIB = 1 << 20
CORE_MODULE = '(module (func (export "f")))'
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
LOOPS_S = 30


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "component.wasm"


def refused(done: Done, *said: str) -> None:
    """A failure as a person wants it: one line that says what is wrong."""
    text = done.stderr.decode()
    assert done.returncode == 1, text
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1, text
    assert "Traceback" not in text
    assert "internal error" not in text
    for words in said:
        assert words in text
    assert done.stdout == b""


def kept(store: Path) -> list[Path]:
    """The files of a store, but for its lock and the record of the refusal."""
    found = store.rglob("*") if store.is_dir() else iter(())
    return [
        path
        for path in found
        if not path.is_dir() and path.name != "lock" and path.parent != store / "audit"
    ]


def load(store: Path, file: Path, *options: str) -> Done:
    return served.operate(store, "component", "load", file, *options)


def answered(done: Done) -> Any:
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return json.loads(done.stdout)


# --- files that are no component ------------------------------------------------------------


def whole() -> bytes:
    return guests.guest_bytes("ctiny")


BAD_FILES: list[Any] = [
    pytest.param(lambda: b"#!/bin/sh\nexit\n", ["WebAssembly"], id="not WebAssembly"),
    pytest.param(lambda: bytes(wat2wasm(CORE_MODULE)), ["module"], id="a core module"),
    pytest.param(lambda: whole()[: len(whole()) // 2], ["component"], id="truncated"),
    pytest.param(lambda: whole()[:8], ["function"], id="nothing but the first eight bytes"),
    pytest.param(lambda: whole()[:-1], ["component"], id="without its last byte"),
    pytest.param(lambda: whole() + b"\x0b", ["component"], id="with a byte too many"),
    pytest.param(lambda: b"", ["empty"], id="empty"),
    pytest.param(
        lambda: bytes(wat2wasm(guests.nested_component(200))), ["deep"], id="nested 200 deep"
    ),
    pytest.param(
        lambda: guests.guest_bytes("unknown_import"), ["acme:secret/store"], id="unknown import"
    ),
]


@pytest.mark.parametrize(("content", "said"), BAD_FILES)
def test_a_file_that_is_no_component_we_can_run_is_refused(
    store: Path, file: Path, content: Callable[[], bytes], said: list[str]
) -> None:
    file.write_bytes(content())
    refused(load(store, file), *said)
    assert kept(store) == []


def test_a_file_that_is_no_component_is_refused_by_inspect_too(store: Path, file: Path) -> None:
    file.write_bytes(whole()[:-1])
    refused(served.operate(store, "inspect", file), "component")
    assert kept(store) == []


def test_a_file_of_200_mb_is_refused_for_its_size(store: Path, file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(200 * 10**6)
    refused(load(store, file), "200000000", "100 MiB")
    assert kept(store) == []


def make_fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(make_fifo, "a FIFO", id="a FIFO"),
        pytest.param(make_folder, "a directory", id="a directory"),
        pytest.param(lambda path: path.parent.__class__("/dev/zero"), "a device", id="a device"),
        pytest.param(lambda path: path, "No such file", id="nothing"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    store: Path, file: Path, make: Callable[[Path], Path], kind: str
) -> None:
    refused(load(store, make(file), "--name", "odd"), kind)
    assert kept(store) == []


def test_a_file_that_changes_while_it_is_read_is_refused(store: Path, file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(90 * MIB)
    over = threading.Event()

    def change() -> None:
        with file.open("r+b") as opened:
            while not over.is_set():
                os.pwrite(opened.fileno(), b"x", 0)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        refused(load(store, file), "changed while it was read")
    finally:
        over.set()
        changing.join()
    assert kept(store) == []


def test_a_failed_load_keeps_the_component_that_was_there(store: Path, file: Path) -> None:
    file.write_bytes(guests.guest_bytes("add"))
    loaded = answered(load(store, file))
    before = sorted(kept(store))
    file.write_bytes(whole()[:-1])
    refused(load(store, file))
    assert sorted(kept(store)) == before
    called = served.operate(store, "tool", "invoke", "add", "--args", '{"a": 2, "b": 3}')
    assert answered(called) == 5
    [listed] = answered(served.operate(store, "component", "list"))["components"]
    assert listed["digest"] == loaded["digest"]


# --- components that are odd and can be run -------------------------------------------------


def test_a_start_function_that_loops_loads_and_its_call_ends_at_the_limit(store: Path) -> None:
    answered(load(store, guests.guest_path("start_loops")))
    done = served.operate(
        store, "tool", "invoke", "nothing", "--limit", "wall_time=300ms", timeout=LOOPS_S
    )
    refused(done, "wall_time=300ms", "instantiated")


def test_a_tool_name_over_128_characters_is_cut(store: Path) -> None:
    [name] = answered(load(store, guests.guest_path("long_name")))["tools"]
    assert len(name) <= 64
    assert answered(served.operate(store, "tool", "invoke", name)) == 42


def test_an_export_that_cannot_be_expressed_is_named_and_the_others_are_tools(store: Path) -> None:
    answered(load(store, guests.guest_path("resource")))
    shown = answered(served.operate(store, "inspect", "resource"))
    assert [tool["name"] for tool in shown["tools"]] == ["answer"]
    [left_out] = shown["left_out"]
    assert "open" in json.dumps(left_out)
    assert "resource" in json.dumps(left_out)
    assert answered(served.operate(store, "tool", "invoke", "answer")) == 42
    refused(served.operate(store, "tool", "invoke", "open"), "open")


# --- the store ------------------------------------------------------------------------------


def test_a_store_that_is_a_file_is_refused(store: Path) -> None:
    store.write_text("mine")
    refused(load(store, guests.guest_path("add")), str(store), "--component-dir")
    assert store.read_text() == "mine"


def test_a_store_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    # Even root is refused where it is an ordinary user of a namespace.
    done = within("--user --map-user=1000 --map-group=1000", loading(folder / "store"))
    refused(done, "Permission denied", "--component-dir")
    assert list(folder.iterdir()) == []


def test_the_root_of_a_namespace_that_has_no_other_user_can_load_and_call(store: Path) -> None:
    # So it is in a container without privileges.
    done = within("--map-root-user", loading(store))
    assert done.returncode == 0
    warned_of_one_user(done)
    invoke = ["tool", "invoke", "add", "--args", '{"a": 2, "b": 3}', "--component-dir", str(store)]
    done = within("--map-root-user", shlex.join([str(served.COMMAND), *invoke]))
    assert (done.returncode, done.stdout) == (0, b"5\n")
    warned_of_one_user(done)


def warned_of_one_user(done: subprocess.CompletedProcess[bytes]) -> None:
    """It was said, once and in one line, that tools run as the server's own user."""
    (line,) = done.stderr.splitlines()
    assert b"warning isolation.same-user" in line


# The bytes of the component fit, those and what is compiled of them don't.
BIG = f"""(component
  (core module $m (memory 16) (data (i32.const 0) "{"abcdefgh" * 80_000}") (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))"""


def test_a_disk_that_fills_during_a_load_is_named_and_nothing_is_kept(
    tmp_path: Path, file: Path
) -> None:
    served.write_component(file, BIG)
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [str(served.COMMAND), "component", "load", str(file)]
    words += ["--component-dir", str(disk / "store")]
    script = (
        f"mount -t tmpfs -o size=1m,mode=777 tmpfs {disk} || exit 77\n"
        f"unshare --user --map-user=1000 --map-group=1000 {shlex.join(words)}\n"
        f"status=$?; find {disk} -type f ! -name lock ! -path '*/audit/*'; exit $status"
    )
    done = within("--map-root-user --mount", script)
    refused(done, os.strerror(errno.ENOSPC), "free some space")  # also: `find` found nothing


def test_many_loads_into_one_store_at_once_all_succeed(store: Path) -> None:
    names = ["add", "grow", "spin", "traps", "add", "grow"]
    running = [
        subprocess.Popen(  # noqa: S603 - our own command
            [
                served.COMMAND,
                "component",
                "load",
                guests.guest_path(name),
                "--component-dir",
                store,
            ],
            env=served.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names
    ]
    for process in running:
        _, said = process.communicate(timeout=served.LOAD_S)
        assert (process.returncode, said) == (0, b"")
    listed = answered(served.operate(store, "component", "list"))["components"]
    assert {component["id"]: component["state"] for component in listed}.keys() == set(names)
    called = served.operate(store, "tool", "invoke", "add", "--args", '{"a": 2, "b": 3}')
    assert answered(called) == 5


def loading(store: Path, name: str = "add") -> str:
    words = ["component", "load", str(guests.guest_path(name)), "--component-dir", str(store)]
    return shlex.join([str(served.COMMAND), *words])


def within(namespaces: str, script: str) -> Done:
    """Run a script in namespaces of its own."""
    return subprocess.run(  # noqa: S603 - our own script
        ["unshare", *namespaces.split(), "sh", "-c", script],  # noqa: S607 - programs of the system
        env=served.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


# --- what is printed ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("filled") / "store", ["add", "ctiny"])


COMMANDS = ["component list", "tool list", "tool read add", "inspect add"]


@pytest.mark.parametrize("command", COMMANDS)
def test_output_into_a_pipe_is_json(filled: Path, command: str) -> None:
    assert isinstance(answered(served.operate(filled, *command.split())), dict)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_table_into_a_pipe_has_80_columns_at_most(filled: Path, command: str) -> None:
    done = served.operate(filled, *command.split(), "-o", "table")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", ["component list", "inspect add", "tool invoke trap-oob"])
def test_no_color_is_honoured_at_a_terminal(filled: Path, command: str) -> None:
    seen = b"".join(at_a_terminal([*command.split(), "--component-dir", str(filled)]))
    assert seen
    assert not COLOUR.search(seen)


def at_a_terminal(words: list[str]) -> Iterator[bytes]:
    """What a command shows whose output and errors are a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [served.COMMAND, *words],
            env=served.environment() | {"NO_COLOR": "1", "TERM": "xterm-256color"},
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
