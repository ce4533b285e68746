"""`secret set`, `list` and `delete`: values go in, reach a guest, and are seen nowhere else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from support import served
from support.commands import answered, at_terminal, refused, run

if TYPE_CHECKING:
    from pathlib import Path

VALUE = b"hunter2-\xc3\xa9\xe2\x82\xac"
GRANT = "permission grant environment-variable granted TOKEN --secret TOKEN"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("filled") / "store", ["add", "granted"])


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return served.copy_of(filled, tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "token.txt"


def seen_by_guest(store: Path) -> Any:
    return dict(answered(store, "tool", "invoke", "variables")).get("TOKEN")


def names(store: Path) -> Any:
    return answered(store, "secret", "list", "granted")["names"]


def test_a_secret_from_standard_input_reaches_the_guest_that_its_policy_names_it_for(
    store: Path,
) -> None:
    done = answered(store, "secret", "set", "granted", "TOKEN", stdin=VALUE + b"\n")
    assert done == {"id": "granted", "status": "set", "names": ["TOKEN"]}
    assert seen_by_guest(store) is None  # no policy names it
    answered(store, *GRANT.split())
    assert seen_by_guest(store) == VALUE.decode()
    assert answered(store, "secret", "list", "add")["names"] == []  # it belongs to one


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(b"v", "v", id="none"),
        pytest.param(b"v\n", "v", id="one"),
        pytest.param(b"v\n\n", "v\n", id="two"),
        pytest.param(b" v ", " v ", id="spaces"),
    ],
)
def test_one_line_end_is_taken_off_and_nothing_else(
    store: Path, file: Path, given: bytes, kept: str
) -> None:
    file.write_bytes(given)
    answered(store, "secret", "set", "granted", "PIPED", stdin=given)
    answered(store, "secret", "set", "granted", "FILED", "--from-file", file)
    answered(store, "secret", "set", "granted", "NAMED", "--from-env", "V", env={"V": kept})
    policy = 'version: "1.0"\npermissions: {environment: {allow: [' + ", ".join(
        f"{{key: {key}, value_from: {{secret: {key}}}}}" for key in ("PIPED", "FILED", "NAMED")
    )
    answered(store, "policy", "set", "granted", "-", "--yes", stdin=f"{policy}]}}}}\n".encode())
    seen = dict(answered(store, "tool", "invoke", "variables"))
    assert seen == {"PIPED": kept, "FILED": kept, "NAMED": kept}


def test_at_a_terminal_each_value_is_asked_for_and_not_shown(store: Path) -> None:
    words = ["secret", "set", "granted", "OTHER", "TOKEN"]
    typed = [(b"OTHER: ", b"not-shown\n"), (b"TOKEN: ", VALUE + b"\n")]
    seen, status = at_terminal(store, *words, typed=typed)
    assert status == 0
    assert VALUE not in seen
    assert b"not-shown" not in seen
    answered(store, *GRANT.split())
    assert seen_by_guest(store) == VALUE.decode()


def test_a_value_on_the_command_line_is_taken_with_a_warning(store: Path) -> None:
    done = run(store, "secret", "set", "granted", "TOKEN=a=b")
    assert done.returncode == 0
    assert b"TOKEN was on the command line" in done.stderr
    assert b"a=b" not in done.stderr + done.stdout
    answered(store, *GRANT.split())
    assert seen_by_guest(store) == "a=b"


def test_a_value_is_in_no_output_and_in_no_file_but_its_own(store: Path, file: Path) -> None:
    file.write_bytes(VALUE)
    commands = [
        ["secret", "set", "granted", "TOKEN", "--from-file", str(file)],
        GRANT.split(),
        ["secret", "list", "granted", "-o", "yaml"],
        ["policy", "get", "granted"],
        ["policy", "check", "granted"],
        ["policy", "explain", "granted", "--env", "TOKEN"],
        ["component", "list"],
        ["inspect", "granted"],
        ["settings"],
        ["audit", "-o", "json"],
        ["secret", "set", "granted", "TOKEN", "--from-file", str(file), "--log-level", "debug"],
        ["secret", "delete", "granted", "TOKEN", "NO_SUCH"],
        ["audit", "-o", "json"],
    ]
    for words in commands:
        done = run(store, *words)
        assert VALUE not in done.stdout + done.stderr, words
    holding = [path for path in store.rglob("*") if path.is_file() and VALUE in path.read_bytes()]
    assert [path.parent.name for path in holding] == ["secrets"]
    [kept] = holding
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_names_are_on_record_and_lists_have_names_alone(store: Path) -> None:
    for name in ("B", "A"):
        answered(store, "secret", "set", "granted", name, stdin=VALUE)
    assert answered(store, "secret", "list", "granted") == {
        "id": "granted",
        "names": ["A", "B"],
        "total": 2,
    }
    answered(store, "secret", "delete", "granted", "A", "B", "A")
    assert names(store) == []
    events = served.operate(store, "audit", "--component", "granted", "-o", "json").stdout
    assert events.count(b'"client":"command line"') >= 3
    assert VALUE not in events


def test_a_secret_that_is_not_there_cannot_be_deleted_and_none_is(store: Path) -> None:
    answered(store, "secret", "set", "granted", "A", stdin=VALUE)
    refused(run(store, "secret", "delete", "granted", "A", "B"), "'B'", "there is A", status=2)
    assert names(store) == ["A"]


def test_a_deleted_secret_is_gone_from_the_next_call(store: Path) -> None:
    answered(store, "secret", "set", "granted", "TOKEN", stdin=VALUE)
    answered(store, *GRANT.split())
    answered(store, "secret", "delete", "granted", "TOKEN")
    assert seen_by_guest(store) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(b"", "TOKEN", id="nothing"),
        pytest.param(b"\n", "TOKEN", id="a line end"),
        pytest.param(b"a\0b-unheard", "TOKEN", id="a zero byte"),
        pytest.param(b"unheard\xff", "TOKEN", id="not UTF-8"),
        pytest.param(b"unheard", "A B", id="two names and one value"),
        pytest.param(b"unheard", "A A", id="one name twice"),
        pytest.param(b"unheard", "A --from-env NO_SUCH_VARIABLE", id="no such variable"),
        pytest.param(b"unheard", "A B --from-env PATH", id="one variable for two"),
        pytest.param(b"unheard", "A=unheard --from-env PATH", id="two values"),
        pytest.param(b"unheard", "not-unheard!", id="no name"),
        pytest.param(b"unheard", "=unheard", id="a value without a name"),
        pytest.param(b"unheard", "A --from-env PATH --from-file /etc/hosts", id="two sources"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_a_word_of_it(
    filled: Path, value: bytes, words: str
) -> None:
    done = run(filled, "secret", "set", "granted", *words.split(), stdin=value)
    refused(done, status=2)
    assert b"unheard" not in done.stderr
    assert names(filled) == []


def test_a_secret_has_at_most_64_kib(store: Path) -> None:
    most = b"x" * (64 << 10)
    answered(store, "secret", "set", "granted", "TOKEN", stdin=most + b"\n")
    for more in (b"x", b"\n\n", b"x" * len(most)):
        done = run(store, "secret", "set", "granted", "TOKEN", stdin=most + more)
        refused(done, "more than 65536 bytes")


def test_a_file_that_is_none_is_refused(filled: Path, file: Path) -> None:
    words = ["secret", "set", "granted", "TOKEN", "--from-file", str(file)]
    refused(run(filled, *words), str(file), "No such file")
    os.mkfifo(file)
    refused(run(filled, *words), str(file), "a FIFO")


def test_nobody_is_asked_for_a_secret_of_a_component_that_is_not_there(filled: Path) -> None:
    seen, status = at_terminal(filled, "secret", "set", "nobody", "TOKEN")
    assert status == 1
    assert b"TOKEN" not in seen
