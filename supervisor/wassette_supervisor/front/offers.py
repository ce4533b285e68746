"""Offering a person what waits in the directory of local components, in both eras.

A client of 2025-11-25 is asked when the file is there. A later one can be asked only as the answer
to a call, and that is a call of `list-components`: nobody's tool is held up by a file that somebody
put somewhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import structlog
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from wassette_supervisor.authority.changes import ChangedMeanwhileError
from wassette_supervisor.components.drafts import Draft
from wassette_supervisor.components.local.files import ChangedFileError, is_in
from wassette_supervisor.components.snapshot import silent
from wassette_supervisor.consent.change import Keep
from wassette_supervisor.errors import LoadError, SupervisorError
from wassette_supervisor.front.asking import MustAnswerError, NotAllowedError, Questions
from wassette_supervisor.front.keeping import asked_to_keep

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from wassette_supervisor.front.asking import Asking
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.front.list_changes import LegacySessions
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.noticed import Noticed, Stamp

log = structlog.get_logger(__name__)

LOOK_S = 1.0


class Offers:
    """One server's offers of what waits in its directory."""

    def __init__(self, settings: Settings, backend: Backend, asking: Asking) -> None:
        self._backend = backend
        self._asking = asking
        followed = settings.local_mode != "off" and settings.approve == "ask"
        self._directory = settings.local_components if followed else None
        self._failed: set[tuple[str, Stamp]] = set()

    async def ask_as_they_come(self, context: ServerRequestContext[LegacySessions]) -> None:
        """Ask a client of the older era, one question after the other, until cancelled."""
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return
        trouble = ""
        while self._directory is not None:
            try:
                # A new one each time: what was allowed counts for one request.
                await self._offer(Questions(self._asking, context, None, None), None)
                trouble = ""
            except SupervisorError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("offers.failed", why=trouble)
            except Exception:
                log.exception("offers.failed")
                return
            await anyio.sleep(LOOK_S)

    async def ask_beside_a_list(self, questions: Questions) -> None:
        """Ask a client of the newer era about one file, or take its answer.

        Raises:
            MustAnswerError: The client has a question now.
            SupervisorError: What was allowed could not be done.
        """
        held = questions.held()
        draft = held if isinstance(held, Draft) else None
        if draft is not None or questions.by_answer_only:
            await self._offer(questions, draft)

    async def _offer(self, questions: Questions, draft: Draft | None) -> None:
        draft = draft or await self._next(questions)
        if draft is None:
            return
        kept_open = False
        try:
            asked = asked_to_keep(self._backend, draft)
            if asked is not None:
                # A refusal is on record, and what changed meanwhile is asked about anew.
                with suppress(NotAllowedError, ChangedMeanwhileError):
                    await questions.allowed(asked, held=draft)
                    await self._backend.keep(
                        draft, expected=asked.standing, client=questions.client
                    )
        except MustAnswerError:
            kept_open = True
            raise
        finally:
            if not kept_open:
                draft.close()

    async def _next(self, questions: Questions) -> Draft | None:
        """Compile the first file that a person may be asked about."""
        if self._directory is None or not questions.can_ask():
            return None
        found = await self._backend.noticed()
        self._failed &= {(noticed.source, noticed.stamp) for noticed in found}
        for noticed in found:
            change = self._change(noticed)
            if change is None or not questions.may_offer(change):
                continue
            try:
                return await self._backend.prepare_noticed(
                    noticed, progress=silent, client=questions.client
                )
            except ChangedFileError:
                continue
            except LoadError:  # on record, and not to be tried again and again
                self._failed.add((noticed.source, noticed.stamp))
        return None

    def _change(self, noticed: Noticed) -> Keep | None:
        """The question as far as it is known before anything is compiled."""
        if noticed.state != "waiting" or noticed.id is None or noticed.digest is None:
            return None
        if self._directory is None or not is_in(noticed.source, self._directory):
            return None
        if (noticed.source, noticed.stamp) in self._failed:
            return None
        earlier = self._backend.records().get(noticed.id)
        replaces = earlier.digest if earlier else None
        return Keep(
            noticed.id, noticed.source, noticed.digest, (), (), replaces, rules=0, local=True
        )
