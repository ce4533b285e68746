"""What went wrong with each component's processes, and whether another one may be started."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog

from wassette_supervisor.errors import HeldBackError, RestingError, WorkerDiedError, is_crash
from wassette_supervisor.pool.restarts import CRASHES, TEMPLATE, History

if TYPE_CHECKING:
    from wassette_protocol.frames import Digest
    from wassette_supervisor.errors import CallError

log = structlog.get_logger(__name__)


class _Trouble(NamedTuple):
    lost: History = History()
    crashed: History = History()
    why: str = ""  # in words of ours


class Troubles:
    """Of the components that had any, by digest: the fault is in their bytes."""

    def __init__(self) -> None:
        self._of: dict[Digest, _Trouble] = {}

    def template_is_lost(self, digest: Digest) -> None:
        """One ended that nobody wanted to end, or didn't start."""
        trouble = self._of.get(digest, _Trouble())
        lost = trouble.lost.after_an_end(time.monotonic(), TEMPLATE)
        self._of[digest] = trouble._replace(lost=lost)

    def ended(self, digest: Digest, error: CallError) -> None:
        """A process that ran, or was to run, the component ended so; most ends are no crash."""
        if not is_crash(error):
            return
        log.warning("component.crashed", digest=digest, why=str(error))
        trouble = self._of.get(digest, _Trouble())
        crashed = trouble.crashed.after_an_end(time.monotonic(), CRASHES)
        why = (
            f"{CRASHES.ends + 1} of its component's processes crashed or misbehaved within "
            f"{CRASHES.within_s / 60:.0f} minutes; the last one {_in_short(error)}"
        )
        self._of[digest] = trouble._replace(crashed=crashed, why=why)

    def held_back(self, digest: Digest) -> str | None:
        """Why nothing of it may be started until somebody has looked into it."""
        trouble = self._of.get(digest)
        if trouble is None or not trouble.crashed.rests_s(time.monotonic()):
            return None
        return trouble.why

    def refuse_held_back(self, digest: Digest) -> None:
        """Let nothing of a component start that crashed too often.

        Raises:
            HeldBackError: It did.
        """
        if (why := self.held_back(digest)) is not None:
            raise HeldBackError(why)

    def refuse_resting(self, digest: Digest) -> None:
        """Let no template of a component start whose templates ended too often.

        Raises:
            RestingError: They did.
        """
        trouble = self._of.get(digest)
        rest = trouble.lost.rests_s(time.monotonic()) if trouble else 0
        if rest:
            what = "the process that starts this component's workers"
            raise RestingError(what, TEMPLATE.ends + 1, TEMPLATE.within_s, rest)

    def forget(self, digest: Digest) -> None:
        self._of.pop(digest, None)


def _in_short(error: CallError) -> str:
    # No word of what the process said: this is shown to models, and kept.
    return f"died of {error.death}" if isinstance(error, WorkerDiedError) else "misbehaved"
