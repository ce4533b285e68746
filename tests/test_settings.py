from __future__ import annotations

import os
import pwd
import tomllib
from pathlib import Path

import msgspec
import pytest

from wassette_protocol.capabilities import Limits
from wassette_supervisor import settings
from wassette_supervisor.errors import UsageError
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.quantities import duration_text, size_text
from wassette_supervisor.settings import MaxLimits, Settings, page
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.table import SETTINGS, kind_of


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
    assert found.max_limits == MaxLimits()
    assert (found.workspace, found.ceiling, found.run_as) == (None, None, None)
    assert found.environment == {}
    assert (found.audit_arguments, found.approval_timeout_ms) == (False, 120_000)
    assert (found.allow_any_host, found.ca_file, found.name_server) == (False, None, None)


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


def test_the_usual_store_has_its_state_where_xdg_says_and_another_in_itself(
    environ: dict[str, str], tmp_path: Path
) -> None:
    usual = tmp_path / ".local/state/wassette-supervisor/state"
    assert settings.load({}, environ).state_dir == usual
    store = settings.load({}, environ).component_dir
    assert settings.load({"component-dir": store}, environ).state_dir == usual
    assert settings.load({"component-dir": tmp_path}, environ).state_dir == tmp_path / "state"
    given = {"component-dir": tmp_path, "state-dir": "/srv/state"}
    assert settings.load(given, environ).state_dir == Path("/srv/state")
    environ["XDG_STATE_HOME"] = "/var/state"
    xdg = Path("/var/state/wassette-supervisor/state")
    assert settings.load({}, environ).state_dir == xdg


def test_how_much_a_component_may_keep_is_a_size(environ: dict[str, str]) -> None:
    assert settings.load({}, environ).max_state == 64 << 20
    assert settings.load({"max-state": "1Gi"}, environ).max_state == 1 << 30
    for wrong in ("0", "-1", "1G", "none", str((1 << 40) + 1)):
        assert "--max-state" in refusal(environ, **{"max-state": wrong})


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


def test_a_directory_of_local_components_is_followed_unless_something_else_is_said(
    environ: dict[str, str], tmp_path: Path
) -> None:
    none = settings.load({}, environ)
    assert (none.local_components, none.local_mode) == (None, "watch")
    environ["WASSETTE_SUPERVISOR_LOCAL_COMPONENTS"] = "~/tools"
    write_file(environ, 'local-mode = "startup"')
    found = settings.load({}, environ | {"HOME": str(tmp_path)})
    assert found.local_components == Path("~/tools").expanduser()
    assert found.local_mode == "startup"


@pytest.mark.parametrize("mode", ["off", "startup", "watch"])
def test_a_mode_in_place_of_the_directory_is_told_where_it_goes(
    environ: dict[str, str], mode: str
) -> None:
    assert "--local-mode takes the mode" in refusal(environ, local_components=mode)
    assert settings.load({"local_components": f"./{mode}"}, environ).local_components is not None


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
        ("requests=100000", ("requests", 100_000)),
        ("concurrent_requests=256", ("concurrent_requests", 256)),
        ("request_bytes=1024Gi", ("request_bytes", 1 << 40)),
        ("response_bytes=1", ("response_bytes", 1)),
        ("first_byte=1h", ("first_byte_ms", 3_600_000)),
        ("request_time=1ms", ("request_time_ms", 1)),
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
        "requests=0", "requests=100001", "concurrent_requests=257", "request_bytes=1025Gi",
        "response_bytes=0", "first_byte=0ms", "request_time=61m",
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


# --- variables for guests -------------------------------------------------------------------


PRIVATE = "hunter2 $x"


def test_variables_of_the_flag_beat_those_of_the_env_file_which_beat_the_table(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "vars").write_text("B=file\nC=file\n")
    write_file(environ, '[env]\nA = "table"\nB = "table"\nC = "table"')
    flags = {"env": ["C=a=b,c", "D="], "env_file": str(tmp_path / "vars")}
    found = settings.load(flags, environ).environment
    assert dict(found) == {"A": "table", "B": "file", "C": "a=b,c", "D": ""}


def test_the_env_file_may_be_named_by_any_source(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("A=1")
    write_file(environ, f'env-file = "{tmp_path / "vars"}"')
    assert dict(settings.load({}, environ).environment) == {"A": "1"}
    (tmp_path / "others").write_text("A=2")
    environ["WASSETTE_SUPERVISOR_ENV_FILE"] = str(tmp_path / "others")
    assert dict(settings.load({}, environ).environment) == {"A": "2"}


def test_variables_are_not_taken_from_a_variable_and_it_says_where_they_are(
    environ: dict[str, str],
) -> None:
    environ["WASSETTE_SUPERVISOR_ENV"] = PRIVATE
    text = refusal(environ)
    assert text.startswith("WASSETTE_SUPERVISOR_ENV: not taken from a variable")
    assert "--env KEY=VALUE, or [env] in " in text
    assert PRIVATE not in text


@pytest.mark.parametrize(
    ("flags", "file", "expected"),
    [
        ({"env": [PRIVATE]}, "", "--env: should be KEY=VALUE, as TZ=UTC"),
        ({"env": [f"{PRIVATE}=1"]}, "", "--env: a key should be of letters, digits and _, with"),
        ({"env": [f"1A={PRIVATE}"]}, "", "--env: a key should be of letters, digits and _, with"),
        ({"env": [f"={PRIVATE}"]}, "", "--env: a key should be of letters, digits and _, with no"),
        ({"env": [f"\u00e9={PRIVATE}"]}, "", "--env: a key should be of letters, digits and _"),
        ({"env": [f"A\n={PRIVATE}"]}, "", "--env: a key should be of letters, digits and _, with"),
        ({"env": [f"A=\0{PRIVATE}"]}, "", "--env A: should be text without a zero byte"),
        ({}, "[env]\nA = 1", "[env] A in {}: should be text without a zero byte"),
        ({}, f"[env]\n'{PRIVATE}' = '1'", "env in {}: a key should be of letters, digits"),
        ({}, f"env = '{PRIVATE}'", 'env in {}: should be a table, as [env] with TZ = "UTC"'),
    ],
)
def test_a_bad_variable_is_refused_without_showing_what_it_holds(
    environ: dict[str, str], flags: dict[str, object], file: str, expected: str
) -> None:
    written = write_file(environ, file)
    text = refusal(environ, **flags)
    assert text.startswith(expected.format(written))
    assert "hunter2" not in text


def test_no_text_of_the_settings_has_the_value_of_a_variable(environ: dict[str, str]) -> None:
    settled = settings.settle({"env": [f"TOKEN={PRIVATE}"]}, environ)
    for text in (repr(settled), str(settled.settings), repr(settled.settings.environment)):
        assert "hunter2" not in text
        assert "TOKEN" in text
    assert settled.settings.environment["TOKEN"] == PRIVATE


# --- limits and their maximum ---------------------------------------------------------------


def test_max_limits_come_from_every_source(environ: dict[str, str]) -> None:
    write_file(environ, '[max-limit]\noutput = "32Mi"\nfuel = 60000000000')
    environ["WASSETTE_SUPERVISOR_MAX_LIMIT"] = "wall_time=10m,fuel=70000000000"
    found = settings.load({"max_limit": ["memory=2Gi"]}, environ).max_limits
    assert found == MaxLimits(
        output=32 << 20, fuel=70_000_000_000, wall_time_ms=600_000, memory=2 << 30
    )


def test_a_max_limit_is_of_what_a_policy_may_set_and_of_nothing_else(
    environ: dict[str, str],
) -> None:
    text = refusal(environ, max_limit=["tables=9"])
    assert text.startswith("--max-limit tables: there is no such setting; did you mean --")


def test_a_limit_above_a_maximum_that_was_not_given_raises_it(environ: dict[str, str]) -> None:
    found = settings.load({"limit": ["memory=3Gi"]}, environ)
    assert found.limits.memory == found.max_limits.memory == 3 << 30


def test_a_maximum_below_a_limit_that_was_not_given_lowers_it(environ: dict[str, str]) -> None:
    found = settings.load({"max_limit": ["memory=1Mi"]}, environ)
    assert found.limits.memory == found.max_limits.memory == 1 << 20


def test_a_limit_above_its_maximum_where_both_are_given_is_refused_with_both_sources(
    environ: dict[str, str],
) -> None:
    file = write_file(environ, '[max-limit]\nmemory = "1Gi"')
    assert settings.load({"limit": ["memory=1Gi"]}, environ).limits.memory == 1 << 30
    assert refusal(environ, limit=["memory=1025Mi"]) == (
        f"--limit memory: is above [max-limit] memory in {file}; lower the one or raise the other"
    )


# --- single values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "text", "field", "value"),
    [
        ("approval-timeout", "1s", "approval_timeout_ms", 1000),
        ("approval-timeout", "1h", "approval_timeout_ms", 3_600_000),
        ("run-as", "4294967294", "run_as", (1 << 32) - 2),
        ("run-as", pwd.getpwuid(1).pw_name, "run_as", 1),
        ("workspace", "/w/", "workspace", Path("/w")),
        ("ceiling", "/c.yaml", "ceiling", Path("/c.yaml")),
        ("audit-arguments", "true", "audit_arguments", True),
        ("allow-any-host", "true", "allow_any_host", True),
        ("allow-any-host", "false", "allow_any_host", False),
        ("ca-file", "/etc/ssl/private-ca.pem", "ca_file", Path("/etc/ssl/private-ca.pem")),
        ("name-server", "127.0.0.1", "name_server", "127.0.0.1:53"),
        ("name-server", "127.0.0.1:65535", "name_server", "127.0.0.1:65535"),
        ("name-server", "[::1]", "name_server", "[::1]:53"),
        ("name-server", "[FD00:0::53]:5353", "name_server", "[fd00::53]:5353"),
    ],
)
def test_a_value_is_taken(
    environ: dict[str, str], flag: str, text: str, field: str, value: object
) -> None:
    assert getattr(settings.load({flag: text}, environ), field) == value


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("approval-timeout", "999ms", "should be a time from 1s to 1h, as 30s or 2m, not '999ms'"),
        ("approval-timeout", "2h", "should be a time from "),
        ("run-as", "0", "should be a user of this system other than root, by name or as a num"),
        ("run-as", "root", "should be a user of this system other than root, by name or as a"),
        ("run-as", "4294967295", "should be a user of this system other than root, by name"),
        ("run-as", "-1", "should be a user of this system other than root"),
        ("run-as", "no such user", "should be a user of this system other than root"),
        ("run-as", "a\0", "should be a user of this system other than root"),
        ("run-as", "\u0663", "should be a user of this system other than root"),
        ("workspace", "a\0", "should be the path of a directory, not"),
        ("workspace", "~no-such-user/x", "should be the path of a directory, not"),
        ("ceiling", "", "should be the path of a file, not ''"),
        ("audit-arguments", "yes", "should be true or false, not 'yes'"),
        ("allow-any-host", "*", "should be true or false, not '*'"),
        ("ca-file", "", "should be the path of a file, not ''"),
        ("ca-file", "a\0", "should be the path of a file, not"),
        ("name-server", "", "should be an address, as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353"),
        ("name-server", "dns.example", "should be an address, as "),
        ("name-server", "localhost:53", "should be an address, as "),
        ("name-server", "127.1", "should be an address, as "),
        ("name-server", "127.0.0.01", "should be an address, as "),
        ("name-server", "127.0.0.1:", "should be an address, as "),
        ("name-server", "127.0.0.1:0", "should be an address, as "),
        ("name-server", "127.0.0.1:65536", "should be an address, as "),
        ("name-server", "127.0.0.1:5\u0663", "should be an address, as "),
        ("name-server", "127.0.0.1:53\n", "should be an address, as "),
        ("name-server", "::1", "should be an address, as "),
        ("name-server", "[::1]53", "should be an address, as "),
        ("name-server", "[127.0.0.1]:53", "should be an address, as "),
        ("name-server", "[fe80::1%eth0]:53", "should be an address, as "),
        ("name-server", "127.0.0.1,127.0.0.2", "should be an address, as "),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(
    environ: dict[str, str], flag: str, text: str, expected: str
) -> None:
    assert refusal(environ, **{flag: text}).startswith(f"--{flag}: {expected}")


def test_a_file_over_1_mib_is_refused_before_it_is_parsed(environ: dict[str, str]) -> None:
    file = write_file(environ, "#" * ((1 << 20) + 1))
    assert refusal(environ) == f"{file}: more than 1 MiB; settings need less"


# --- the table, and what is made of it ------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_example_of_a_setting_means_the_same_in_every_source(
    environ: dict[str, str], tmp_path: Path, setting: settings.table.Setting
) -> None:
    (tmp_path / "vars").write_text("A=1")
    example = str(tmp_path / "vars") if setting.name == "env-file" else setting.example
    members = isinstance(setting.kind, Named)
    settled = settings.settle({setting.name: [example] if members else example}, environ)
    assert any(shown.source == "flag" for shown in settled.shown)
    by_flag = settled.settings
    if setting.in_variable:
        assert settings.load({}, environ | {setting.variable: example}) == by_flag
    line = page.in_file(setting).replace(setting.example, example)
    write_file(environ, line.replace("` with `", "\n").strip("`"))
    assert settings.load({}, environ) == by_flag


def test_what_is_shown_of_a_setting_is_what_the_file_takes(environ: dict[str, str]) -> None:
    flags = {"max-limit": ["memory=1025Mi"], "workspace": "/w", "run-as": "1", "env": ["A=b"]}
    settled = settings.settle(flags, environ)
    shown = {s.name: s.value for s in settled.shown if s.value is not None}
    assert "env.A" not in shown
    text = "\n".join(
        f"{name} = {msgspec.json.encode(value).decode()}" for name, value in shown.items()
    )
    assert tomllib.loads(text)["limit"]["memory"] == "256Mi"
    write_file(environ, text)
    assert settings.load({"env": ["A=b"]}, environ) == settled.settings


def test_each_value_is_shown_with_its_source(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("B=2")
    file = write_file(environ, 'queue = 1\n[limit]\nfuel = 5\n[max-limit]\nmemory = "1Mi"')
    environ["WASSETTE_SUPERVISOR_LIMIT"] = "tables=2"
    flags = {"env": ["A=1"], "env-file": str(tmp_path / "vars"), "log-level": "debug"}
    shown = {s.name: s[1:] for s in settings.settle(flags, environ).shown}
    assert shown["queue"] == (1, "file", str(file))
    assert shown["limit.fuel"] == (5, "file", str(file))
    assert shown["limit.memory"] == ("1Mi", "file", str(file))  # lowered by the maximum
    assert shown["limit.tables"] == (2, "variable", "WASSETTE_SUPERVISOR_LIMIT")
    assert shown["env.A"] == (None, "flag", "--env")
    assert shown["env.B"] == (None, "env-file", str(tmp_path / "vars"))
    assert shown["log-level"] == ("debug", "flag", "--log-level")
    assert shown["workspace"] == (None, "default", None)
    assert shown["isolation"] == ("fork", "default", None)


def test_every_setting_has_a_field_and_every_field_a_setting() -> None:
    named = {"limit": "limits", "max-limit": "max_limits", "env": "environment"}
    named |= {"env-file": "environment", "approval-timeout": "approval_timeout_ms"}
    fields = {named.get(name, name.replace("-", "_")) for name in SETTINGS}
    assert fields == set(Settings.__struct_fields__)


def test_help_is_a_line_and_every_example_can_be_parsed() -> None:
    for setting in SETTINGS.values():
        assert len(f"{setting.help} (default: {setting.default_text})") <= 52, setting.name
        name, equals, value = setting.example.partition("=")
        kind = kind_of(f"{setting.name}.{name}" if equals else setting.name)
        assert kind is not None
        kind.parse(value if equals else name)
    assert kind_of("limit") is None
    assert kind_of("queue.x") is None


def test_the_page_of_the_settings_is_what_the_table_makes_of_it() -> None:
    written = Path(__file__).parents[1] / "docs/settings.md"
    assert written.read_text() == page.page(), (
        "python -m wassette_supervisor.settings.page > docs/settings.md"
    )
