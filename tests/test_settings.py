from __future__ import annotations

import os
from pathlib import Path

import pytest

from wassette_protocol.capabilities import Limits
from wassette_supervisor import settings
from wassette_supervisor.errors import UsageError
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.quantities import duration_text, size_text


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": "/bin"}


def write_file(environ: dict[str, str], text: str) -> Path:
    file = Path(environ["HOME"]) / ".config/wassette-supervisor/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


def refusal(environ: dict[str, str], **flags: object) -> str:
    with pytest.raises(UsageError) as caught:
        settings.load(flags, environ)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nothing_given_gives_the_defaults(environ: dict[str, str], tmp_path: Path) -> None:
    found = settings.load({"max_workers": None}, environ)
    assert found.component_dir == tmp_path / ".local/share/wassette-supervisor"
    assert found.max_workers == len(os.sched_getaffinity(0))
    assert found.queue == 4 * found.max_workers
    assert (found.isolation, found.approve) == ("fork", "ask")
    assert (found.log_level, found.log_format) == ("info", "text")
    assert not found.disable_builtin_tools
    assert found.limits == Limits()


def test_a_flag_beats_the_environment_which_beats_the_file(environ: dict[str, str]) -> None:
    write_file(environ, 'max-workers = 1\nqueue = 1\napprove = "deny"\nisolation = "exec"')
    environ |= {"WASSETTE_SUPERVISOR_MAX_WORKERS": "2", "WASSETTE_SUPERVISOR_QUEUE": "2"}
    found = settings.load({"max_workers": "3", "approve": None}, environ)
    assert (found.max_workers, found.queue, found.approve) == (3, 2, "deny")
    assert found.isolation == "exec"


def test_one_limit_from_a_flag_leaves_the_others_of_file_and_environment(
    environ: dict[str, str],
) -> None:
    write_file(environ, '[limit]\nmemory = "1Gi"\nfuel = 7\ntables = 9')
    environ["WASSETTE_SUPERVISOR_LIMIT"] = "memory=64Mi, wall_time=2m,fuel=8,"
    found = settings.load({"limit": ["fuel=9", "result=4096"]}, environ)
    expected = Limits(fuel=9, memory=64 << 20, wall_time_ms=120_000, result=4096, tables=9)
    assert found.limits == expected


def test_the_queue_follows_the_workers_unless_it_is_given(environ: dict[str, str]) -> None:
    assert settings.load({"max-workers": 5}, environ).queue == 20
    assert settings.load({"max-workers": 5, "queue": 0}, environ).queue == 0


def test_directories_follow_xdg_and_a_relative_one_is_ignored(
    environ: dict[str, str], tmp_path: Path
) -> None:
    environ |= {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": "relative"}
    write_file(environ, "max-workers = 7")
    found = settings.load({}, environ)
    assert found.component_dir == tmp_path / "data/wassette-supervisor"
    assert found.max_workers == 7


def test_a_component_dir_becomes_absolute(environ: dict[str, str]) -> None:
    found = settings.load({"component_dir": "here"}, environ)
    assert found.component_dir == Path.cwd() / "here"


@pytest.mark.parametrize("text", ["true", "1", "True"])
def test_a_boolean_is_read_from_text(environ: dict[str, str], text: str) -> None:
    environ["WASSETTE_SUPERVISOR_DISABLE_BUILTIN_TOOLS"] = text
    assert settings.load({}, environ).disable_builtin_tools


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("fuel=1", ("fuel", 1)),
        ("memory=4Gi", ("memory", 4 << 30)),
        ("output=64Ki", ("output", 64 << 10)),
        ("arguments=16Mi", ("arguments", 16 << 20)),
        ("result=16777216", ("result", 16 << 20)),
        ("wall_time=1ms", ("wall_time_ms", 1)),
        ("wall_time=1h", ("wall_time_ms", 3_600_000)),
        ("result_nodes=5", ("result_nodes", 5)),
        ("memories=2", ("memories", 2)),
        ("table_elements=2", ("table_elements", 2)),
        ("instances=2", ("instances", 2)),
    ],
)
def test_a_limit_is_taken_up_to_its_bound(
    environ: dict[str, str], limit: str, value: tuple[str, int]
) -> None:
    found = settings.load({"limit": [limit]}, environ)
    assert getattr(found.limits, value[0]) == value[1]


@pytest.mark.parametrize(
    "limit",
    [
        "fuel=0", "fuel=-1", "fuel=1.5", "fuel=", "fuel=9223372036854775808", "fuel=1Ki",
        "fuel=" + "9" * 5000, "fuel=\u0663", "memory=0", "memory=4294967297", "memory=5Gi",
        "memory=64MB", "memory=64 Mi", "memory=Mi", "result=16777217", "arguments=17Mi",
        "wall_time=0ms", "wall_time=30", "wall_time=61m", "wall_time=3600001ms",
        "output=0", "result_nodes=0", "memories=0", "tables=0", "instances=0", "table_elements=0",
    ],
)  # fmt: skip
def test_a_limit_beyond_its_bounds_is_refused_with_what_to_write(
    environ: dict[str, str], limit: str
) -> None:
    text = refusal(environ, limit=["memory=1Mi", limit])
    assert text.startswith(f"--limit {limit.partition('=')[0]}: should be a ")
    assert len(text) < 500


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"max_workers": "x"}, "--max-workers: should be a whole number from 1 to 256, not 'x'"),
        ({"max_workers": True}, "--max-workers: should be a whole number from 1 to 256, not True"),
        ({"max_workers": 0}, "--max-workers: should be a whole number from 1 to 256, not 0"),
        ({"max_workers": 257}, "--max-workers: should be a whole number from 1 to 256, not 257"),
        ({"queue": 100_001}, "--queue: should be a whole number from 0 to 100000, not 100001"),
        ({"isolation": "none"}, "--isolation: should be fork or exec, not 'none'"),
        ({"approve": 1}, "--approve: should be ask, deny or allow, not 1"),
        ({"component_dir": ""}, "--component-dir: should be the path of a directory, not ''"),
        (
            {"disable_builtin_tools": "no!"},
            "--disable-builtin-tools: should be true or false, not 'no!'",
        ),
        ({"limit": ["memory"]}, "--limit: should be NAME=VALUE, as memory=64Mi, not 'memory'"),
        (
            {"limit": ["memroy=1"]},
            "--limit memroy: there is no such setting; did you mean --limit memory?",
        ),
    ],
)
def test_a_bad_flag_is_one_line_that_says_what_to_write(
    environ: dict[str, str], flags: dict[str, object], expected: str
) -> None:
    assert refusal(environ, **flags) == expected


def test_an_unknown_variable_with_our_prefix_is_refused(environ: dict[str, str]) -> None:
    environ["WASSETTE_SUPERVISOR_MAX_WORKER"] = "2"
    assert refusal(environ) == (
        "WASSETTE_SUPERVISOR_MAX_WORKER: there is no such setting; "
        "did you mean WASSETTE_SUPERVISOR_MAX_WORKERS?"
    )


def test_a_key_that_resembles_nothing_is_answered_with_all_there_are(
    environ: dict[str, str],
) -> None:
    file = write_file(environ, "zzz = 1")
    assert refusal(environ).startswith(f"zzz in {file}: there is no such setting; there are comp")


def test_a_bad_limit_in_the_environment_is_named_with_its_variable(
    environ: dict[str, str],
) -> None:
    environ["WASSETTE_SUPERVISOR_LIMIT"] = "memory=64Mi,wall_time=2"
    assert refusal(environ).startswith("wall_time in WASSETTE_SUPERVISOR_LIMIT: should be a time")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max-workers = 'x'", "max-workers in {}: should be a whole number"),
        ("max_workers = 1", "max_workers in {}: there is no such setting; did you mean max-work"),
        ("[limit]\nmemory = 1.5", "[limit] memory in {}: should be a size"),
        ("[limit]\nfule = 1", "[limit] fule in {}: there is no such setting; did you mean [limit]"),
        ("limit = 'memory=1'", "limit in {}: should be a table, as [limit]"),
        ("[limit.memory]\nx = 1", "[limit] memory in {}: should be a size"),
        ("max-workers", "{}: not TOML: "),
        ("a = " + "[" * 5000, "{}: not TOML: "),
    ],
)
def test_a_bad_file_is_named_with_its_key(
    environ: dict[str, str], text: str, expected: str
) -> None:
    file = write_file(environ, text)
    assert refusal(environ).startswith(expected.format(file))


def test_a_mistake_in_the_file_shows_even_if_a_flag_overrides_it(environ: dict[str, str]) -> None:
    file = write_file(environ, "max-workers = 0")
    assert refusal(environ, max_workers=2).startswith(f"max-workers in {file}")


def test_a_file_that_is_not_text_or_not_readable_is_named(environ: dict[str, str]) -> None:
    file = write_file(environ, "")
    file.write_bytes(b"\xff")
    assert refusal(environ).startswith(f"{file}: not TOML: ")
    file.unlink()
    file.mkdir()
    assert refusal(environ).startswith(f"{file}: can't be read (Is a directory); ")


def test_every_limit_has_a_name_and_its_text_is_read_back_as_the_same_value() -> None:
    assert {limit.field for limit in LIMITS.values()} == set(Limits.__struct_fields__)
    for limit in LIMITS.values():
        for value in (getattr(Limits(), limit.field), 1):
            assert limit.parse(limit.text(value)) == value
    assert [size_text(size) for size in (1, 1025, 64 << 20)] == ["1", "1025", "64Mi"]
    assert [duration_text(time) for time in (1500, 3000)] == ["1500ms", "3s"]
