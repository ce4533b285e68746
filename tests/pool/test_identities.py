"""Which user a worker of root becomes."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from wassette_supervisor.errors import IsolationUnavailableError
from wassette_supervisor.pool.identities import Identities, identity_of, spare_ids


def test_ids_for_workers_are_not_those_of_root_or_nobody() -> None:
    ids = spare_ids()
    if ids is None:  # an ordinary user, or root of a namespace with few ids
        assert os.geteuid() != 0 or not maps_everything()
    else:
        assert not {0, 65534} & {ids.start, ids.stop - 1}
        assert len(ids) >= 1000


def maps_everything() -> bool:
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def test_two_children_have_two_ids_until_the_round_is_over() -> None:
    identities = Identities(range(100, 110))
    given = [identities.of(child) for child in range(10)]
    assert {one.uid for one in given if one} == set(range(100, 110))
    assert all(one and one.uid == one.gid for one in given)


def test_without_spare_ids_a_child_stays_who_its_parent_is() -> None:
    assert Identities(None).of(7) is None


def root_of_everything() -> bool:
    return os.geteuid() == 0 and maps_everything()


@pytest.mark.skipif(not root_of_everything(), reason="only root becomes somebody else")
def test_an_owner_keeps_the_group_that_the_system_has_for_them() -> None:
    for known in pwd.getpwall():
        found = identity_of(known.pw_uid)
        assert found is not None
        assert (found.uid, found.gid) == (known.pw_uid, pwd.getpwuid(known.pw_uid).pw_gid)


@pytest.mark.skipif(not root_of_everything(), reason="only root becomes somebody else")
def test_an_owner_that_the_system_does_not_know_gets_a_group_that_nobody_has() -> None:
    unknown = 0x6FFF_1234
    found, ids = identity_of(unknown), spare_ids()
    assert found is not None
    assert found.uid == unknown
    assert ids is not None
    assert found.gid in ids


@pytest.mark.skipif(os.geteuid() == 0, reason="root becomes anybody")
def test_an_ordinary_user_becomes_nobody_else_nor_oneself_by_name() -> None:
    for uid in (0, os.geteuid(), 12345):
        with pytest.raises(IsolationUnavailableError, match=f"user {uid} "):
            identity_of(uid)


def test_a_user_that_no_map_has_is_refused() -> None:
    with pytest.raises(IsolationUnavailableError):
        identity_of((1 << 32) - 1)
