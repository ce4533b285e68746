"""What `fs://state` is for one component: a folder of its own, as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wassette_supervisor.authority.directories import Found
from wassette_supervisor.errors import OperatorNeededError
from wassette_supervisor.pool.identities import lasting_ids
from wassette_supervisor.quantities import size_text
from wassette_supervisor.store.trees import UnmeasurableError

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.states import Folder, States

GUEST_PATH = "state"
# What a call may wait for: as many files as 64Mi can be take a tenth of it.
_COUNT_S = 2.0


class StateUnusableError(OperatorNeededError):
    """What a component keeps can't be given to a call; the call was not started."""

    def __init__(self, component: str, why: str) -> None:
        self.component = component
        super().__init__(
            f"the tool was not run, because what {component!r} keeps between calls can't be given "
            f"to it: {why}, or delete all of it",
            *("component", "state", component, "reset"),
        )


@dataclass(frozen=True)
class ComponentState:
    """The folder of one component: made for a call; where one is only foreseen, looked at."""

    states: States
    component: ComponentId
    most: int  # bytes
    make: bool

    def found(self, owner: int | None, *, writable: bool) -> Found | None:
        """The folder; None if there is none and it is not to be made.

        Args:
            owner: The user that the call runs as; None: whose the folder is.
            writable: Whether the call may write to it, so that it may not be full.

        Raises:
            StateUnusableError: It is full, or another user's.
            StoreError: It can't be had.
        """
        folder = self.states.find(self.component)
        if folder is None and self.make:
            folder = self.states.make(self.component, owner, lasting_ids())
        if folder is None:
            return None
        if owner not in (None, folder.owner):
            why = f"it is user {folder.owner}'s, and the call would run as user {owner}; chown it"
            raise StateUnusableError(self.component, why)
        if writable:
            self._require_room()
        return _found(folder)

    def _require_room(self) -> None:
        try:
            measured = self.states.size(self.component, most=self.most, seconds=_COUNT_S)
        except UnmeasurableError as error:
            raise StateUnusableError(self.component, f"{error}; put that right") from error
        if measured is None or measured.whole:
            return
        why = f"it is more than --max-state {size_text(self.most)}; raise that"
        if measured.size <= self.most:
            why = f"only {measured.entries} files were counted in {_COUNT_S:g} s; have fewer"
        raise StateUnusableError(self.component, why)


def _found(folder: Folder) -> Found:
    return Found(folder.path, folder.device, folder.inode, folder.owner)
