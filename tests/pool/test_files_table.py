"""The table of what a guest can do with files: each row in both modes, in C and in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.files_table import ROWS, TABLE
from support.files_table.rows import identifier
from support.files_table.runs import EXACT, PLAIN, PYTHON, C, Guests, Table
from support.pools import component, settings_for
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.files_table.rows import Row

IDS = [identifier(item, row) for item, row in ROWS]
MODES = pytest.mark.parametrize("mode", [PLAIN, EXACT])


@pytest.fixture(scope="module")
async def table(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Table]:
    guests = {C: await component("files"), PYTHON: await component("python_files")}
    async with open_pool(settings_for()) as pool:
        with Table(Guests(pool, guests), tmp_path_factory.mktemp("table")) as made:
            yield made


def in_c() -> list[object]:
    return [pytest.param(number, id=each) for number, each in enumerate(IDS)]


def in_python() -> list[object]:
    rows = enumerate(zip(IDS, ROWS, strict=True))
    return [
        pytest.param(number, id=each)
        for number, (each, (_, row)) in rows
        if not isinstance(row.python, str)
    ]


@pytest.mark.parametrize("number", in_c())
@MODES
async def test_a_row_in_c_has_its_outcome_and_leaves_what_it_says(
    table: Table, number: int, mode: str
) -> None:
    row = there(number)
    outcome = await table.outcome(number, C, mode)
    assert outcome.answer == row.expected(mode)
    if row.swaps is None:  # else either stands there when it is over
        assert outcome.left == row.expected_left(mode)


@pytest.mark.parametrize("number", in_python())
@MODES
async def test_a_row_in_python_has_the_same_outcome_by_its_names(
    table: Table, number: int, mode: str
) -> None:
    row = there(number)
    outcome = await table.outcome(number, PYTHON, mode)
    assert outcome.answer == row.expected_of_python(mode)
    assert outcome.left == row.expected_left(mode)


def there(number: int) -> Row:
    _, row = ROWS[number]
    if not row.can_be:
        pytest.skip(f"NOT RUN: this machine has no {row.needs}")
    return row


def test_each_row_has_a_name_of_its_own_and_says_why_python_can_not() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(TABLE.values())
    for identity, (_, row) in zip(IDS, ROWS, strict=True):
        assert (row.does.python is not None) or isinstance(row.python, str), identity


def test_a_guest_changes_what_is_outside_only_by_another_name_of_it() -> None:
    """Nothing outside is another afterwards, but what is inside as well, or was moved there."""
    for item, row in ROWS:
        for mode in (PLAIN, EXACT):
            outside = {path for path in row.expected_left(mode) if path.startswith("../")}
            assert not outside or item == "hard links" or row.is_disturbed, row.name


def test_where_both_modes_differ_a_rule_denies_it_or_the_row_says_why() -> None:
    for item, row in ROWS:
        differs = row.plain != row.exact
        denied = row.exact == "access" or row.grant.deny
        assert not differs or denied or row.why, f"{item}, {row.name}"
