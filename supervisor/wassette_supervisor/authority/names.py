"""Where a host leads without asking anybody, and which name servers are asked for the others."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from wassette_protocol.broker_frames import MAX_ADDRESSES, Destination
from wassette_protocol.capabilities import MIB
from wassette_supervisor.policy.host import is_address
from wassette_supervisor.policy.reach import LOCALHOST, LOCALHOST_ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wassette_supervisor.policy.request_words import Words

HOSTS = Path("/etc/hosts")
RESOLVER = Path("/etc/resolv.conf")
MAX_NAME_SERVERS = 3  # MAXNS of resolv.conf(5)
_DEFAULT_SERVER = "127.0.0.1:53"  # resolv.conf(5): where none is named
_MAX_BYTES = MIB

_Found = TypeVar("_Found")


class _Stamp(NamedTuple):
    device: int
    inode: int
    size: int
    changed_ns: int


class _Followed(Generic[_Found]):
    """What a file says, read again when it has changed; of one that can't be read, nothing."""

    def __init__(self, path: Path, read: Callable[[str], _Found]) -> None:
        self._path = path
        self._read = read
        self._stamp: _Stamp | None = None
        self._found = read("")

    def now(self) -> _Found:
        try:
            stat = self._path.stat()  # a link is followed: resolv.conf commonly is one
            stamp = _Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_ctime_ns)
            if stamp != self._stamp:
                with self._path.open("rb") as file:
                    text = file.read(_MAX_BYTES).decode("utf-8", "replace")
                self._stamp, self._found = stamp, self._read(text)
        except OSError:
            self._stamp, self._found = None, self._read("")
        return self._found


class Names:
    """The hosts that this machine knows by itself; costs two looks at files for each request."""

    def __init__(
        self, name_server: str | None, hosts: Path = HOSTS, resolver: Path = RESOLVER
    ) -> None:
        self._name_server = name_server
        self._hosts = _Followed(hosts, _hosts)
        self._resolver = _Followed(resolver, _name_servers)

    def destination(self, words: Words) -> Destination:
        """Where a request goes, as far as that is known here."""
        known = self._addresses(words.host)
        servers = [] if known else self._servers()
        return Destination(words.request.scheme, words.host, words.port, list(known), servers)

    def _addresses(self, host: str) -> tuple[str, ...]:
        if is_address(host):
            return (host,)
        if host.rpartition(".")[2] == LOCALHOST:
            return LOCALHOST_ADDRESSES
        return self._hosts.now().get(host, ())

    def _servers(self) -> list[str]:
        return list(self._resolver.now()) if self._name_server is None else [self._name_server]


def _hosts(text: str) -> dict[str, tuple[str, ...]]:
    """hosts(5): an address a line, and the names that lead to it."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        first, *names = line.partition("#")[0].split() or [""]
        address = _address(first)
        for name in names if address is not None else ():
            known = found.setdefault(name.lower().removesuffix("."), [])
            if address not in known and len(known) < MAX_ADDRESSES:
                known.append(str(address))
    return {name: tuple(addresses) for name, addresses in found.items()}


def _name_servers(text: str) -> tuple[str, ...]:
    return tuple(_servers(text))[:MAX_NAME_SERVERS] or (_DEFAULT_SERVER,)


def _servers(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            address = _address(words[1])
            if address is not None:
                yield f"[{address}]:53" if ":" in address else f"{address}:53"


def _address(text: str) -> str | None:
    """An address in its normal form; one with a zone is none that could be handed on."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if address.version == 6:
        address = address.ipv4_mapped or address
    return None if "%" in text else str(address)
