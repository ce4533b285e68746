"""What a question keeps open is closed, whoever was to take it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from wassette_supervisor import settings
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.consent.book import Held, Waiting
from wassette_supervisor.consent.change import Asked, Read
from wassette_supervisor.front.asking import Asking, Questions

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.server.context import ServerRequestContext

    from wassette_supervisor.front.list_changes import LegacySessions


class Opened:
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("taken", [False, True])
def test_a_call_that_ends_early_closes_what_it_did_not_take(tmp_path: Path, *, taken: bool) -> None:
    nobody = SimpleNamespace(session=SimpleNamespace(client_params=None))
    context = cast("ServerRequestContext[LegacySessions]", nobody)
    asking = Asking(settings.load({}, {"HOME": str(tmp_path)}), AuditLog(tmp_path / "audit"))
    opened = Opened()
    waiting: Waiting[Held] = Waiting(Asked(Read("file:///a.wasm", None)), frozenset(), opened, 1.0)
    responses: dict[str, Any] = {}
    questions = Questions(asking, context, waiting, responses)
    assert not taken or questions.held() is opened
    questions.close()
    assert opened.closed != taken
