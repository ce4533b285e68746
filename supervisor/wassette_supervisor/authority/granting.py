"""What one call gets of what its policy says: values, directories, limits; as they are now."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.authority.component_state import GUEST_PATH
from wassette_supervisor.authority.directories import Forbidden, Found, Missing, find
from wassette_supervisor.errors import PolicyError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy import ceiling, effective
from wassette_supervisor.policy.directories import directories
from wassette_supervisor.policy.enforceable import ENFORCED_LIMITS
from wassette_supervisor.policy.storage_uri import STATE_URI
from wassette_supervisor.pool.grants import Directory, Grants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wassette_protocol.capabilities import Limits
    from wassette_supervisor.authority.component_state import ComponentState
    from wassette_supervisor.authority.directories import Protected
    from wassette_supervisor.policy.directories import GrantedDirectory
    from wassette_supervisor.policy.document import Access, EnvironmentRule, Policy
    from wassette_supervisor.policy.effective import Effective
    from wassette_supervisor.settings import Settings


class NotGrantableError(PolicyError):
    """The disk says no: why is for the operator, for it tells what is there."""


class Granted(NamedTuple):
    """What a call is given, and what of its policy gives nothing right now, in a line each."""

    grants: Grants
    missing: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Granter:
    """What the server itself has to give."""

    settings: Settings
    ceiling: Policy | None
    workspace: str | None
    keep_out: Sequence[Protected]
    variables: Mapping[str, str]  # the server's own environment

    def effective(self, policy: Policy | None, tool: str | None) -> Effective:
        return effective.effective(policy, tool, self.ceiling, self.workspace)

    def limits(self, right: Effective) -> Limits:
        """The limits of a call.

        Raises:
            PolicyError: The policy raises one above what the operator allows.
        """
        most = {
            name: getattr(self.settings.max_limits, LIMITS[name].field) for name in ENFORCED_LIMITS
        }
        return effective.limits(right, self.settings.limits, most)

    def granted(
        self, right: Effective, secrets: Mapping[str, str], state: ComponentState | None = None
    ) -> Granted:
        """Settle everything for a call that starts now.

        Args:
            right: What may be given.
            secrets: Of the component.
            state: Of the component; None: it is not asked what that would be.

        Raises:
            PolicyError: Something can't be granted as it is.
            StateUnusableError: What the component keeps can't be given.
            StoreError: It can't be made or looked at.
        """
        environment, unset = self._environment(effective.environment(right), secrets)
        found, owners, missing = self._directories(directories(right))
        uid = self._uid(owners)
        grants = Grants(self.limits(right), environment, found, uid)
        if state is not None:
            grants = self._with_state(grants, effective.state(right), state)
        return Granted(grants, (*ceiling.beyond(right), *unset, *missing))

    def _with_state(
        self, grants: Grants, access: frozenset[Access], state: ComponentState
    ) -> Grants:
        """Add the component's own folder, and become its owner if no other folder has one."""
        writable = "write" in access
        root = os.geteuid() == 0
        owner = self.settings.run_as if root and grants.uid is None else grants.uid
        found = state.found(owner, writable=writable) if access else None
        if found is None:
            return grants
        own = Directory(GUEST_PATH, found.path, found.device, found.inode, writable)
        return replace(
            grants,
            directories=(*grants.directories, own),
            uid=found.owner if root else None,
            file_size=state.most if writable else None,
        )

    def has_variable(self, key: str) -> bool:
        return key in self.settings.environment or key in self.variables

    def meaning(self, right: Effective) -> str:
        """The one directory that a right is for, the component's own as its URI; else nothing.

        Raises:
            NotGrantableError: It is for none that is there, or for several; or the ceiling
                doesn't allow it whole.
        """
        for what in ceiling.beyond(right):
            raise NotGrantableError(what, "nobody but the operator can grant it")
        if effective.state(right):
            return STATE_URI
        if not right.policy.storage_allow:
            return ""
        wanted = directories(right)
        (only,) = wanted
        match find(only.host_path, self.keep_out):
            case Found(path):
                return path
            case Missing(why):
                raise NotGrantableError(f"there is no such directory: {why}", "make it first")
            case Forbidden(why, instead):
                raise NotGrantableError(why, instead)

    def _environment(
        self, rules: Sequence[EnvironmentRule], secrets: Mapping[str, str]
    ) -> tuple[tuple[tuple[str, str], ...], list[str]]:
        found: dict[str, str] = {}
        missing = []
        for rule in rules:
            value = self._value(rule, secrets)
            if value is not None:
                found[rule.key] = value
            elif rule.secret is not None:
                missing.append(f"variable {rule.key}: there is no secret {rule.secret}")
            else:
                missing.append(f"variable {rule.key}: the server has none of this name")
        return tuple(sorted(found.items())), missing

    def _value(self, rule: EnvironmentRule, secrets: Mapping[str, str]) -> str | None:
        if rule.value is not None:
            return rule.value
        if rule.secret is not None:
            return secrets.get(rule.secret)
        value = self.settings.environment.get(rule.key, self.variables.get(rule.key))
        # What is no text can't be given: components know strings only.
        return value if value is None or _is_text(value) else None

    def _directories(
        self, wanted: Sequence[GrantedDirectory]
    ) -> tuple[tuple[Directory, ...], set[int], list[str]]:
        found, owners, missing = [], set(), []
        for each in wanted:
            match find(each.host_path, self.keep_out):
                case Found(path, device, inode, owner):
                    found.append(Directory(each.guest_path, path, device, inode, each.writable))
                    owners.add(owner)
                case Missing(why):
                    missing.append(f"directory {why}")
                case Forbidden(why, instead):
                    raise NotGrantableError(why, instead)
        return tuple(found), owners, missing

    def _uid(self, owners: set[int]) -> int | None:
        """Who the worker has to be to use these files, where we may choose."""
        if os.geteuid() != 0 or not owners:
            return None
        if self.settings.run_as is not None:
            return self.settings.run_as
        if len(owners) > 1:
            users = ", ".join(map(str, sorted(owners)))
            raise PolicyError(
                what=f"the granted directories belong to several users ({one_line(users)})",
                instead="name the one that the component is to be with --run-as",
            )
        return min(owners)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
