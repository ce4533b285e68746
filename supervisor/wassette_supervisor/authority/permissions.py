"""Who may do what: reading it for a call, and every change of it, of whoever makes it.

A change is made under the store's lock, on what the store holds then: two writers lose nothing of
each other. One that a person allowed is made only if what was asked about is still as it was.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from wassette_supervisor.authority.attached import (
    Attached,
    Attachments,
    checked,
    enforced,
    match_tools,
)
from wassette_supervisor.authority.changes import (
    Changed,
    ChangedMeanwhileError,
    NotApprovedError,
    Reach,
)
from wassette_supervisor.authority.component_secrets import ComponentSecrets
from wassette_supervisor.authority.component_state import ComponentState
from wassette_supervisor.authority.request_rules import makes_requests
from wassette_supervisor.authority.temporary import Scope, Temporary
from wassette_supervisor.errors import PolicyError, SupervisorError
from wassette_supervisor.policy import edit
from wassette_supervisor.policy.difference import difference
from wassette_supervisor.policy.directories import anchors
from wassette_supervisor.policy.document import StorageRule
from wassette_supervisor.policy.effective import environment, has_network, injected_secrets, state
from wassette_supervisor.policy.text import to_yaml
from wassette_supervisor.store.policies import Policies
from wassette_supervisor.store.states import States

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.authority.changes import Meaning, Standing
    from wassette_supervisor.authority.granting import Granted, Granter
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.policy.effective import Effective
    from wassette_supervisor.policy.rules import Section
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store


class Permissions:
    """The policies and secrets of a store's components."""

    def __init__(self, store: Store, granter: Granter) -> None:
        self._store = store
        self._granter = granter
        self._policies = Policies(store)
        self.secrets = ComponentSecrets(store)
        self._attachments = Attachments(self._policies)
        self._temporary = Temporary()
        self.states = States(granter.settings.state_dir)

    # --- reading --------------------------------------------------------------------------

    def attached(self, record: Record) -> Attached:
        return self._attachments.of(record)

    def path(self, component: ComponentId) -> Path:
        """Where the component's policy is kept, to be read and edited by people."""
        return self._policies.path(component)

    def standing(self, record: Record) -> Standing:
        return record.digest, self.attached(record).digest

    def effective(self, record: Record, tool: str | None) -> Effective:
        """What a tool may do, with what was allowed for a while.

        Raises:
            NotApprovedError: The policy was edited.
            PolicyError: The policy can't be used.
        """
        return self._effective(record, tool, self._temporary.rules(record))

    def reach(self, record: Record, tool: str) -> Reach:
        """How far a tool gets; all the way where that can't be told."""
        if self.attached(record).state == "none" and not self.temporary(record):
            return Reach(writes=False, sees_variables=False, network=False)
        try:
            right = self.effective(record, tool)
            writes = any(anchor.reach.write for anchor in anchors(right))
            writes = writes or "write" in state(right)
        except SupervisorError:
            return Reach(writes=True, sees_variables=True, network=True)
        return Reach(writes, bool(environment(right)), has_network(right))

    def on_disk(self, record: Record) -> bool:
        """Whether what a component is granted has to be looked for on a disk."""
        policy = self.attached(record).policy
        in_policy = policy is not None and bool(policy.permissions.storage.allow)
        return in_policy or any(isinstance(rule, StorageRule) for rule in self.temporary(record))

    def granted(self, record: Record, tool: str, *, foreseen: bool = False) -> Granted:
        """What a call that starts now is given; what was allowed once is used up by it.

        One that is only foreseen makes nothing on the disk.

        Raises:
            NotApprovedError: The policy was edited.
            PolicyError: The policy, or something that it grants, can't be used.
            StateUnusableError: What the component keeps between calls can't be used.
        """
        right = self._effective(record, tool, self._temporary.taken(record))
        named = injected_secrets(right) or any(rule.secret for rule in environment(right))
        most = self._granter.settings.max_state
        own = ComponentState(self.states, record.id, most, make=not foreseen)
        granted = self._granter.granted(right, self.secrets.of(record.id) if named else {}, own)
        # Whoever makes no requests has no connection either.
        network = granted.grants.network and makes_requests(record.imports)
        return granted._replace(grants=replace(granted.grants, network=network))

    def _effective(self, record: Record, tool: str | None, more: Iterable[Rule]) -> Effective:
        policy = self._in_force(record)
        for rule in more:
            policy = edit.grant(policy, rule)
        return self._granter.effective(policy, tool)

    def _in_force(self, record: Record) -> Policy | None:
        attached = self.attached(record)
        if attached.state == "edited":
            raise NotApprovedError(record.id)
        if attached.state == "unusable":
            raise PolicyError(
                what=f"the policy of {record.id!r} can't be used: {attached.reason}",
                instead="put another one in its place with `policy set`",
            )
        if attached.policy is not None:
            match_tools(record, attached.policy)
        return attached.policy

    # --- changing -------------------------------------------------------------------------

    def gains(
        self, record: Record, change: Callable[[Policy | None], Policy | None]
    ) -> tuple[str, ...]:
        """The rights that a change would add, whether it could be made or not."""
        before = self._with_temporary(record, self._in_force(record))
        rights = difference(before, change(before))
        return tuple(right.text for right in rights if right.sign == "+")

    def rights_changed(self, component: ComponentId, after: Policy | None) -> list[str]:
        """What another policy would change, in a line each: for the record."""
        before = self.attached(self._store.record(component)).policy
        return [f"{right.sign} {right.text}" for right in difference(before, after)]

    def proposed(self, record: Record, change: Callable[[Policy | None], Policy | None]) -> Changed:
        """What a change would do, beside what was allowed for a while; nothing is changed.

        Raises:
            PolicyError: It can't be made.
        """
        before = self._with_temporary(record, self._in_force(record))
        after = change(before)
        self._check(record, after)
        return Changed(before, after, difference(before, after))

    def _with_temporary(self, record: Record, policy: Policy | None) -> Policy | None:
        for rule in self.temporary(record):
            policy = edit.grant(policy, rule)
        return policy

    def grant(
        self, component: ComponentId, rule: Rule, scope: Scope, expected: Standing | None = None
    ) -> Changed:
        """Allow a component something.

        Args:
            component: Which.
            rule: What.
            scope: For how long.
            expected: What a person was asked about.

        Raises:
            UnknownComponentError: There is none of this id.
            ChangedMeanwhileError: It is no longer as expected.
            PolicyError: It can't be granted.
            StoreError: It can't be kept.
        """

        def change(policy: Policy | None) -> Policy:
            return edit.grant(policy, rule)

        if scope == "always":
            return self._change(component, "grant", change, expected)
        record = self._store.record(component)
        self._expect(record, expected)
        changed = self.proposed(record, change)
        self._temporary.allow(record, rule, scope)
        return changed

    def revoke(
        self,
        component: ComponentId,
        which: int | str,
        section: Section | None = None,
        expected: Standing | None = None,
    ) -> Changed:
        """Take a rule out of the policy, and out of what was allowed for a while.

        Args:
            component: Whose.
            which: The number of a rule of the policy, or what an allow rule names.
            section: Where to look for the latter; None: everywhere.
            expected: What a person was asked about.

        Raises:
            UnknownComponentError: There is none of this id.
            PolicyError: There is no such rule.
            ChangedMeanwhileError: It is no longer as expected.
            StoreError: It can't be kept.
        """
        if isinstance(which, str):
            record = self._store.record(component)
            # Refused while a wider rule of either kind allows it all the same.
            edit.revoke(self._with_temporary(record, self._in_force(record)), which, section)
        withdrawn = isinstance(which, str) and self._temporary.withdraw(
            component, lambda policy: edit.revoke(policy, which, section)
        )

        def change(policy: Policy | None) -> Policy | None:
            if withdrawn and not _allows(policy, which, section):  # that was all there was of it
                return policy
            return edit.revoke(policy, which, section)

        return self._change(component, "revoke", change, expected)

    def limit(self, component: ComponentId, name: str, value: int | None) -> Changed:
        """Set a limit of a component's calls, None for none of its own; errors as `grant`'s."""
        return self._change(
            component, "limit", lambda policy: edit.limit(policy, name, value), None
        )

    def reset(self, component: ComponentId) -> Changed:
        """Grant nothing any more, whatever state the policy is in."""
        return self.set_policy(component, None)

    def is_temporary(self, record: Record, which: str, section: Section | None) -> bool:
        """Whether some of what a revoke names was allowed for a while."""
        for rule in self.temporary(record):
            with suppress(PolicyError):
                edit.revoke(edit.grant(None, rule), which, section)
                return True
        return False

    @property
    def workspace(self) -> str | None:
        """What relative paths of policies are below."""
        return self._granter.workspace

    def has_variable(self, key: str) -> bool:
        """Whether the server has a variable of this name to give."""
        return self._granter.has_variable(key)

    def meaning(self, rule: Rule) -> Meaning:
        """What a rule means here and now.

        Raises:
            PolicyError: It can't be granted, or not whole.
        """
        return self._granter.meaning(self._granter.effective(edit.grant(None, rule), None))

    def temporary(self, record: Record) -> list[Rule]:
        """What was allowed for a while and is not in the policy."""
        return self._temporary.rules(record)

    def set_policy(
        self, component: ComponentId, text: bytes | None, expected: Standing | None = None
    ) -> Changed:
        """Put a policy, or none, in place of the one there is, in whatever state that is.

        Raises:
            ChangedMeanwhileError: It is no longer as expected.
            UnknownComponentError: There is none of this id.
            PolicyError: It is none that can be enforced.
            StoreError: It can't be kept.
        """
        after = None if text is None else self.check(text)
        with self._store.writing(f"change what {component} may do"):
            record = self._store.record(component)
            self._expect(record, expected)
            if after is not None:
                match_tools(record, after)
            before = self.attached(record).policy
            self._policies.write(record, text, narrows=True)
            dropped = self._temporary.forget(component)
        return Changed(before, after, difference(before, after), dropped)

    def check(self, text: bytes, record: Record | None = None) -> Policy:
        """Parse a policy and refuse what could not be in force here and now.

        Args:
            text: The policy's.
            record: The component that it is for, if that is known.

        Raises:
            PolicyError: Says what, where and what to write instead.
        """
        policy = checked(text)
        self._check(record, policy)
        return policy

    def taken_along(self, record: Record, text: bytes) -> Record:
        """A record that is yet to be saved, with a policy that could be in force.

        Raises:
            PolicyError: It could not.
        """
        self.check(text, record)
        return self._policies.taken_along(record, text)

    def settled(self, record: Record) -> Record:
        """Write the policy that a saved record took along into its file; within `writing`.

        Raises:
            StoreError: It can't be written; it is in force all the same.
        """
        return self._policies.settled(record)

    def approve(self, component: ComponentId, expected: Standing | None = None) -> Policy | None:
        """Take the policy's file as it is for approved.

        Raises:
            ChangedMeanwhileError: It is no longer as expected.
            UnknownComponentError: There is none of this id.
            PolicyError: It is none that can be enforced.
            StoreError: It can't be read, or kept.
        """
        with self._store.writing(f"approve the policy of {component}"):
            record = self._store.record(component)
            kept = self._policies.read(record)
            if expected is not None and (record.digest, kept.digest) != expected:
                raise ChangedMeanwhileError(component)
            policy = None if kept.text is None else self.check(kept.text, record)
            self._policies.approve(record, kept)
        return policy

    def forget(self, component: ComponentId) -> None:
        """Delete all that is kept for a component; within the store's `writing`."""
        self._temporary.forget(component)
        self._policies.forget(component)
        self.secrets.forget(component)

    def _change(
        self,
        component: ComponentId,
        purpose: str,
        change: Callable[[Policy | None], Policy | None],
        expected: Standing | None,
    ) -> Changed:
        """Change what is kept, if it could be in force beside what was allowed for a while."""
        with self._store.writing(f"{purpose} what {component} may do"):
            record = self._store.record(component)
            self._expect(record, expected)
            before = self._in_force(record)
            after = change(before)
            narrows = purpose == "revoke"
            if not narrows:  # taking away is possible whatever else has become impossible
                self._check(record, self._with_temporary(record, after))
            text = None if after is None else to_yaml(after)
            written = self._policies.write(record, text, narrows=narrows)
            if narrows:
                self._temporary.renew(written)
        return Changed(before, after, difference(before, after))

    def _check(self, record: Record | None, policy: Policy | None) -> None:
        """Refuse what could not be in force here and now."""
        if policy is None:
            return
        enforced(policy)
        if record is not None:
            match_tools(record, policy)
        for tool in (None, *policy.tools):
            self._granter.granted(self._granter.effective(policy, tool), {})

    def _expect(self, record: Record, expected: Standing | None) -> None:
        if expected is not None and self.standing(record) != expected:
            raise ChangedMeanwhileError(record.id)


def _allows(policy: Policy | None, which: int | str, section: Section | None) -> bool:
    try:
        edit.revoke(policy, which, section)
    except PolicyError:
        return False
    return True
