"""The command line as a program: what it prints, and its exit statuses."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import guests

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


# --- the command ----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_printed(tmp_path: Path, option: str) -> None:
    done = run(tmp_path, option)
    assert done.returncode == 0
    assert done.stdout.startswith("wassette-supervisor ")
    assert done.stdout.count("\n") == 1


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


@pytest.mark.parametrize("form", ["json", "yaml", "table"])
def test_the_settings_are_shown_with_their_sources_and_no_value_of_a_variable(
    tmp_path: Path, form: str
) -> None:
    (tmp_path / "vars").write_text("OTHER=hunter2")
    words = ["settings", "--env", "TOKEN=hunter2", "--env-file", str(tmp_path / "vars")]
    done = run(tmp_path, *words, "-o", form, WASSETTE_SUPERVISOR_QUEUE="7")
    assert (done.returncode, done.stderr) == (0, "")
    assert "hunter2" not in done.stdout
    for shown in ("env.TOKEN", "env.OTHER", "WASSETTE_SUPERVISOR_QUEUE", "--env-file"):
        assert shown in done.stdout


def test_a_bug_is_one_line_and_shows_no_local_variable(tmp_path: Path) -> None:
    program = (
        "import sys; from wassette_supervisor import cli\n"
        "def parse(*_): secret = 'hunter2'; raise RuntimeError('a bug')\n"
        "cli.arguments.parse = parse\n"
        "sys.exit(cli.main())"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "wassette-supervisor: internal error: RuntimeError: a bug\n"


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
