"""What a change of rights was based on, what it did, and why one was not made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.errors import OperatorNeededError, PolicyError, SupervisorError

if TYPE_CHECKING:
    from wassette_supervisor.policy.difference import RightChange
    from wassette_supervisor.policy.document import Policy

# Digest of the component, and of its policy.
Standing = tuple[str, str]
NOTHING_STANDS: Standing = ("", "")


class NotApprovedError(OperatorNeededError):
    """The policy's file was edited: nothing of the component runs until somebody approves it."""

    def __init__(self, component: str) -> None:
        self.component = component
        why = f"the policy of {component!r} was edited and waits for approval"
        super().__init__(why, "policy", "check", component, "--approve")


class NotGrantableError(PolicyError):
    """The disk says no: why is for the operator, for it tells what is there."""


class ChangedMeanwhileError(SupervisorError):
    """What a person was asked about is no longer as it was."""

    def __init__(self, component: str) -> None:
        super().__init__(
            f"the component {component!r} or its policy changed while a person was asked; nothing "
            "was done, ask again"
        )


class Changed(NamedTuple):
    """What a change did to the rights of a component."""

    before: Policy | None
    after: Policy | None
    rights: list[RightChange]
    dropped: bool = False  # what was allowed for a while went as well

    @property
    def narrows(self) -> bool:
        return self.dropped or any(right.sign == "-" for right in self.rights)

    @property
    def widens(self) -> bool:
        return any(right.sign == "+" for right in self.rights)


class Reach(NamedTuple):
    """How far a tool gets out of its sandbox, by what it is granted."""

    writes: bool
    sees_variables: bool
    network: bool


class Meaning(NamedTuple):
    """What a rule means here and now, where its words leave that open."""

    text: str = ""
    is_file: bool = False  # it is the path of one file
