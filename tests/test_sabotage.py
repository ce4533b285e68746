"""A sabotage that a test misses is found, and so is one that breaks the test itself."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import pytest

from support.claims import REPOSITORY, Claim
from support.sabotage import Copy, honest_faults, try_claim

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCT = """
import math

LIMIT = 5

def is_taken(size):
    return size <= LIMIT
"""
TESTS = """
import pytest
import small

@pytest.fixture
def taken():
    return [size for size in range(3, 9) if small.is_taken(size)]

@pytest.fixture
def some(taken):
    assert 3 in taken

@pytest.mark.parametrize("size", [5, 6])
def test_of_the_limit(size):
    assert small.is_taken(size) == (size == 5)

def test_that_is_vague(taken):
    assert 3 in taken and 8 not in taken

def test_behind_a_fixture(some):
    pass
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    original, folder = tmp_path_factory.mktemp("original"), tmp_path_factory.mktemp("copy")
    (original / "supervisor").mkdir()
    (original / "supervisor" / "small.py").write_text(PRODUCT)
    (original / "tests" / "support").mkdir(parents=True)
    (original / "tests" / "test_small.py").write_text(TESTS)
    warm = "tests/support/warm.py"
    shutil.copyfile(REPOSITORY / warm, original / warm)
    (original / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    with contextlib.closing(Copy(original, folder)) as made:
        yield made


def sabotage(test: str, line: str, instead: str) -> Claim:
    tests = [f"tests/test_small.py::{test}"]
    return Claim("README.md", "It is so.", tests, "supervisor/small.py", line, instead, "")


def test_a_test_that_fails_holds_its_claim_and_the_copy_is_honest_again(copy: Copy) -> None:
    claim = sabotage("test_of_the_limit", "return size <= LIMIT", "return size < LIMIT")
    for _ in range(2):
        assert try_claim(copy, "limit", claim).faults == []
        assert honest_faults(copy.run(claim.tests), claim.tests) == []


@pytest.mark.parametrize(
    ("claim", "fault"),
    [
        pytest.param(
            sabotage("test_that_is_vague", "return size <= LIMIT", "return size < LIMIT"),
            "does not notice it",
            id="unnoticed",
        ),
        pytest.param(
            sabotage("test_of_the_limit[5]", "LIMIT = 5", "LIMIT = 6"),
            "does not notice it",
            id="noticed by another row",
        ),
        pytest.param(
            sabotage("test_behind_a_fixture", "return size <= LIMIT", "return False"),
            "error",
            id="fails before the test",
        ),
        pytest.param(
            sabotage("test_of_the_limit", "return size <= LIMIT", "return size <= LIMITS"),
            "NameError",
            id="undefined name",
        ),
        pytest.param(
            sabotage("test_of_the_limit", "import math", "import no_such_module"),
            "pytest ended with",
            id="import",
        ),
        pytest.param(
            sabotage("test_of_nothing", "LIMIT = 5", "LIMIT = 6"), "pytest ended with", id="no test"
        ),
    ],
)
def test_anything_else_is_a_fault(copy: Copy, claim: Claim, fault: str) -> None:
    assert fault in " ".join(try_claim(copy, "limit", claim).faults)


def test_a_line_that_is_not_there_once_is_refused(copy: Copy) -> None:
    claim = sabotage("test_of_the_limit", "return size", "return 1")
    with pytest.raises(ValueError, match="has 0 lines"):
        try_claim(copy, "limit", claim)


def test_a_test_that_fails_without_any_sabotage_is_told(copy: Copy) -> None:
    claim = sabotage("test_of_the_limit", "LIMIT = 5", "LIMIT = 7")
    with copy.sabotaged(claim):
        run = copy.run(claim.tests)
    [fault] = honest_faults(run, claim.tests)
    assert fault.startswith("tests/test_small.py::test_of_the_limit[6]: failed")
    assert honest_faults(run, ["tests/test_small.py::test_other"]) == [
        "tests/test_small.py::test_other: no such test"
    ]
