"""Processes killed at random under load: each call is answered, rightly or with the reason."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import served
from support.processes import descendants, named, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.thorough]

CALLS = {"fork": 150, "exec": 40}
IN_FLIGHT = 8
# A zygote less often: with one more within a minute it rests.
VICTIMS = ["wassette-worker"] * 6 + ["wassette-templ", "wassette-init"] * 2
ZYGOTES = 3
KILLS_APART_S = {"fork": 0.1, "exec": 0.4}
CAUSES = ("died of SIGKILL", "died of an unknown cause", "has ended", "died of exit status")


async def test_no_call_is_lost_or_wrong_whatever_is_killed(scratch: Path, isolation: str) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - to be done again
    print(f"seed {seed}")  # noqa: T201 - shown if it fails
    options = ["--isolation", isolation, "--max-workers", "4", "--queue", "100"]
    async with served.raw(scratch, *options) as server:
        assert await server.adds(0)
        before = len(server_descriptors(server.pid))
        async with anyio.create_task_group() as tasks:
            chance = random.Random(seed)  # noqa: S311 - to be done again
            tasks.start_soon(_kill_at_random, server.pid, chance, KILLS_APART_S[isolation])
            answers = await _answers(server, CALLS[isolation])
            tasks.cancel_scope.cancel()
        await _works_again(server)
        await until(
            lambda: not [seen for seen in descendants(server.pid) if seen.state == "Z"], "no zombie"
        )
        await until(lambda: len(server_descriptors(server.pid)) <= before + 8, "none leaked")
        below = [seen.pid for seen in descendants(server.pid)]
        await server.stdin.aclose()
        with anyio.fail_after(20):
            assert await server.process.wait() == 0
        await served.gone_within(20, *below)
    right = [number for number, result in answers.items() if not result.get("isError")]
    assert all(answers[n]["structuredContent"] == {"result": n + 1} for n in right)
    texts = [r["content"][0]["text"] for r in answers.values() if r.get("isError")]
    assert all(any(cause in text for cause in CAUSES) for text in texts), texts
    assert len(right) > len(answers) // 4
    assert served.operate(scratch, "audit", "verify").returncode == 0
    entries = served.operate(scratch, "audit").stdout.decode().splitlines()
    events = [json.loads(line)["event"] for line in entries]
    assert events.count("call-started") == events.count("call-ended") >= len(answers)
    assert events.count("quarantine") == 0


def server_descriptors(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - of names alone


async def _answers(server: served.Raw, count: int) -> dict[int, dict[str, Any]]:
    answers: dict[int, dict[str, Any]] = {}
    asked = 0
    while len(answers) < count:
        while asked < count and asked - len(answers) < IN_FLIGHT:
            asked += 1
            await server.call(asked, "add", a=asked, b=1)
        answer = await server.read()
        assert answer["id"] not in answers
        answers[answer["id"]] = answer["result"]
    return answers


async def _kill_at_random(server: int, chance: random.Random, apart_s: float) -> None:
    for name in ["wassette-zygote"] * ZYGOTES:
        for victim in [*chance.choices(VICTIMS, k=12), name]:
            found = named(victim, server)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(found).pid, signal.SIGKILL)
            await anyio.sleep(chance.random() * 2 * apart_s)


async def _works_again(server: served.Raw) -> None:
    """The first call may be that of a spare that was killed just now; the next is not."""
    worked = [await server.adds(1000 + number) for number in range(1, 4)]
    assert worked[-1], worked
