"""The built-in tools about permissions: a model asks, a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import mcp_types as types
import msgspec

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
from wassette_supervisor.policy.document import EnvironmentRule
from wassette_supervisor.policy.numbering import numbered, rule_text
from wassette_supervisor.policy.rules import rule_from_words

if TYPE_CHECKING:
    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.policy.document import Policy, Rule
    from wassette_supervisor.policy.numbering import LimitRule
    from wassette_supervisor.policy.rules import Section
    from wassette_supervisor.store.record import Record

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
            {"number": each.number, "rule": f"{each.kind} {_told(each.rule)}"}
            for each in (numbered(attached.policy) if attached.policy else [])
        ],
    }
    if temporary := request.backend.permissions.temporary(record):
        answer["for_a_while"] = [f"allow {_told(rule)}" for rule in temporary]
    return results.structured(answer)


def _told(rule: Rule | LimitRule) -> str:
    # A value is for the guest; a model has no use for it.
    if isinstance(rule, EnvironmentRule) and rule.value is not None:
        return f"{rule.key}, with a value of the policy's own"
    return rule_text(rule)


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


async def _grant(
    request: Request, component: ComponentId, rule: Rule, kind: str, words: list[str]
) -> types.CallToolResult:
    permissions = request.backend.permissions
    record = _record(request, component)
    changed = permissions.proposed(record, lambda policy: edit.grant(policy, rule))
    if changed.widens:
        change = Grant(component, rule, permissions.meaning(rule))
        asked = Asked(change, permissions.standing(record))
        scope = await request.allowed(
            asked, "the permission was not granted", ["permission", "grant", *words]
        )
        await request.backend.rights.grant(
            component, rule, scope, expected=asked.standing, client=request.client
        )
    else:
        scope = "always"
    answer = {
        "status": "permission granted successfully",
        "component_id": component,
        "permission_type": kind,
        "details": {"rule": rule_text(rule), "scope": scope},
    }
    return results.structured(answer)


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
        changed = permissions.proposed(record, without)
        if changed.widens:  # what was revoked kept something from the component
            gains = tuple(right.text for right in changed.rights if right.sign == "+")
            words = ["permission", "revoke", section, component, which]
            change = Lift(component, gains)
            await request.allowed(Asked(change, standing), "nothing was revoked", words)
    await request.backend.rights.revoke(
        component, which, section, expected=standing, client=request.client
    )
    answer = {"status": "permission revoked successfully", "component_id": component, named: which}
    return results.structured(answer)


async def _reset(request: Request, arguments: dict[str, Any]) -> types.CallToolResult:
    component = _record(request, parsed(arguments, _Component).component_id).id
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

_URI = {"type": "string", "description": "fs://DIR below the workspace, or fs:///absolute/DIR"}
_ACCESS = {
    "type": "array",
    "items": {"type": "string", "enum": ["read", "write"]},
    "minItems": 1,
    "uniqueItems": True,
}
_HOST = {"type": "string", "description": "HOST, HOST:PORT or https://HOST"}
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
        "Ask a person to let a component use a directory.",
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
        "Take a directory back from a component.", _schema(uri=_URI), _NARROWS, _revoke_storage
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
