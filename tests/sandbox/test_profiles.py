"""Which filter a worker has: by what its component is granted, then by what it imports."""

from __future__ import annotations

import itertools

import pytest

from wassette_protocol.capabilities import Storage
from wassette_worker.guest import profile_of
from wassette_worker.sandbox.profiles import WIDENING, Profile, rows_of


@pytest.mark.parametrize(
    ("imported", "profile"),
    [
        pytest.param([], Profile.COMPUTE, id="nothing"),
        pytest.param(["wasi:random/random@0.2.0"], Profile.COMPUTE, id="random numbers"),
        pytest.param(["wasi:config/store@0.2.0-rc.1"], Profile.COMPUTE, id="variables"),
        pytest.param(["wasi:clocks/wall-clock@0.2.3"], Profile.COMPUTE, id="the time"),
        pytest.param(["wasi:clocks/monotonic-clock@0.2.0"], Profile.RUNTIME, id="a clock to wait"),
        pytest.param(["wasi:io/poll@0.2.0"], Profile.RUNTIME, id="polling"),
        pytest.param(["wasi:cli/stdout@0.2.0"], Profile.RUNTIME, id="printing"),
        pytest.param(["wasi:random/random@0.2.0", "wasi:io/streams@0.2.0"], Profile.RUNTIME,
                     id="one that waits among others"),
        pytest.param(["something:else/entirely"], Profile.RUNTIME, id="what is not known"),
    ],
)  # fmt: skip
def test_a_component_that_never_waits_has_the_narrowest_filter(
    imported: list[str], profile: Profile
) -> None:
    assert profile_of(imported, Storage.NONE) is profile


@pytest.mark.parametrize("imported", [[], ["wasi:filesystem/types@0.2.0"]])
def test_files_are_for_grants_alone_whatever_is_imported(imported: list[str]) -> None:
    assert profile_of(imported, Storage.READ) is Profile.FILES
    assert profile_of(imported, Storage.WRITE) is Profile.CHANGES
    assert profile_of(imported, Storage.NONE) in Profile.COMPUTE | Profile.RUNTIME


def test_a_wider_profile_refuses_no_call_that_a_narrower_one_allows() -> None:
    for narrower, wider in itertools.pairwise(WIDENING):
        allowed = {row for row in rows_of(narrower) if not row.refused}
        assert {(row.call, row.tests) for row in allowed} <= {
            (row.call, row.tests) for row in rows_of(wider) if not row.refused
        }
