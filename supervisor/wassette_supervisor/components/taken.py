"""Whether a component can have its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.errors import IdTakenError, LoadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.states import States


def refuse_taken(
    records: Mapping[ComponentId, Record], states: States, component: ComponentId, reference: str
) -> None:
    """Refuse an id that is another component's, or whose folder still has another's files.

    Raises:
        LoadError: It is.
    """
    earlier = records.get(component)
    if earlier is not None and earlier.source != reference:
        raise IdTakenError(
            f"the id {component!r} is taken by the component of {earlier.source}; load this "
            "one with --name OTHER, or unload that one first"
        )
    if earlier is None and states.is_left_over(component):
        raise LoadError(
            f"files of an earlier component {component!r} are still there; delete them with "
            f"`component state {component} reset`, or load this one with --name OTHER"
        )
