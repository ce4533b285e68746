"""What one call gets of what its policy says: values, directories, limits; as they are now."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.capabilities import Storage
from wassette_supervisor.authority.changes import Meaning, NotGrantableError
from wassette_supervisor.authority.component_state import GUEST_PATH
from wassette_supervisor.authority.directories import Forbidden, Found, Missing, find
from wassette_supervisor.authority.files import files
from wassette_supervisor.authority.request_rules import Judge
from wassette_supervisor.errors import PolicyError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.policy import ceiling, effective
from wassette_supervisor.policy.directories import host_path
from wassette_supervisor.policy.enforceable import ENFORCED_LIMITS
from wassette_supervisor.policy.exact import everything
from wassette_supervisor.policy.storage_uri import STATE_URI
from wassette_supervisor.pool.grants import Directory, GrantError, Grants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wassette_protocol.capabilities import Limits
    from wassette_supervisor.authority.component_state import ComponentState
    from wassette_supervisor.authority.directories import Protected
    from wassette_supervisor.authority.names import Names
    from wassette_supervisor.policy.document import Access, EnvironmentRule, Policy
    from wassette_supervisor.policy.effective import Effective
    from wassette_supervisor.settings import Settings


_LESS = "grant less, or in fewer rules"


class Granted(NamedTuple):
    """What a call is given, and what of its policy gives nothing right now, in a line each."""

    grants: Grants
    missing: tuple[str, ...]
    why_exact: str | None  # why each path is judged; None: the kernel alone keeps the folders
    judge: Judge  # of the call's requests


@dataclass(frozen=True, repr=False)
class Granter:
    """What the server itself has to give."""

    settings: Settings
    ceiling: Policy | None
    workspace: str | None
    keep_out: Sequence[Protected]
    variables: Mapping[str, str]  # the server's own environment
    names: Names

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
        self._check_hosts(right)
        environment, unset = self._environment(effective.environment(right), secrets)
        settings = self.settings
        given = files(
            right,
            self.keep_out,
            plain_writes=settings.plain_writes,
            audit_files=settings.audit_files,
        )
        uid = self._uid(given.owners)
        try:
            grants = Grants(self.limits(right), environment, given.directories, uid)
        except GrantError as error:
            raise PolicyError(
                f"one call can't be given all of it: {error.reason}", _LESS
            ) from error
        if state is not None:
            exact = given.why_exact is not None
            grants = self._with_state(grants, effective.state(right), state, exact=exact)
        grants = replace(
            _limited(grants, right),
            audited=settings.audit_files,
            network=effective.has_network(right),
        )
        lacking = sorted(effective.injected_secrets(right) - set(secrets))
        unsent = [f"requests that take it along: there is no secret {name}" for name in lacking]
        missing = (*ceiling.beyond(right), *unset, *unsent, *given.missing)
        return Granted(grants, missing, given.why_exact, Judge(right, secrets, self.names))

    def _check_hosts(self, right: Effective) -> None:
        rule = effective.any_host_rule(right)
        if rule is not None and not self.settings.allow_any_host:
            raise PolicyError(
                f"rule {rule.number} ({rule.text}) allows every host",
                "name the hosts, as *.example.com, or have the operator start the server with "
                "--allow-any-host",
            )

    def _with_state(
        self, grants: Grants, access: frozenset[Access], state: ComponentState, *, exact: bool
    ) -> Grants:
        """Add the component's own folder, and become its owner if no other folder has one."""
        writable = "write" in access
        root = os.geteuid() == 0
        owner = self.settings.run_as if root and grants.uid is None else grants.uid
        found = state.found(owner, writable=writable) if access else None
        if found is None:
            return grants
        own = Directory(GUEST_PATH, found.path, found.device, found.inode, writable)
        if exact:  # where one path is judged, all are
            own = replace(own, rules=everything(write=writable), places=own.reached)
        return replace(
            grants,
            directories=(*grants.directories, own),
            uid=found.owner if root else None,
            file_size=state.most if writable else None,
        )

    def has_variable(self, key: str) -> bool:
        return key in self.settings.environment or key in self.variables

    def meaning(self, right: Effective) -> Meaning:
        """What a right is for that one rule gives: a path with its pattern, if it has one.

        Raises:
            NotGrantableError: It is for nothing that is there; or the ceiling doesn't allow it
                whole.
        """
        for what in ceiling.beyond(right):
            raise NotGrantableError(what, "nobody but the operator can grant it")
        if effective.state(right):
            return Meaning(STATE_URI)
        if not right.policy.storage_allow:
            return Meaning()
        (rule,) = right.policy.storage_allow
        match find(host_path(rule.anchor), self.keep_out):
            case Found(is_file=is_file) if not (is_file and rule.has_glob):
                below = "/**" if rule.has_glob and rule.whole.below else ""
                return Meaning(host_path(rule.whole.segments) + below, is_file)
            case Found(path=path):
                raise NotGrantableError(f"{one_line(path)} is no directory", "grant the file")
            case Missing(why):
                raise NotGrantableError(f"it is not there: {why}", "make it first")
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

    def _uid(self, owners: frozenset[int]) -> int | None:
        """Who the worker has to be to use these files, where we may choose."""
        if os.geteuid() != 0 or not owners:
            return None
        if self.settings.run_as is not None:
            return self.settings.run_as
        if len(owners) > 1:
            users = ", ".join(map(str, sorted(owners)))
            raise PolicyError(
                what=f"the granted files belong to several users ({one_line(users)})",
                instead="name the one that the component is to be with --run-as",
            )
        return min(owners)


def _limited(grants: Grants, right: Effective) -> Grants:
    """With what may be written, where anything may be."""
    if grants.storage is not Storage.WRITE:
        return grants
    most = effective.storage_limits(right)
    sizes = [size for size in (grants.file_size, most.file) if size is not None]
    return replace(grants, file_size=min(sizes, default=None), files=most.files)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
