"""The built-in tools about permissions: a model asks, a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import mcp_types as types
import msgspec
import structlog

from wassette_supervisor.authority.changes import NotGrantableError
from wassette_supervisor.consent.change import Asked, Grant, Lift
from wassette_supervisor.errors import UnknownComponentError
from wassette_supervisor.front import results
from wassette_supervisor.front.builtin import (
    ID_SCHEMA,
    BuiltinTool,
    ComponentIdField,
    Request,
    object_schema,
    parsed,
)
from wassette_supervisor.policy import edit
from wassette_supervisor.policy.difference import difference
from wassette_supervisor.policy.numbering import numbered, rule_text
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.threads import run_sync

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.authority.temporary import Scope
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.policy.rules import Section
    from wassette_supervisor.store.record import Record

log = structlog.get_logger(__name__)

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class _Component(msgspec.Struct, forbid_unknown_fields=True):
    component_id: ComponentIdField


class _StorageGrant(msgspec.Struct, forbid_unknown_fields=True):
    uri: _Text
    access: Annotated[list[Literal["read", "write"]], msgspec.Meta(min_length=1, max_length=2)]


class _Uri(msgspec.Struct, forbid_unknown_fields=True):
    uri: _Text


class _Host(msgspec.Struct, forbid_unknown_fields=True):
    host: _Text


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: _Text


class _GrantStorage(_Component, forbid_unknown_fields=True):
    details: _StorageGrant


class _ByUri(_Component, forbid_unknown_fields=True):
    details: _Uri


class _ByHost(_Component, forbid_unknown_fields=True):
    details: _Host


class _ByKey(_Component, forbid_unknown_fields=True):
    details: _Key


# --- reading --------------------------------------------------------------------------------


async def _get_policy(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    record = _record(request, parsed(arguments, _Component).component_id)
    attached = request.backend.permissions.attached(record)
    answer: dict[str, Any] = {
        "status": "no policy found" if attached.state == "none" else "policy found",
        "component_id": record.id,
        "state": attached.state,
        "rules": [
            {"number": each.number, "rule": f"{each.kind} {rule_text(each.rule)}"}
            for each in (numbered(attached.policy) if attached.policy else [])
        ],
    }
    if temporary := request.backend.permissions.temporary(record):
        answer["for_a_while"] = [f"allow {rule_text(rule)}" for rule in temporary]
    return results.structured(answer)


# --- granting -------------------------------------------------------------------------------


async def _grant_storage(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _GrantStorage)
    access = ",".join(sorted(set(asked.details.access)))
    words = ["storage", asked.component_id, asked.details.uri, "--access", access]
    rule = rule_from_words("storage", asked.details.uri, access.split(","))
    return await _grant(request, asked.component_id, rule, "storage", words)


async def _grant_network(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _ByHost)
    words = ["network", asked.component_id, asked.details.host]
    rule = rule_from_words("network", asked.details.host)
    return await _grant(request, asked.component_id, rule, "network", words)


async def _grant_variable(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _ByKey)
    words = ["environment-variable", asked.component_id, asked.details.key]
    rule = rule_from_words("environment-variable", asked.details.key)
    return await _grant(request, asked.component_id, rule, "environment", words)


_THINGS = {"storage": "file or directory", "network": "host", "environment": "variable"}


async def _grant(
    request: Request, component: ComponentId, rule: Rule, kind: str, words: list[str]
) -> types.CallToolResult:
    words = ["permission", "grant", *words]
    not_done = "the permission was not granted"
    record = _record(request, component)
    # First of all: what nobody could allow is not looked for on the disk either.
    request.require(not_done, words)
    try:
        asked = await run_sync(_proposed, request, record, rule)
    except NotGrantableError as error:
        # Why is for the operator: it tells what there is on the disk, and what the ceiling is.
        log.warning("grant.impossible", component=component, why=str(error))
        what = f"that {_THINGS[kind]} can't be granted as it is"
        raise request.refusal(not_done, what, words) from error
    scope: Scope = "always"
    if asked is not None:
        scope = await request.allowed(asked, not_done, words)
        await request.backend.rights.grant(
            component, rule, scope, expected=asked.standing, client=request.client
        )
    answer = {
        "status": "permission granted successfully",
        "component_id": component,
        "permission_type": kind,
        "details": {"rule": rule_text(rule), "scope": scope},
    }
    return results.structured(answer)


def _proposed(request: Request, record: Record, rule: Rule) -> Asked | None:
    """What a person has to be asked; None if it is granted already."""
    permissions = request.backend.permissions
    changed = permissions.proposed(record, lambda policy: edit.grant(policy, rule))
    if not changed.widens:
        return None
    change = Grant(record.id, rule, *permissions.meaning(rule))
    return Asked(change, permissions.standing(record))


# --- revoking -------------------------------------------------------------------------------


async def _revoke_storage(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _ByUri)
    return await _revoke(request, asked.component_id, asked.details.uri, "storage", "uri")


async def _revoke_network(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _ByHost)
    return await _revoke(request, asked.component_id, asked.details.host, "network", "host")


async def _revoke_variable(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    asked = parsed(arguments, _ByKey)
    key = asked.details.key
    return await _revoke(request, asked.component_id, key, "environment-variable", "key")


async def _revoke(
    request: Request, component: ComponentId, which: str, section: Section, named: str
) -> types.CallToolResult:
    permissions = request.backend.permissions
    record = _record(request, component)
    standing = permissions.standing(record)

    def without(policy: Policy | None) -> Policy:
        return edit.revoke(policy, which, section)

    if not permissions.is_temporary(record, which, section):
        gains = permissions.gains(record, without)
        if gains:  # what was revoked kept something from the component
            words = ["permission", "revoke", section, component, which]
            change = Lift(component, gains)
            await request.allowed(Asked(change, standing), "nothing was revoked", words)
    await request.backend.rights.revoke(
        component, which, section, expected=standing, client=request.client
    )
    answer = {"status": "permission revoked successfully", "component_id": component, named: which}
    return results.structured(answer)


async def _reset(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    record = _record(request, parsed(arguments, _Component).component_id)
    component = record.id
    attached = request.backend.permissions.attached(record)
    gains = tuple(right.text for right in difference(attached.policy, None) if right.sign == "+")
    if attached.state in ("edited", "unusable"):
        gains = ("to run again, without the policy that keeps it from that",)
    if gains:  # the policy keeps something from it
        change = Lift(component, gains)
        asked = Asked(change, request.backend.permissions.standing(record))
        words = ["permission", "reset", component]
        await request.allowed(asked, "nothing was reset", words)
    await request.backend.rights.reset(component, client=request.client)
    return results.structured(
        {"status": "permissions reset successfully", "component_id": component}
    )


def _record(request: Request, component: ComponentId) -> Record:
    record = request.backend.records().get(component)
    if record is None:
        raise UnknownComponentError(component)
    return record


# --- the table ------------------------------------------------------------------------------

_READS = types.ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
_WIDENS = types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_NARROWS = types.ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)

_URI = {
    "type": "string",
    "description": "fs://DIR below the workspace, fs:///absolute/DIR, or fs://state for "
    "a folder of its own that is kept between calls",
}
_ACCESS = {
    "type": "array",
    "items": {"type": "string", "enum": ["read", "write"]},
    "minItems": 1,
    "uniqueItems": True,
}
_HOST = {"type": "string", "description": "HOST, HOST:PORT, https://HOST or *.DOMAIN"}
_KEY = {"type": "string", "description": "Name of the variable"}


def _schema(**details: dict[str, Any]) -> dict[str, Any]:
    return object_schema(
        ["component_id", "details"],
        component_id=ID_SCHEMA,
        details=object_schema(list(details), **details),
    )


_OF_COMPONENT = object_schema(["component_id"], component_id=ID_SCHEMA)

PERMISSION_TOOLS: dict[str, BuiltinTool] = {
    "get-policy": BuiltinTool("Show what a component may do.", _OF_COMPONENT, _READS, _get_policy),
    "grant-storage-permission": BuiltinTool(
        "Ask a person to let a component use a directory, or single files.",
        _schema(uri=_URI, access=_ACCESS),
        _WIDENS,
        _grant_storage,
    ),
    "grant-network-permission": BuiltinTool(
        "Ask a person to let a component send requests to a host.",
        _schema(host=_HOST),
        _WIDENS,
        _grant_network,
    ),
    "grant-environment-variable-permission": BuiltinTool(
        "Ask a person to let a component see an environment variable of the server.",
        _schema(key=_KEY),
        _WIDENS,
        _grant_variable,
    ),
    "revoke-storage-permission": BuiltinTool(
        "Take files or a directory back from a component.",
        _schema(uri=_URI),
        _NARROWS,
        _revoke_storage,
    ),
    "revoke-network-permission": BuiltinTool(
        "Take a host back from a component.", _schema(host=_HOST), _NARROWS, _revoke_network
    ),
    "revoke-environment-variable-permission": BuiltinTool(
        "Take an environment variable back from a component.",
        _schema(key=_KEY),
        _NARROWS,
        _revoke_variable,
    ),
    "reset-permission": BuiltinTool(
        "Take everything back from a component: it is granted nothing any more.",
        _OF_COMPONENT,
        _NARROWS,
        _reset,
    ),
}
