"""Every row of the filter that a network brings is there because an honest worker needs it.

They can't be recorded: a worker with a network has a listener, and a process has one at the most.
So each is left out in turn, and the request fails.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.answering import Decider, answering
from support.pools import component, settings_for
from wassette_protocol.capabilities import Limits
from wassette_protocol.frames import Export
from wassette_supervisor.errors import CallError
from wassette_supervisor.pool.grants import Grants
from wassette_supervisor.pool.pool import open_pool
from wassette_worker.sandbox.profiles import ROWS, Profile

if TYPE_CHECKING:
    from pathlib import Path

OF_NETWORK = [
    number
    for number, row in enumerate(ROWS)
    if row.profiles & Profile.NETWORK and not row.idle and not row.refused
]
_WITHOUT = """
from wassette_worker import zygote
from wassette_worker.sandbox import profiles
profiles.ROWS = tuple(row for number, row in enumerate(profiles.ROWS) if number != {number})
zygote.main()
"""


async def fetched(program: Path) -> object:
    net = await component("net")
    with answering(b"hi") as port:
        given = {
            "method": "POST",
            "url": f"http://127.0.0.1:{port}/",
            "headers": [],
            "body": "aGk=",
        }
        async with open_pool(settings_for(), str(program)) as pool:
            outcome = await pool.call(
                net,
                Export("test:net/client@0.1.0", "fetch"),
                json.dumps(given).encode(),
                grants=Grants(Limits(wall_time_ms=3000), network=True),
                component=net.id,
                requests=Decider(port),
            )
    return outcome.value["result"]


async def test_with_all_rows_a_request_is_made(tmp_path: Path) -> None:
    program = tmp_path / "zygote.py"
    program.write_text(_WITHOUT.format(number=-1))
    assert isinstance(await fetched(program), dict)


@pytest.mark.parametrize("number", OF_NETWORK, ids=[ROWS[number].call for number in OF_NETWORK])
async def test_without_one_of_them_it_is_not(number: int, tmp_path: Path) -> None:
    program = tmp_path / "zygote.py"
    program.write_text(_WITHOUT.format(number=number))
    with pytest.raises(CallError):
        await fetched(program)
