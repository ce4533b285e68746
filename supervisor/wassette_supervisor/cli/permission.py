"""`permission grant`, `revoke` and `reset`: one rule of a component's policy after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import warn
from wassette_supervisor.cli.rights import (
    CLIENT,
    changes_data,
    emit_changes,
    gives_nothing,
    record_of,
)
from wassette_supervisor.errors import PolicyError, UsageError, one_line
from wassette_supervisor.policy import edit, environment
from wassette_supervisor.policy.numbering import numbered
from wassette_supervisor.policy.resources import RESOURCES, mebibytes
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from wassette_supervisor.authority.changes import Changed
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.policy.rules import Section
    from wassette_supervisor.store.record import Record

_SECTIONS: dict[Section, str] = {
    "storage": "storage",
    "network": "network",
    "environment-variable": "environment",
}
_MAX_DIGITS = 9


# --- grant ----------------------------------------------------------------------------------


def grant_storage(invocation: Invocation) -> None:
    options = invocation.options
    _grant(invocation, rule_from_words("storage", options.uri, options.access))


def grant_network(invocation: Invocation) -> None:
    _grant(invocation, rule_from_words("network", invocation.options.host))


def grant_environment_variable(invocation: Invocation) -> None:
    options = invocation.options
    rule = rule_from_words("environment-variable", options.key)
    if options.value is not None:
        rule = msgspec.structs.replace(rule, value=environment.value(_text(options.value)))
    if options.secret is not None:
        rule = msgspec.structs.replace(rule, secret=environment.secret(options.secret))
    _grant(invocation, rule)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError("--value: should be UTF-8; grant a file instead") from error
    return value


def _grant(invocation: Invocation, rule: Rule) -> None:
    component = ComponentId(invocation.options.component)
    settings = invocation.settings

    async def work(backend: Backend) -> tuple[Changed, list[str]]:
        record = record_of(backend, component)
        # Before it is on record: what can't be granted was not.
        change = backend.permissions.proposed(record, lambda policy: edit.grant(policy, rule))
        before = gives_nothing(settings, backend, component, change.before)
        after = gives_nothing(settings, backend, component, change.after)
        changed = await backend.rights.grant(component, rule, "always", client=CLIENT)
        return changed, [line for line in after if line not in before]

    changed, missing = with_backend(settings, work)
    for line in missing:
        warn(f"{line}; so it gives nothing yet")
    answer = {"id": component, "status": "granted", "changes": changes_data(changed.rights)}
    emit_changes(invocation.options, answer, "it was granted before")


def grant_memory(invocation: Invocation) -> None:
    options = invocation.options
    try:
        value = RESOURCES["memory"].parse(mebibytes(options.limit))
    except ValueError as error:
        raise UsageError(f"LIMIT should be {error}, not {one_line(repr(options.limit))}") from error
    _limit_memory(invocation, value, "granted", "it was granted before")


# --- revoke ---------------------------------------------------------------------------------


def revoke_storage(invocation: Invocation) -> None:
    _revoke(invocation, "storage")


def revoke_network(invocation: Invocation) -> None:
    _revoke(invocation, "network")


def revoke_environment_variable(invocation: Invocation) -> None:
    _revoke(invocation, "environment-variable")


def revoke_memory(invocation: Invocation) -> None:
    _limit_memory(invocation, None, "revoked", "it had no limit of its own")


def _limit_memory(invocation: Invocation, value: int | None, status: str, otherwise: str) -> None:
    component = ComponentId(invocation.options.component)

    async def work(backend: Backend) -> Changed:
        record = record_of(backend, component)
        backend.permissions.proposed(record, lambda policy: edit.limit(policy, "memory", value))
        return await backend.rights.limit(component, "memory", value, client=CLIENT)

    changed = with_backend(invocation.settings, work)
    answer = {"id": component, "status": status, "changes": changes_data(changed.rights)}
    emit_changes(invocation.options, answer, otherwise)


def _revoke(invocation: Invocation, section: Section) -> None:
    component = ComponentId(invocation.options.component)
    given = invocation.options.rule
    which = (
        int(given) if given.isascii() and given.isdigit() and len(given) <= _MAX_DIGITS else given
    )

    async def work(backend: Backend) -> Changed:
        record = record_of(backend, component)
        standing = backend.permissions.standing(record)

        def without(policy: Policy | None) -> Policy:
            return edit.revoke(policy, which, section)

        if isinstance(which, int):
            _require_section(backend, record, which, section)
        backend.permissions.proposed(record, without)
        # A number is that of a rule in the policy as it was looked at.
        expected = standing if isinstance(which, int) else None
        return await backend.rights.revoke(
            component, which, section, expected=expected, client=CLIENT
        )

    changed = with_backend(invocation.settings, work)
    answer = {"id": component, "status": "revoked", "changes": changes_data(changed.rights)}
    emit_changes(invocation.options, answer)


def _require_section(backend: Backend, record: Record, number: int, section: Section) -> None:
    policy = backend.permissions.attached(record).policy
    for rule in numbered(policy) if policy else ():
        if rule.number == number and rule.section != _SECTIONS[section]:
            raise PolicyError(
                f"rule {number} ({rule.text}) is no rule about {section}",
                "`policy get` shows the numbers",
            )


def reset(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def work(backend: Backend) -> Changed:
        record_of(backend, component)
        return await backend.rights.reset(component, client=CLIENT)

    changed = with_backend(invocation.settings, work)
    answer = {"id": component, "status": "reset", "changes": changes_data(changed.rights)}
    emit_changes(invocation.options, answer, "nothing was granted")
