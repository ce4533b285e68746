"""What can be granted at all, and what its texts show."""

from __future__ import annotations

import pytest

from wassette_protocol.capabilities import MAX_VARIABLES, Limits, Storage
from wassette_supervisor.pool.grants import Directory, GrantError, Grants

READABLE = Directory("d", "/srv/d", 1, 2, writable=False)
WRITABLE = Directory("w", "/srv/w", 1, 3, writable=True)


def test_no_text_of_grants_has_a_value_in_it() -> None:
    grants = Grants(Limits(), (("KEY", "hunter2"),), (READABLE,))
    shown = f"{grants} {grants!r} {[grants]} {grants.preopens}"
    assert "KEY" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("directories", "storage"),
    [((), Storage.NONE), ((READABLE,), Storage.READ), ((READABLE, WRITABLE), Storage.WRITE)],
    ids=["none", "readable", "one writable"],
)
def test_the_storage_of_a_worker_is_the_widest_of_its_directories(
    directories: tuple[Directory, ...], storage: Storage
) -> None:
    assert Grants(Limits(), directories=directories).storage is storage


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (tuple((f"K{number}", "") for number in range(MAX_VARIABLES + 1)), "257 variables"),
        ((("K", "secret\0"),), "NUL"),
        ((("K", "secret\udcff"),), "no Unicode"),
        ((("K\udcff", "secret"),), "name"),
        ((("K", "secret"), ("K", "secret")), "twice"),
    ],
    ids=["too many", "NUL", "no UTF-8", "no UTF-8 in a name", "twice"],
)
def test_what_a_worker_cannot_take_is_refused_without_a_value(
    environment: tuple[tuple[str, str], ...], reason: str
) -> None:
    with pytest.raises(GrantError, match=reason) as caught:
        Grants(Limits(), environment)
    assert "secret" not in str(caught.value)


def test_two_directories_of_one_name_are_refused() -> None:
    with pytest.raises(GrantError, match="twice"):
        Grants(Limits(), directories=(READABLE, READABLE))


@pytest.mark.parametrize("path", ["", "srv", "/srv/", "//srv", "/srv/../etc", "/./srv", "/a\0b"])
def test_a_path_that_is_not_canonical_is_refused(path: str) -> None:
    with pytest.raises(GrantError, match="canonical"):
        Directory("d", path, 1, 2, writable=False)


def test_the_root_is_a_path() -> None:
    assert Directory("d", "/", 1, 2, writable=False).path == "/"
