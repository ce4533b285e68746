"""A quarantined component that is damaged: repaired and released in any order, beside a server."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from support import guests, served
from support.commands import answered, refused, run
from wassette_supervisor.pool.restarts import CRASHES

if TYPE_CHECKING:
    from pathlib import Path

    from support.served import Raw

pytestmark = pytest.mark.thorough

OTHER_BYTES = b"\0\1\0"  # an empty section of nobody's
LIMITS = ("--limit", "wall_time=60s", "--limit", "fuel=1000000000000")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    # Not a copy: that has no audit log, which a record is made anew by.
    return served.make_store(tmp_path / "store", ["spin"])


async def call(server: Raw, request: int) -> str:
    """Have a call crash, if it starts: what its answer says."""
    await server.call(request, "spin")
    worker = await served.busy_worker(server.pid)
    os.kill(worker, signal.SIGABRT)
    answer = await server.answer(request)
    assert answer["isError"]
    return str(answer["content"][0]["text"])


async def refusal(server: Raw, request: int) -> str:
    """What the answer to a call says that is not started."""
    await server.call(request, "spin")
    answer = await server.answer(request)
    assert answer["isError"]
    return str(answer["content"][0]["text"])


async def quarantine(server: Raw, first: int = 100) -> None:
    for number in range(CRASHES.ends + 1):
        assert "SIGABRT" in await call(server, first + number)


def listed(store: Path) -> dict[str, Any]:
    done = run(store, "component", "list")
    [component] = json.loads(done.stdout)["components"]
    return dict(component)


def damage(file: Path) -> None:
    file.write_bytes(b"{}")


def record(store: Path) -> Path:
    return store / "components" / "spin.json"


def blob(store: Path) -> Path:
    [found] = (store / "blobs/sha256").iterdir()
    return found


def release(store: Path) -> str:
    return str(answered(store, "component", "release", "spin")["status"])


async def test_a_repaired_record_is_quarantined_as_before_until_it_is_released(
    store: Path,
) -> None:
    async with served.raw(store, *LIMITS) as server:
        await quarantine(server)
        damage(record(store))
        assert listed(store)["state"] == "damaged"
        refused(
            run(store, "component", "release", "spin"),
            "the record of 'spin' is damaged, so nothing was released",
            "run `component repair spin` first",
        )
        [repaired] = answered(store, "component", "repair", "spin")["components"]
        assert (repaired["state"], repaired["left"]) == ("quarantined", [])
        assert [each["part"] for each in repaired["repaired"]] == ["record"]
        assert listed(store)["state"] == "quarantined"
        assert "component release spin" in await refusal(server, 1)
        assert (release(store), release(store)) == ("released", "ready")
        assert "SIGABRT" in await call(server, 2)  # it is started again
    table = run(store, "component", "repair", "spin", "-o", "table").stdout.decode()
    assert "nothing was to be done" in table


async def test_a_release_holds_when_the_record_is_repaired_after_it(store: Path) -> None:
    async with served.raw(store, *LIMITS) as server:
        await quarantine(server)
        assert release(store) == "released"
        damage(record(store))
        [repaired] = answered(store, "component", "repair", "spin")["components"]
        assert repaired["state"] == "ready"
        assert "SIGABRT" in await call(server, 1)


@pytest.mark.parametrize("order", ["repair, release", "release, repair"])
async def test_damaged_bytes_are_repaired_before_or_after_a_release(
    store: Path, order: str
) -> None:
    async with served.raw(store, *LIMITS) as server:
        await quarantine(server)
        damage(blob(store))
        both = listed(store)
        assert both["state"] == "damaged"
        assert "it is quarantined, too" in both["reason"]
        for command in order.split(", "):
            if command == "release":
                assert release(store) == "released"
            else:
                [repaired] = answered(store, "component", "repair", "spin")["components"]
                wanted = "quarantined" if order.startswith("repair") else "ready"
                assert repaired["state"] == wanted
        assert listed(store)["state"] == "ready"
        assert "SIGABRT" in await call(server, 1)


async def test_a_repair_of_a_quarantined_component_says_how_that_ends(store: Path) -> None:
    async with served.raw(store, *LIMITS) as server:
        await quarantine(server)
    table = run(store, "component", "repair", "spin", "-o", "table", env={"COLUMNS": "400"})
    assert "`component release spin` ends that" in table.stdout.decode()
    assert answered(store, "component", "repair", "--all") == {"components": [], "total": 0}
    assert listed(store)["state"] == "quarantined"


async def test_a_record_that_was_damaged_when_its_component_crashed_is_quarantined_when_whole(
    store: Path,
) -> None:
    async with served.raw(store, *LIMITS) as server:
        assert "SIGABRT" in await call(server, 1)
        damage(record(store))
        for number in range(CRASHES.ends):  # it does not look at the file for that
            assert "SIGABRT" in await call(server, 2 + number)
        assert "quarantined" in await refusal(server, 20)
        answered(store, "component", "repair", "spin")
        assert "quarantined" in await refusal(server, 21)
        assert listed(store)["state"] == "quarantined"
        assert release(store) == "released"
        assert "SIGABRT" in await call(server, 22)


async def test_a_repair_knows_that_other_bytes_came_in_the_place_of_those_that_crashed(
    tmp_path: Path,
) -> None:
    store, file = tmp_path / "store", tmp_path / "spin.wasm"
    file.write_bytes(guests.guest_bytes("spin"))
    served.load(store, file)
    async with served.raw(store, *LIMITS) as server:
        await quarantine(server)
    for content, state in (
        (guests.guest_bytes("spin"), "quarantined"),
        (guests.guest_bytes("spin") + OTHER_BYTES, "ready"),
    ):
        file.write_bytes(content)
        served.load(store, file)
        damage(record(store))
        [repaired] = answered(store, "component", "repair", "spin")["components"]
        assert repaired["state"] == listed(store)["state"] == state
