"""The folders and files of a call, as they are on the disk when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.authority import case_folding, mounts
from wassette_supervisor.authority.changes import NotGrantableError
from wassette_supervisor.authority.directories import Forbidden, Found, Missing, find
from wassette_supervisor.errors import one_line
from wassette_supervisor.policy.directories import anchors, directories, host_path, upwards
from wassette_supervisor.policy.exact import exact_directories, is_there, why_exact
from wassette_supervisor.pool.grants import Directory, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wassette_protocol.capabilities import Reach
    from wassette_supervisor.authority.directories import Protected
    from wassette_supervisor.policy.directories import Anchor
    from wassette_supervisor.policy.effective import Effective, Path
    from wassette_supervisor.policy.exact import ExactDirectory, Kind


class Files(NamedTuple):
    """What a call is given of the disk."""

    directories: tuple[Directory, ...]
    owners: frozenset[int]  # of what is granted
    missing: tuple[str, ...]  # what gives nothing now, in a line each
    why_exact: str | None  # why each path is judged; None: the kernel alone keeps the folders


class _Looked(NamedTuple):
    there: dict[Path, Found]
    missing: dict[Path, str]

    @property
    def kinds(self) -> dict[Path, Kind]:
        return {
            path: "file" if found.is_file else "directory" for path, found in self.there.items()
        }


def files(
    effective: Effective,
    keep_out: Sequence[Protected],
    *,
    plain_writes: bool,
    audit_files: bool = False,
) -> Files:
    """Settle what a call that starts now is given.

    Args:
        effective: What may be given.
        keep_out: What may not.
        plain_writes: What is never written to under a grant of more is given up.
        audit_files: Each open is recorded.

    Raises:
        NotGrantableError: Something may not be granted as it is.
    """
    named = anchors(effective)
    looked = _look(named, keep_out)
    there = [anchor for anchor in named if is_there(anchor, looked.kinds)]
    why = why_exact(
        effective, named, looked.kinds, plain_writes=plain_writes, audit_files=audit_files
    )
    if why is None:
        given = _plain(effective, named, looked)
    else:
        # What an operator can do about a deny that nobody wrote.
        more = "" if plain_writes or audit_files else ", or run with --plain-writes"
        given = _exact(effective, named, looked, more)
    missing = tuple(f"files {each}" for each in looked.missing.values())
    return Files(tuple(given), frozenset(_owners(there, looked)), missing, why)


def _look(named: Sequence[Anchor], keep_out: Sequence[Protected]) -> _Looked:
    looked = _Looked({}, {})
    for anchor in named:
        above = list(_above(anchor.path))
        if any(path in looked.missing for path in above):
            continue
        is_within = any(path in looked.there for path in above)
        # What lies in a folder that may be granted may be granted.
        match find(anchor.host_path, () if is_within else keep_out):
            case Found() as found if found.is_file and not anchor.is_literal:
                looked.missing[anchor.path] = one_line(f"{anchor.host_path}: it is no directory")
            case Found() as found:
                looked.there[anchor.path] = found
            case Missing(why):
                looked.missing[anchor.path] = why
            case Forbidden(why, instead):
                if not is_within:
                    raise NotGrantableError(why, instead)
                looked.missing[anchor.path] = why
    return looked


def _above(path: Path) -> Iterator[Path]:
    return (each for each in upwards(path) if each != path)


def _owners(there: Sequence[Anchor], looked: _Looked) -> Iterator[int]:
    """Whose the outermost of what is granted are."""
    paths = {anchor.path for anchor in there}
    for path in paths:
        if not any(above in paths for above in _above(path)):
            yield looked.there[path].owner


def _plain(effective: Effective, named: Sequence[Anchor], looked: _Looked) -> Iterator[Directory]:
    by_path = {host_path(path): found for path, found in looked.there.items()}
    for each in directories(effective, named):
        found = by_path.get(each.host_path)
        if found is not None:
            yield Directory(each.guest_path, found.path, found.device, found.inode, each.writable)


def _exact(
    effective: Effective, named: Sequence[Anchor], looked: _Looked, more: str
) -> Iterator[Directory]:
    by_path = {host_path(path): found for path, found in looked.there.items()}
    known = mounts.read()
    for each in exact_directories(effective, named, looked.kinds):
        # That of a single file is no anchor: nothing of it but that file is granted.
        own = by_path.get(each.host_path) or find(each.host_path, ())
        if not isinstance(own, Found):
            raise NotGrantableError(own.why, "call again: it changed just now")
        by_path[each.host_path] = own
        _check_case(each, [by_path[path] for path, _ in each.places], known, more)
        places = tuple(_place(path, by_path[path], reach) for path, reach in each.places)
        name = each.guest_path
        yield Directory(name, own.path, own.device, own.inode, each.writable, each.rules, places)


def _place(path: str, found: Found, reach: Reach) -> Place:
    return Place(path, found.device, found.inode, reach, found.is_file)


def _check_case(
    directory: ExactDirectory, places: Sequence[Found], known: list[mounts.Mount], more: str
) -> None:
    """Refuse to promise a deny that another spelling would get around."""
    denied = any(layer.deny for layer in directory.rules.layers)
    if not denied and not directory.rules.shielded:
        return
    for place in places:
        why = None if place.is_file else case_folding.why_folded(place.path, known)
        if why is not None:
            what = f"what is denied of {one_line(place.path)} could not be kept: {why}"
            instead = "deny nothing of it" if denied else f"grant it to be read only{more}"
            raise NotGrantableError(what, instead)
