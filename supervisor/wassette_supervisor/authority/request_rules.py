"""One request of a guest's against what its call may do: all that an order needs, or a refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.broker_frames import MAX_INJECTED
from wassette_supervisor.policy import address, http_rule
from wassette_supervisor.policy.decision import Denied, decide
from wassette_supervisor.policy.document import NetworkRule
from wassette_supervisor.policy.host import is_address
from wassette_supervisor.policy.reach import address_rules, target_of
from wassette_supervisor.policy.request_words import Invalid, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wassette_protocol.broker_frames import AddressRules, Destination
    from wassette_protocol.frames import HttpRequested
    from wassette_supervisor.authority.names import Names
    from wassette_supervisor.policy.effective import Effective
    from wassette_supervisor.policy.numbering import Numbered
    from wassette_supervisor.policy.request_words import Words

DENIED = "HTTP-request-denied"
MAX_INJECTED_BYTES = 8 << 10  # names and values together: with a long target they fit in a packet
_SENDABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Refused(NamedTuple):
    """Why there is no such request; no reason has a word of the guest, or of a secret."""

    code: str  # one of REFUSALS
    reason: str  # one line
    words: Words | None = None  # what was asked for, if it was a request
    rule: Numbered | None = None  # that denies it
    # The host of a rule that would allow it, if a person could be asked for one.
    offer: str | None = None


class Permitted(NamedTuple):
    """What the broker is told, and the rule of the policy that allows it."""

    words: Words
    destination: Destination
    rules: AddressRules
    inject: tuple[tuple[str, str], ...]  # secrets among them
    rule: Numbered

    def __repr__(self) -> str:
        return f"Permitted({self.words!r}, {self.destination!r}, by {self.rule.text!r})"


@dataclass(frozen=True, repr=False)
class Judge:
    """What decides the requests of one call."""

    effective: Effective
    secrets: Mapping[str, str]  # those of its policy's headers are enough
    names: Names

    def __call__(self, asked: HttpRequested) -> Permitted | Refused:
        return judge(self.effective, self.secrets, self.names, asked)


def judge(
    effective: Effective, secrets: Mapping[str, str], names: Names, asked: HttpRequested
) -> Permitted | Refused:
    """Decide on a request.

    Args:
        effective: What the call may do.
        secrets: Of its component; those that its policy injects are enough.
        names: Where hosts lead.
        asked: The guest's words.
    """
    read = words(asked)
    if isinstance(read, Invalid):
        return Refused(read.code, read.reason)
    decision = decide(effective, read.request)
    if isinstance(decision, Denied):
        offer = _offer(effective, read) if decision.rule is None else None
        return Refused(DENIED, decision.reason, read, decision.rule, offer)
    try:
        inject = _inject(effective, secrets, read)
    except _NotSendableError as error:
        return Refused(DENIED, str(error), read, decision.rule)
    destination, rules = names.destination(read), address_rules(effective, read)
    return Permitted(read, destination, rules, inject, decision.rule)


def makes_requests(imports: Iterable[str]) -> bool:
    """Whether a component that imports these can have to do with requests."""
    return any(name.startswith("wasi:http/") for name in imports)


def _offer(effective: Effective, words: Words) -> str | None:
    """A rule that the policy lacks, if it is all that is missing."""
    target = target_of(words)
    if is_address(words.host) and address.is_metadata(words.host):
        return None  # it gives its caller the keys of the machine
    for layer in effective.others:
        if not any(clause.allows(target) for _, clause in layer.network_allow):
            return None
    return words.url


# --- headers --------------------------------------------------------------------------------


class _NotSendableError(Exception):
    """What the policy wants to be sent can't be; says why, in a line without any value."""


def _inject(
    effective: Effective, secrets: Mapping[str, str], words: Words
) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, template in _wanted(effective, words):
        value = _filled(name, template, secrets)
        if found.setdefault(name, value) != value:
            raise _NotSendableError(f"two rules inject different texts as the header {name}")
    size = sum(len(name) + len(value) for name, value in found.items())
    if len(found) > MAX_INJECTED or size > MAX_INJECTED_BYTES:
        raise _NotSendableError(
            f"the headers that its rules inject are more than {MAX_INJECTED}, or together more "
            f"than {MAX_INJECTED_BYTES} bytes"
        )
    return tuple(sorted(found.items()))


def _wanted(effective: Effective, words: Words) -> Iterator[tuple[str, str]]:
    """The headers of all rules of the policy that allow it: the other layers set nothing."""
    target = target_of(words)
    for rule, clause in effective.policy.network_allow:
        if isinstance(rule.rule, NetworkRule) and rule.rule.inject and clause.allows(target):
            yield from rule.rule.inject.items()


def _filled(name: str, template: str, secrets: Mapping[str, str]) -> str:
    for secret in http_rule.secrets(template):
        if secret not in secrets:
            raise _NotSendableError(f"there is no secret {secret}, which goes with it as {name}")
    value = http_rule.filled(template, secrets)
    # RFC 9110, 5.5; what would end the header would begin another.
    if not _SENDABLE.fullmatch(value):
        raise _NotSendableError(
            f"with its secrets the header {name} is no line of printable ASCII characters, with "
            "no space at its begin or end"
        )
    return value
