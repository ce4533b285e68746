"""Real processes that send what chance made of honest frames: the call fails, and nothing else.

`FUZZ_FRAMES` says how many frames are tried without processes; of these there are more with it.
"""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path

import anyio
import pytest

from support import rogue_frames
from support.guests import guest_bytes
from support.pools import compile_with, component, limited, settings_for
from support.processes import descendants, open_descriptors, until
from wassette_supervisor.errors import HeldBackError, RestingError, SupervisorError
from wassette_supervisor.pool.pool import Pool, open_pool
from wassette_supervisor.pool.restarts import ZYGOTE

pytestmark = pytest.mark.thorough

# Of each kind; a zygote is an interpreter of its own.
_TIMES = max(int(os.environ.get("FUZZ_FRAMES", "50000")) // 250_000, 1)
PROCESSES = {"worker": 100, "template": 60, "compile worker": 40, "zygote": 15}
_GROWTH = 24 << 20
_AT_MOST_S = 20


def resident() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def attacked(pool: Pool, kind: str) -> bool:
    """Whether what was asked for failed, and not because of what had failed before."""
    add = await component("add")
    try:
        with anyio.fail_after(_AT_MOST_S):
            if kind == "compile worker":
                await compile_with(pool, guest_bytes("add"))
            else:
                await add.call(pool, "add", '{"a": 2, "b": 3}', limited(wall_time_ms=200))
    except (HeldBackError, RestingError):
        raise  # then nothing was started, and nothing tried
    except SupervisorError:
        return True
    finally:
        pool.pardon(add.digest)
    return False


@pytest.mark.timeout(60 * (1 + _TIMES))
@pytest.mark.parametrize("kind", PROCESSES)
async def test_whatever_a_process_sends_its_call_fails_and_the_supervisor_goes_on(
    kind: str, tmp_path: Path
) -> None:
    await component("add")
    before, failed, sizes = len(open_descriptors()), 0, list[int]()
    count = PROCESSES[kind] * _TIMES
    # A zygote that ended too often rests, whoever has pardoned what; a call may start two.
    at_once = ZYGOTE.ends // 2 if kind == "zygote" else count
    for first in range(0, count, at_once):
        async with open_pool(settings_for(), rogue_frames.program(tmp_path, kind)) as pool:
            for number in range(first, min(first + at_once, count)):
                failed += await attacked(pool, kind)
                if number in (count // 5, count - 1):
                    sizes.append(resident())
    await until(lambda: not descendants(), "no process left")
    print(  # noqa: T201 - `sh scripts/fuzz` shows it
        f"{count} processes, {failed} calls failed, memory {(sizes[-1] - sizes[0]) >> 10:+} KiB, "
        f"descriptors {len(open_descriptors()) - before:+}"
    )
    assert failed > count * 0.8
    assert len(open_descriptors()) <= before + 4  # the event loop's own
    assert sizes[-1] - sizes[0] < _GROWTH
