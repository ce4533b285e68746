"""The command line: its grammar, what it prints, and its exit statuses."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import guests
from wassette_supervisor.cli import arguments, output
from wassette_supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = Path(sys.executable).with_name("wassette-supervisor")
TIME_OUT_S = 50


def run(
    home: Path, *words: str, stdin: str = "", **environ: str
) -> subprocess.CompletedProcess[str]:
    env = {"HOME": str(home), "PATH": os.environ["PATH"]} | environ
    return subprocess.run(  # noqa: S603 - our own command
        [COMMAND, *words],
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )


def answered(home: Path, *words: str, stdin: str = "") -> Any:
    done = run(home, *words, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


# --- grammar --------------------------------------------------------------------------------


def parse(*words: str) -> arguments.Invocation:
    return arguments.parse(words, {"HOME": "/home/op"})


@pytest.mark.parametrize(
    "words",
    [(), ("--max-workers", "4"), ("run",), ("run", "--max-workers", "4")],
    ids=" ".join,
)
def test_without_a_command_it_serves(words: Sequence[str]) -> None:
    assert parse(*words).command == "run:run"


@pytest.mark.parametrize(
    "words",
    [
        "--max-workers 3 --disable-builtin-tools component list",
        "component --max-workers 3 --disable-builtin-tools list",
        "component list --max-workers 3 --disable-builtin-tools",
        "component --max-workers 3 list --disable-builtin-tools",
    ],
)
def test_settings_may_stand_before_and_after_the_command(words: str) -> None:
    invocation = parse(*words.split())
    assert invocation.command == "component:list_all"
    assert invocation.settings.max_workers == 3
    assert invocation.settings.disable_builtin_tools


def test_of_a_setting_given_twice_the_innermost_counts_and_limits_add_up() -> None:
    words = "--queue 1 --limit fuel=1 component --limit memory=1Mi list --queue 2 --limit fuel=2"
    found = parse(*words.split(), "--limit", "tables=3").settings
    assert found.queue == 2
    assert (found.limits.fuel, found.limits.memory, found.limits.tables) == (2, 1 << 20, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nonsense", "invalid choice: 'nonsense'"),
        ("--nonsense", "there is no option --nonsense"),
        ("-x", "unrecognized arguments: -x"),
        ("--max-work 3", "did you mean --max-workers?"),
        ("component", "required: COMMAND"),
        ("component load", "required: URI|PATH"),
        ("component list -o xml", "invalid choice: 'xml'"),
        ("--max-workers none", "--max-workers: should be a whole number from 1 to 256"),
        ("run --limit fuel", "--limit: should be NAME=VALUE"),
        ("tool list --limit fuel=x", "--limit fuel: should be"),
    ],
)
def test_what_cannot_be_understood_is_named(words: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*words.split())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_argument_cannot_bring_escapes_or_lines_into_its_refusal() -> None:
    with pytest.raises(UsageError) as caught:
        parse("component\x1b[31m\nlist")
    assert str(caught.value).isprintable()


# --- printing -------------------------------------------------------------------------------


def test_a_table_fits_80_columns_and_cuts_its_widest_column() -> None:
    shown = output.table(("id", "description"), [("one", "x" * 200), ("two", "short")])
    lines = shown.splitlines()
    assert max(map(len, lines)) == output.MAX_WIDTH
    assert lines[1].endswith("…")
    assert lines[2] == "two  short"


def test_a_table_of_nothing_is_its_headings() -> None:
    assert output.table(("id", "state"), []) == "ID  STATE\n"


def test_a_table_has_one_line_a_row_and_no_control_characters() -> None:
    shown = output.table(("id",), [("a\nb\x1b[31m\u202e",)])
    assert len(shown.splitlines()) == 2
    assert all(line.isprintable() for line in shown.splitlines())


def test_json_of_a_guest_is_the_same_value_without_what_a_terminal_obeys() -> None:
    value = {"result": "\x1b[31m\x9b31m\u202e\U000e0041 ü € 😀\x7f\n"}
    shown = output.json_line(value)
    assert json.loads(shown) == value
    assert shown.isprintable()
    assert "ü € 😀" in shown


# --- the command ----------------------------------------------------------------------------


def test_version_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("wassette-supervisor ")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    ["", "run", "component", "component load", "component list", "inspect", "tool", "tool invoke"],
)
def test_help_has_a_line_of_80_columns_for_each_option(tmp_path: Path, words: str) -> None:
    done = run(tmp_path, *words.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    options = [line for line in lines if line.startswith("  -")]
    assert len(options) >= 10
    assert all("  " in line.strip() for line in options), "an option without its text beside it"


def test_help_and_version_do_not_load_the_mcp_library() -> None:
    program = (
        "import sys; from wassette_supervisor import cli; sys.argv[1:] = ['{}']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "assert not {{'mcp', 'mcp_types', 'anyio', 'structlog', 'pydantic'}} & set(sys.modules)"
    )
    for option in ("--help", "--version"):
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", program.format(option)],
            check=True,
            capture_output=True,
            timeout=TIME_OUT_S,
        )


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "--queue=-1",
        "tool invoke add --args {",
        "tool invoke add --args [1]",
        "tool invoke add --args @/nowhere",
    ],
)
def test_a_mistake_in_usage_is_one_line_and_status_2(tmp_path: Path, words: str) -> None:
    done = run(tmp_path, *words.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("wassette-supervisor: ")
    assert done.stderr.count("\n") == 1


def test_a_mistake_in_the_environment_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "component", "list", WASSETTE_SUPERVISOR_QUEUE="many")
    assert done.returncode == 2
    assert "WASSETTE_SUPERVISOR_QUEUE" in done.stderr


def test_listing_an_empty_store_prints_json_when_nobody_looks(tmp_path: Path) -> None:
    assert answered(tmp_path, "component", "list") == {"components": [], "total": 0}
    assert answered(tmp_path, "tool", "list") == {"tools": [], "total": 0}


def test_a_failure_is_one_line_and_status_1(tmp_path: Path) -> None:
    for words in ("component unload none", "component load /nowhere", "tool read none"):
        done = run(tmp_path, *words.split())
        assert (done.returncode, done.stdout) == (1, ""), words
        assert done.stderr.startswith("wassette-supervisor: ")
        assert done.stderr.count("\n") == 1


def test_output_that_nobody_reads_is_no_failure_to_talk_about(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        done = subprocess.run(  # noqa: S603 - our own command
            [COMMAND, "component", "list"],
            env={"HOME": str(tmp_path)},
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=TIME_OUT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a component loaded."""
    home = tmp_path_factory.mktemp("home")
    path = str(guests.guest_path("add"))
    loaded = answered(home, "component", "load", path)
    assert loaded.keys() == {"id", "status", "digest", "tools"}
    assert (loaded["id"], loaded["status"], loaded["tools"]) == ("add", "loaded", ["add"])
    again = answered(home, "component", "load", Path(path).as_uri())
    assert again == loaded | {"status": "reloaded"}
    return home


def test_a_loaded_component_is_listed(home: Path) -> None:
    found = answered(home, "component", "list")
    assert found["total"] == 1
    [component] = found["components"]
    assert component.keys() == {"id", "source", "digest", "state", "tools"}
    assert (component["id"], component["state"], component["tools"]) == ("add", "ready", ["add"])


def test_a_component_is_inspected_loaded_or_not(home: Path, tmp_path: Path) -> None:
    loaded = answered(home, "inspect", "add")
    file = answered(tmp_path, "inspect", str(guests.guest_path("add")))
    assert answered(tmp_path, "component", "list")["total"] == 0
    assert loaded == file
    assert loaded["limits"]["memory"] == "256Mi"
    [tool] = loaded["tools"]
    assert tool["function"] == "add"
    assert tool["input_schema"]["required"] == ["a", "b"]


def test_tools_are_listed_and_read(home: Path) -> None:
    listed = answered(home, "tool", "list")
    assert listed["total"] == 1
    assert listed["tools"][0] | {"description": ""} == {
        "name": "add",
        "component": "add",
        "description": "",
    }
    read = answered(home, "tool", "read", "add")
    assert read["name"] == "add"
    assert read["inputSchema"]["type"] == "object"
    assert read["annotations"]["readOnlyHint"] is True


def test_a_list_is_printed_in_the_format_asked_for(home: Path) -> None:
    yaml = run(home, "component", "list", "-o", "yaml")
    assert yaml.stdout.startswith("components:\n- id: add\n")
    table = run(home, "component", "list", "-o", "table")
    assert table.stdout.splitlines()[0].split() == ["ID", "STATE", "TOOLS", "SOURCE"]
    assert table.stdout.splitlines()[1].startswith("add  ready  add")


def test_a_tool_is_invoked_with_arguments_from_anywhere(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "arguments.json"
    file.write_text('{"a": 2, "b": 3}', encoding="utf-8")
    assert answered(home, "tool", "invoke", "add", "--args", file.read_text("utf-8")) == 5
    assert answered(home, "tool", "invoke", "add", "--args", f"@{file}") == 5
    assert answered(home, "tool", "invoke", "add", "--args", "-", stdin='{"a": 20, "b": 3}') == 23


def test_bad_arguments_of_a_tool_are_named(home: Path) -> None:
    done = run(home, "tool", "invoke", "add", "--args", '{"a": "x", "b": 1}')
    assert done.returncode == 1
    assert "/a" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda stop: stop.name)
def test_a_signal_stops_the_server_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    theirs, ours = pty.openpty()
    server = subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(ours)
    assert server.stdin is None
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        assert b"waiting for a client" in server.stderr.readline()
        # It answers, so it is up.
        os.write(theirs, b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert b'"id":1' in server.stdout.readline()
        server.send_signal(stop)
        assert server.wait(timeout=20) == 0
        assert server.stderr.read() == b""
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()
        os.close(theirs)


def test_a_server_whose_client_leaves_ends_with_status_0(tmp_path: Path) -> None:
    done = run(tmp_path, stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
