"""A template that gave up less than it must gets no component, and so starts no worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from support.pools import component, settings_for
from support.processes import descendants, until
from wassette_supervisor.errors import WorkerViolatedError
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from pathlib import Path

# A real zygote, but its templates skip a step of their lock-down and say so.
PROGRAM = """
import types
from wassette_worker import template, zygote
from wassette_worker.sandbox import lockdown

def without_a_step(steps):
    return lockdown.lock_down([step for step in steps if step.name != "rlimits"])

# Of templates alone: compile workers have the real one.
template.lockdown = types.SimpleNamespace(**vars(lockdown) | {"lock_down": without_a_step})
zygote.main()
"""


async def test_a_template_that_gave_up_less_than_it_must_gets_no_component(
    isolation: str, tmp_path: Path
) -> None:
    (tmp_path / "rogue.py").write_text(PROGRAM)
    add = await component("add")
    async with open_pool(settings_for(isolation), str(tmp_path / "rogue.py")) as pool:
        with anyio.fail_after(20), pytest.raises(WorkerViolatedError) as caught:
            await add.call(pool, "add", '{"a": 2, "b": 3}')
    await until(lambda: not descendants(), "no process left")
    assert caught.value.detail == "template: a process without rlimits"
