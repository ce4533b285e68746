"""`policy explain`: whether a call may do one thing, by which rule, as things are now."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_protocol.frames import ComponentId
from wassette_supervisor.authority import mounts
from wassette_supervisor.authority.component_state import GUEST_PATH
from wassette_supervisor.authority.directories import Found, find
from wassette_supervisor.authority.names import Names
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import emit
from wassette_supervisor.cli.rights import record_of, rule_data
from wassette_supervisor.errors import OperatorNeededError, PolicyError, UsageError, one_line
from wassette_supervisor.policy import request_words
from wassette_supervisor.policy.address import ranges, refusal
from wassette_supervisor.policy.decision import (
    Allowed,
    Decision,
    Denied,
    EnvironmentRequest,
    StateRequest,
    StorageRequest,
    decide,
)
from wassette_supervisor.policy.directories import anchors, directories
from wassette_supervisor.policy.exact import allows
from wassette_supervisor.policy.reach import address_rules
from wassette_supervisor.policy.request_words import Invalid, Words
from wassette_supervisor.policy.storage_uri import STATE_URI, canonical_path

if TYPE_CHECKING:
    import argparse

    from wassette_supervisor.authority.granting import Granted, Granter
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Effective
    from wassette_supervisor.store.record import Record

_PLAIN = (
    "the folder is given whole, so that the kernel alone judges what in it is mounted, a FIFO or a "
    "device"
)


# RFC 3986, appendix B; what is wrong in its parts is told by whoever reads a guest's words.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)


class _Answer(NamedTuple):
    decision: Decision
    more: str = ""  # to know, in one line
    mode: str | None = None
    missing: tuple[str, ...] = ()
    why: str | None = None  # that mode, in a clause of a sentence


class _Call(NamedTuple):
    """What a call that started now would have."""

    effective: Effective
    granted: Granted
    granter: Granter
    state: str  # where the component's own folder is, or would be


def explain(invocation: Invocation) -> None:
    options = invocation.options
    url = None if options.url is None else _request(options.url, options.method or "GET")

    async def work(backend: Backend) -> _Answer:
        from wassette_supervisor.app import granter  # noqa: PLC0415 - the backend has loaded it

        record = record_of(backend, ComponentId(options.component))
        _require_tool(record, options.tool)
        permissions = backend.permissions
        try:
            effective = permissions.effective(record, options.tool)
            granted = permissions.granted(record, options.tool or "", foreseen=True)
        except (OperatorNeededError, PolicyError) as error:
            return _Answer(Denied(f"no call runs: {error}"))
        place = permissions.states.path(record.id)
        call = _Call(effective, granted, granter(invocation.settings), place)
        return _network(call, url) if url is not None else _of_this_system(call, options)

    _print(options, with_backend(invocation.settings, work))


def _require_tool(record: Record, tool: str | None) -> None:
    names = [each.name for each in record.tools]
    if tool is not None and tool not in names:
        there = ", ".join(names) or "none"
        raise UsageError(
            f"--tool: {record.id} has no tool {one_line(tool)!r}; its tools: {one_line(there)}"
        )


def _of_this_system(call: _Call, options: argparse.Namespace) -> _Answer:
    if options.path is not None:
        return _storage(call, options.path, options.access)
    return _variable(call, options.env)


def _print(options: argparse.Namespace, answer: _Answer) -> None:
    decision = answer.decision
    if isinstance(decision, Allowed):
        word, reason = "allowed", f"rule {decision.rule.number} of the policy allows it"
    else:
        word, reason = "denied", decision.reason
    data: dict[str, Any] = {
        "decision": word,
        "rule": None if decision.rule is None else rule_data(decision.rule),
        "reason": "; ".join(filter(None, (reason, answer.more))),
        "mode": answer.mode,
        "mode_reason": answer.why,
        "missing": list(answer.missing),
    }
    rule = "-" if decision.rule is None else f"{decision.rule.number}: {decision.rule.text}"
    rows = [("decision", word), ("rule", rule), ("reason", data["reason"])]
    mode = ": ".join(filter(None, (answer.mode, answer.why)))
    rows += [("mode", mode)] if mode else []
    rows += [("gives nothing", line) for line in answer.missing]
    emit(options, data, ("what", "value"), rows)


# --- files ----------------------------------------------------------------------------------


def _storage(call: _Call, path: str, access: Access) -> _Answer:
    """Judge the file that a path leads to, by the folders that a call is given.

    A folder is given as the one that its rule's path leads to, and judged by that rule.
    """
    try:
        canonical = call.state if _means_state(path) else os.path.realpath(path)
    except ValueError as error:
        raise UsageError(f"--path: {one_line(repr(path))}: {error}") from error
    if mounts.lies_in(canonical, call.state):
        return _own_folder(call, access)
    decision: Decision | None = None
    if call.granted.why_exact is not None:
        return _judged(call, canonical, access)
    for each in directories(call.effective, anchors(call.effective)):
        place = find(each.host_path, call.granter.keep_out)
        if isinstance(place, Found) and mounts.lies_in(canonical, place.path):
            below = os.path.relpath(canonical, place.path)
            named = each.host_path if below == "." else os.path.join(each.host_path, below)  # noqa: PTH118 - may hold any bytes
            decision = decide(call.effective, StorageRequest(named, access), shield=False)
            if isinstance(decision, Allowed):
                return _Answer(decision, _PLAIN, "plain", call.granted.missing)
    return _Answer(
        decision or _outside(call.effective, canonical, access), "", "plain", call.granted.missing
    )


def _judged(call: _Call, canonical: str, access: Access) -> _Answer:
    """Judge a path as a worker does, by the rules that it is given."""
    decision = decide(call.effective, StorageRequest(canonical, access))
    if isinstance(decision, Allowed) and not _is_given(call, canonical, access):
        what = f"rule {decision.rule.number} names it, but a call is not given it as it is now"
        decision = Denied(what, decision.rule)
    return _Answer(decision, "", "exact", call.granted.missing, call.granted.why_exact)


def _is_given(call: _Call, canonical: str, access: Access) -> bool:
    path = canonical_path(canonical) or ()
    for each in call.granted.grants.directories:
        folder = canonical_path(each.path) or ()
        if each.rules is not None and path[: len(folder)] == folder:
            return allows(each.rules, path[len(folder) :], access)
    return False


def _means_state(path: str) -> bool:
    return path == STATE_URI or path.startswith(f"{STATE_URI}/")


def _own_folder(call: _Call, access: Access) -> _Answer:
    decision = decide(call.effective, StateRequest(access))
    more = ""
    if isinstance(decision, Allowed):
        there = any(each.path == call.state for each in call.granted.grants.directories)
        made = "" if there else ", which the next call makes"
        more = f"the guest sees it as {GUEST_PATH}; it is {one_line(call.state)}{made}"
    exact = call.granted.grants.exact
    why = call.granted.why_exact if exact else None
    return _Answer(decision, more, "exact" if exact else "plain", call.granted.missing, why)


def _outside(effective: Effective, canonical: str, access: Access) -> Denied:
    """Why a path in none of the folders is denied."""
    decision = decide(effective, StorageRequest(canonical, access), shield=False)
    if isinstance(decision, Allowed):
        why = f"rule {decision.rule.number} names it, but a call is not given a folder there now"
        return Denied(why, decision.rule)
    return decision


# --- variables ------------------------------------------------------------------------------


def _variable(call: _Call, key: str) -> _Answer:
    decision = decide(call.effective, EnvironmentRequest(key))
    more = ""
    if isinstance(decision, Allowed) and key not in dict(call.granted.grants.environment):
        more = "but it has no value now, so the guest finds none"
    return _Answer(decision, more, missing=call.granted.missing)


# --- network --------------------------------------------------------------------------------


def _request(url: str, method: str) -> Words | Invalid:
    """Take a URL apart, and read its parts as those of a guest's request.

    Raises:
        UsageError: It is no URL.
    """
    found = _URL.fullmatch(url)
    if found is None:
        shown = one_line(repr(url))
        raise UsageError(f"--url: should be a URL as https://api.example.com/v1, not {shown}")
    return request_words.read(method, found[1].lower(), found[2], found[3])


def _network(call: _Call, asked: Words | Invalid) -> _Answer:
    if isinstance(asked, Invalid):
        return _Answer(Denied(asked.reason), missing=call.granted.missing)
    decision = decide(call.effective, asked.request)
    more = ""
    if isinstance(decision, Allowed):
        refused, more = _addresses(call, asked)
        decision = Denied(refused, decision.rule) if refused else decision
    return _Answer(decision, more, missing=call.granted.missing)


def _addresses(call: _Call, asked: Words) -> tuple[str, str]:
    """Why no address of the host may be dialled, or what is to know of them."""
    known = Names(call.granter.settings.name_server).destination(asked).addresses
    if not known:
        return "", "what its name leads to is judged when it is looked up, before it is dialled"
    rules = address_rules(call.effective, asked)
    denied, lifted = ranges(rules.denied), [ranges(layer) for layer in rules.lifted]
    judged = {each: refusal(each, denied, lifted) for each in known}
    told = "; ".join(f"{each} may not be dialled: {why}" for each, why in judged.items() if why)
    if None not in judged.values():
        return told, ""
    good = ", ".join(each for each, why in judged.items() if why is None)
    return "", "; ".join(filter(None, (f"{good} may be dialled", told)))
