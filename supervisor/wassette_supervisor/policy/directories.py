"""The folders that a call is granted whole, as a guest that opens them natively needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy import enforceable
from wassette_supervisor.policy.numbering import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wassette_supervisor.policy.document import Access
    from wassette_supervisor.policy.effective import Effective, Layer, Path, StorageClause

_Accesses = frozenset["Access"]


class GrantedDirectory(NamedTuple):
    """`uri` is that of the policy's rule; `host_path` lies at or below what it names."""

    uri: str
    guest_path: str
    host_path: str
    writable: bool


class _Candidate(NamedTuple):
    clause: StorageClause  # of the policy: says how the guest names the folder
    path: Path
    source: str  # whose words made it a folder of its own

    @property
    def namespace(self) -> bool:
        return self.clause.below_workspace


def directories(effective: Effective) -> list[GrantedDirectory]:
    """The outermost folders that all layers grant, each whole with one access.

    Raises:
        PolicyError: A rule is not of this kind, or two folders in each other would need
            different access.
    """
    for layer in effective.layers:
        _check_enforced(layer)
    grants = [_by_path(layer) for layer in effective.layers]
    kept: dict[tuple[bool, Path], tuple[_Candidate, _Accesses]] = {}
    for candidate in sorted(_candidates(effective), key=lambda c: (len(c.path), c.path)):
        access = frozenset.intersection(*(_access(by_path, candidate.path) for by_path in grants))
        if "read" in access and not _is_redundant(candidate, access, kept):
            kept.setdefault((candidate.namespace, candidate.path), (candidate, access))
    return [_granted(candidate, access) for candidate, access in kept.values()]


def access_to(clause: StorageClause, layers: Sequence[Layer]) -> _Accesses:
    """What all these layers grant to the folder that a rule names."""
    return frozenset.intersection(*(_access(_by_path(layer), _path(clause)) for layer in layers))


def host_path(clause: StorageClause) -> str:
    return "/" + _decoded(_path(clause))


def _check_enforced(layer: Layer) -> None:
    clauses = (clause.rule for clause in (*layer.storage_allow, *layer.storage_deny))
    for rule in (*clauses, *layer.state_allow, *layer.state_deny):
        why = enforceable.reason(rule)
        if why is not None:
            what = f"rule {rule.number} of {layer.name} ({rule.text}): {why}"
            raise PolicyError(what, "remove it, or grant whole folders")


def _by_path(layer: Layer) -> dict[Path, _Accesses]:
    found: dict[Path, _Accesses] = {}
    for clause in layer.storage_allow:
        path = _path(clause)
        found[path] = found.get(path, frozenset()) | frozenset(clause.access)
    return found


def _access(by_path: dict[Path, _Accesses], path: Path) -> _Accesses:
    """What a layer gives to a folder: the union of what it gives to it and those above."""
    return frozenset().union(*(by_path.get(above, ()) for above in _upwards(path)))


def _upwards(path: Path) -> Iterator[Path]:
    """The path itself and those above it, the nearest first."""
    for length in range(len(path), -1, -1):
        yield path[:length]


def _path(clause: StorageClause) -> Path:
    return clause.root + clause.pattern.segments


def _candidates(effective: Effective) -> Iterator[_Candidate]:
    """The policy's folders, and what other layers name below them."""
    own: dict[tuple[bool, Path], StorageClause] = {}
    for clause in effective.policy.storage_allow:
        own.setdefault((clause.below_workspace, _path(clause)), clause)
        yield _Candidate(clause, _path(clause), f"rule {clause.rule.number}")
    for layer in effective.others:
        for narrower in layer.storage_allow:
            source = f"rule {narrower.rule.number} of {layer.name}"
            for namespace in (True, False):
                keys = ((namespace, above) for above in _upwards(_path(narrower)))
                found = next((own[key] for key in keys if key in own), None)
                if found is not None:
                    yield _Candidate(found, _path(narrower), source)


def _is_redundant(
    candidate: _Candidate,
    access: _Accesses,
    kept: dict[tuple[bool, Path], tuple[_Candidate, _Accesses]],
) -> bool:
    """Whether a kept folder has it already; below a folder, access never becomes less."""
    redundant = False
    for above in _upwards(candidate.path):
        for namespace in (True, False):
            if (namespace, above) not in kept:
                continue
            outer, outer_access = kept[namespace, above]
            if outer_access != access:
                _refuse(outer, candidate)
            redundant = redundant or namespace == candidate.namespace
    return redundant


def _refuse(outer: _Candidate, inner: _Candidate) -> None:
    what = (
        f"{_text(inner.path)} ({inner.source}) lies in {_text(outer.path)} ({outer.source}) and "
        "has another access"
    )
    raise PolicyError(what, "give both the same access, or grant folders beside each other")


def _granted(candidate: _Candidate, access: _Accesses) -> GrantedDirectory:
    clause, path = candidate.clause, candidate.path
    guest = _decoded(path[len(clause.root) :]) if clause.below_workspace else "/" + _decoded(path)
    return GrantedDirectory(clause.uri, guest, "/" + _decoded(path), "write" in access)


def _text(path: Path) -> str:
    return shown("/" + _decoded(path))


def _decoded(path: Path) -> str:
    return b"/".join(path).decode("utf-8", "surrogateescape")
