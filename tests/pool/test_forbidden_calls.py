"""A worker that calls what its filter has not: what its caller and the operator are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.pools import component, settings_for
from support.processes import descendants, until
from wassette_supervisor.errors import ForbiddenCallError
from wassette_supervisor.pool.pool import open_pool

if TYPE_CHECKING:
    from pathlib import Path

# A real zygote, but its workers have native code in the guest's place.
PROGRAM = """
import socket
from wassette_worker import worker, zygote
from wassette_worker.guest import Running

def breaks_out(self, export, call, arguments):
    socket.socket()

Running.invoke = breaks_out
zygote.main()
"""


async def test_a_call_that_its_filter_ended_says_so_and_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rogue.py").write_text(PROGRAM)
    add = await component("add")
    said = "SIGSYS: it made a system call that its sandbox forbids; .* don't trust this component"
    async with open_pool(settings_for("fork"), str(tmp_path / "rogue.py")) as pool:
        for _ in range(2):
            with pytest.raises(ForbiddenCallError, match=said):
                await add.call(pool, "add", '{"a": 2, "b": 3}')
    await until(lambda: not descendants(), "no process left")
    assert "worker.forbidden" in capsys.readouterr().out
