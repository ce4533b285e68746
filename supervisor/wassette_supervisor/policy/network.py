"""Network rules against a request, by its words: its addresses are another question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from wassette_protocol.patterns import Pattern
from wassette_supervisor.policy import cidr, http_rule
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy.host import Host

if TYPE_CHECKING:
    from wassette_supervisor.policy.document import NetworkRule


class Target(msgspec.Struct, frozen=True):
    scheme: str
    name: str  # normal: a name, or an address without brackets
    port: int
    method: str
    path: str  # raw, without query


class NetworkClause(msgspec.Struct, frozen=True):
    host: Host | None
    cidr: str | None
    methods: tuple[str, ...]
    paths: tuple[Pattern, ...]

    def reaches(self, target: Target, *, deny: bool) -> bool:
        """Whether it speaks of the host and port of a request."""
        if self.host is not None:
            return self.host.matches(target.scheme, target.name, target.port, deny=deny)
        literal = hosts.is_address(target.name)
        if self.cidr is None or not literal or not cidr.contains(self.cidr, target.name):
            return False
        return deny or target.port == hosts.DEFAULT_PORTS[target.scheme]

    def allows(self, target: Target) -> bool:
        if not self.reaches_method(target):
            return False
        if not self.paths:
            return True
        if not http_rule.is_unambiguous(target.path):
            return False
        segments = http_rule.path_segments(target.path)
        return any(http_rule.path_matches(pattern, segments) for pattern in self.paths)

    def reaches_method(self, target: Target) -> bool:
        """Whether it allows a request, but for its path."""
        if self.methods and target.method not in self.methods:
            return False
        return self.reaches(target, deny=False)


def clause(rule: NetworkRule) -> NetworkClause:
    host = hosts.parse(rule.host) if rule.host is not None else None
    paths = tuple(map(http_rule.path_pattern, rule.paths))
    return NetworkClause(host, rule.cidr, rule.methods, paths)
