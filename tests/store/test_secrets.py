from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wassette_protocol.frames import ComponentId
from wassette_supervisor.errors import StoreError, UsageError
from wassette_supervisor.store.secrets import MAX_SECRET_BYTES, MAX_SECRETS, Secrets
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ID = ComponentId("weather")


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    store = Store(tmp_path / "store")
    store.open()
    return Secrets(store)


def file(tmp_path: Path) -> Path:
    return tmp_path / "store" / "secrets" / f"{ID}.json"


def test_secrets_are_kept_for_one_component_and_for_its_user_alone(
    secrets: Secrets, tmp_path: Path
) -> None:
    secrets.set(ID, {"TOKEN": "s3cret", "OTHER": "é\n"})
    secrets.set(ID, {"TOKEN": "newer"})
    assert secrets.read(ID) == {"TOKEN": "newer", "OTHER": "é\n"}
    assert secrets.read(ComponentId("other")) == {}
    assert file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_a_deleted_secret_is_gone_and_the_last_takes_the_file_with_it(
    secrets: Secrets, tmp_path: Path
) -> None:
    secrets.set(ID, {"A": "1", "B": "2"})
    secrets.delete(ID, ["A"])
    assert secrets.read(ID) == {"B": "2"}
    secrets.delete(ID, ["B"])
    assert not file(tmp_path).exists()
    secrets.set(ID, {"A": "1"})
    secrets.forget(ID)
    assert secrets.read(ID) == {}


def test_deleting_what_is_not_there_deletes_nothing_and_says_what_is(secrets: Secrets) -> None:
    secrets.set(ID, {"A": "1", "B": "2"})
    with pytest.raises(UsageError, match="no secret 'C'; there is A, B"):
        secrets.delete(ID, ["A", "C"])
    assert secrets.read(ID) == {"A": "1", "B": "2"}


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "É", "A\n", "../A", "A" * 129])
def test_a_name_that_no_variable_could_have_is_refused(secrets: Secrets, name: str) -> None:
    with pytest.raises(UsageError, match="no name of a secret"):
        secrets.set(ID, {name: "value"})


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (MAX_SECRET_BYTES + 1)], ids=repr)
def test_a_value_that_no_variable_could_have_is_refused_and_not_shown(
    secrets: Secrets, value: str
) -> None:
    with pytest.raises(UsageError, match="the secret A should have") as error:
        secrets.set(ID, {"A": value})
    assert value == "" or value not in str(error.value)


def test_there_is_a_most_of_secrets(secrets: Secrets) -> None:
    secrets.set(ID, {f"S{number}": "x" for number in range(MAX_SECRETS)})
    with pytest.raises(UsageError, match="64 secrets at most"):
        secrets.set(ID, {"ONE_MORE": "x"})


@pytest.mark.parametrize("text", [b"", b"[]", b'{"A": 1}', b'{"A": "hidden"', b"\xff"], ids=repr)
def test_damaged_secrets_are_an_error_that_shows_none_of_them(
    secrets: Secrets, tmp_path: Path, text: bytes
) -> None:
    secrets.set(ID, {"A": "1"})
    file(tmp_path).write_bytes(text)
    with pytest.raises(StoreError, match="are damaged; delete that file") as error:
        secrets.read(ID)
    assert "hidden" not in str(error.value)


def test_secrets_of_which_one_bit_is_another_are_none(secrets: Secrets, tmp_path: Path) -> None:
    secrets.set(ID, {"A": "1"})
    kept = file(tmp_path).read_bytes()
    assert kept.count(b'"A":"1"') == 1
    file(tmp_path).write_bytes(kept.replace(b'"A":"1"', b'"A":"0"'))
    with pytest.raises(StoreError, match="are damaged"):
        secrets.read(ID)


def test_secrets_of_another_component_are_none(secrets: Secrets, tmp_path: Path) -> None:
    secrets.set(ComponentId("other"), {"A": "of the other"})
    (tmp_path / "store" / "secrets" / "other.json").rename(file(tmp_path))
    with pytest.raises(StoreError, match="are damaged") as error:
        secrets.read(ID)
    assert "of the other" not in str(error.value)
