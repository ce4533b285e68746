"""What a question keeps open is closed, whoever was to take it; and a no counts from the first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import mcp_types as types
import pytest

from wassette_supervisor import settings
from wassette_supervisor.audit.log import AuditLog
from wassette_supervisor.consent.book import Held, Waiting
from wassette_supervisor.consent.change import Asked, Read
from wassette_supervisor.front.asking import ANSWER, Asking, Questions

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.server.context import ServerRequestContext

    from wassette_supervisor.front.list_changes import LegacySessions


class Opened:
    closed = False

    def close(self) -> None:
        self.closed = True


NOBODY = SimpleNamespace(session=SimpleNamespace(client_params=None))


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(settings.load({}, {"HOME": str(tmp_path)}), AuditLog(tmp_path / "audit"))


@pytest.mark.parametrize("taken", [False, True])
def test_a_call_that_ends_early_closes_what_it_did_not_take(asking: Asking, *, taken: bool) -> None:
    context = cast("ServerRequestContext[LegacySessions]", NOBODY)
    opened = Opened()
    waiting: Waiting[Held] = Waiting(Asked(Read("file:///a.wasm", None)), frozenset(), opened, 1.0)
    responses: dict[str, Any] = {}
    questions = Questions(asking, context, waiting, responses)
    assert not taken or questions.held() is opened
    questions.close()
    assert opened.closed != taken


def test_what_was_refused_is_refused_before_the_request_that_brings_the_answer_waits(
    asking: Asking,
) -> None:
    asked = Asked(Read("file:///a.wasm", None))
    waiting = asking.book.ask(asked)
    brought = types.CallToolRequestParams(
        name="load-component",
        request_state=waiting.nonce,
        input_responses={ANSWER: types.ElicitResult(action="decline")},
    )
    asking.of(cast("ServerRequestContext[LegacySessions]", NOBODY), brought)
    assert asking.book.was_refused(asked.change)
