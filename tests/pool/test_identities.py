"""Which user a worker of root becomes."""

from __future__ import annotations

import os
from pathlib import Path

from wassette_supervisor.pool.identities import Identities, spare_ids


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
    assert set(given) == set(range(100, 110))


def test_without_spare_ids_a_child_stays_who_its_parent_is() -> None:
    assert Identities(None).of(7) is None
