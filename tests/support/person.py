"""Who sits behind a client: is asked, and answers what the test has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mcp_types as types

from wassette_supervisor.front.asking import ANSWER

if TYPE_CHECKING:
    from mcp.client.context import ClientRequestContext


class Person:
    """Gives the answers in their order, and the last one from then on."""

    def __init__(self, *answers: str | types.ElicitResult) -> None:
        self.asked: list[types.ElicitRequestFormParams] = []
        self._answers = list(answers)

    async def __call__(
        self,
        context: ClientRequestContext,  # noqa: ARG002 - of the interface
        params: types.ElicitRequestParams,
    ) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        self.asked.append(params)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return accepted(answer) if isinstance(answer, str) else answer

    @property
    def messages(self) -> list[str]:
        return [form.message for form in self.asked]


def accepted(decision: str) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={ANSWER: decision})
