"""A real nginx on the loopback interface: a peer that we did not write.

Locations stand in `nginx_places.conf`. Its ports are made here and handed to it, so that no other
process can take one in between.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from support import certificates, tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.certificates import Authority, Certificate

PATIENCE_S = 10
PAGE: Final = b"a page of nginx, with <tags> & some length to it\n" * 20
# Of what is not there but its length: the kernel gives zeros for it.
SPARSE: Final = {"100M": 100_000_000, "1G": 1_000_000_000, "endless": 1 << 40}

_PLACES = Path(__file__).with_name("nginx_places.conf")
_NOBODY = "nobody"

# What is written of each request, as JSON.
_VARIABLES = {
    "connection": "connection",
    "method": "request_method",
    "target": "request_uri",
    "protocol": "server_protocol",
    "status": "status",
    "port": "server_port",
    "name": "ssl_server_name",
    "host": "http_host",
    "authorization": "http_authorization",
    "content_length": "http_content_length",
    "transfer_encoding": "http_transfer_encoding",
    "sent": "body_bytes_sent",
    "completed": "request_completion",
}


class Seen(msgspec.Struct, frozen=True):
    """A request as nginx saw it; all in its words, and an empty text is what was not there."""

    connection: str  # a number for each
    method: str
    target: str
    protocol: str
    status: str
    port: str
    name: str  # of the server, in the handshake
    host: str
    authorization: str
    content_length: str
    transfer_encoding: str
    sent: str  # bytes of the answer's body
    completed: str  # OK, or empty


class Nginx:
    """Where it is to be found, and what it saw."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder = folder
        self.ports = ports

    def url(self, kind: str, path: str = "/page.txt", host: str = "127.0.0.1") -> str:
        """Of one of the kinds of `_servers`."""
        scheme = "http" if kind == "http" else "https"
        return f"{scheme}://{host}:{self.ports[kind]}{path}"

    def seen(self, count: int) -> list[Seen]:
        """So many requests or more, since it began or `forget`; waits until they are over."""
        until = time.monotonic() + PATIENCE_S
        while len(lines := self._log.read_bytes().splitlines()[self._forgotten :]) < count:
            assert time.monotonic() < until, f"nginx saw {lines}, not {count} requests"
            time.sleep(0.01)
        # It writes what it saw as it came, and headers are Latin-1 at best.
        return [msgspec.json.decode(line.decode("latin-1"), type=Seen) for line in lines]

    def forget(self) -> None:
        self._forgotten = len(self._log.read_bytes().splitlines())

    def put(self, name: str) -> bytes:
        """What a PUT to `/put/NAME` left."""
        return (self.folder / "put" / name).read_bytes()

    @property
    def _log(self) -> Path:
        return self.folder / "seen.json"

    _forgotten = 0


@contextmanager
def nginx(authority: Authority, hosts: tuple[str, ...] = ()) -> Iterator[Nginx]:
    """One for the time of a block; its good certificates name these hosts and the loopback ones.

    The test is skipped where there is no nginx (`sh scripts/peers`).
    """
    program = tools.require("nginx")
    with ExitStack() as stack:
        # Not in pytest's folder, where nobody but its user gets in.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nginx-")))
        servers = _servers(authority, hosts, folder)
        sockets = {
            kind: stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=511))
            for kind in servers
        }
        ports = {kind: one.getsockname()[1] for kind, one in sockets.items()}
        _write_files(folder)
        (folder / "nginx.conf").write_text(_configuration(servers, ports))
        descriptors = [one.fileno() for one in sockets.values()]
        process = stack.enter_context(_run(program, folder, descriptors))
        stack.callback(process.terminate)
        for one in sockets.values():
            one.close()
        found = Nginx(folder, ports)
        _await_answer(found, process)
        yield found


def _servers(
    authority: Authority, hosts: tuple[str, ...], folder: Path
) -> dict[str, tuple[Certificate | None, str]]:
    """Each kind of server: its certificate, and what its `listen` and TLS have besides."""
    hosts = (*certificates.LOOPBACK, *hosts)
    good = authority.issue("nginx", hosts, folder=folder)
    stranger = certificates.Authority(folder, "an authority that nobody knows")
    expired = authority.issue_expired("nginx-expired", folder=folder)
    elsewhere = authority.issue("nginx-elsewhere", ("elsewhere.example",), folder=folder)
    return {
        "http": (None, ""),
        "https": (good, "http2"),
        "https1": (good, ""),  # HTTP/1.1 alone
        "old": (good, "old"),  # TLS 1.1 alone
        "expired": (expired, "http2"),
        "wrong-host": (elsewhere, "http2"),
        "self-signed": (certificates.self_signed(folder, "nginx-self-signed"), "http2"),
        "stranger": (stranger.issue("nginx-stranger", hosts), "http2"),
    }


def _configuration(
    servers: dict[str, tuple[Certificate | None, str]], ports: dict[str, int]
) -> str:
    logged = ", ".join(f'"{name}": "${variable}"' for name, variable in _VARIABLES.items())
    blocks = "\n".join(
        _server(ports[kind], certificate, how) for kind, (certificate, how) in servers.items()
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    scratch = "\n".join(f"{kind}_temp_path scratch;" for kind in kinds)
    return f"""\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    default_type text/plain;
    types {{ text/html html; }}
    log_format seen escape=json '{{{logged}}}';
    access_log seen.json seen;
    large_client_header_buffers 4 64k;
    sendfile on;
    {scratch}
    {blocks}
}}
"""


def _server(port: int, certificate: Certificate | None, how: str) -> str:
    if certificate is None:
        return f"server {{ listen 127.0.0.1:{port}; include places.conf; }}"
    # OpenSSL of these days takes the old protocol only at the lowest of its levels.
    old = "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT:@SECLEVEL=0;" if how == "old" else ""
    return f"""\
server {{
    listen 127.0.0.1:{port} ssl {"http2" if how == "http2" else ""};
    ssl_certificate {certificate.certificate.name};
    ssl_certificate_key {certificate.key.name};
    {old}
    include places.conf;
}}"""


def _write_files(folder: Path) -> None:
    for name in ("pages", "put", "scratch"):
        (folder / name).mkdir()
    for name in ("page.txt", "page.html"):
        (folder / "pages" / name).write_bytes(PAGE)
    (folder / "pages" / "empty").touch()
    for name, size in SPARSE.items():
        with (folder / "pages" / name).open("wb") as file:
            file.truncate(size)
    places = _PLACES.read_text().replace("@KILOBYTE@", "large---" * 128)
    (folder / "places.conf").write_text(places)


def _run(program: Path, folder: Path, descriptors: list[int]) -> subprocess.Popen[bytes]:
    user = pwd.getpwnam(_NOBODY) if os.geteuid() == 0 else None
    if user is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
    with (folder / "errors").open("wb") as errors:
        return subprocess.Popen(  # noqa: S603 - the one that was found
            [program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"],
            # Listening sockets, as an nginx hands them to the one that replaces it.
            env={"NGINX": "".join(f"{number};" for number in descriptors)},
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )


def _await_answer(found: Nginx, process: subprocess.Popen[bytes]) -> None:
    """The ports take connections before nginx does: it is there when it has answered."""
    url = found.url("http")
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - our own port
            assert answer.read() == PAGE
    except OSError as error:
        process.kill()
        said = (found.folder / "errors").read_text()
        raise AssertionError(f"nginx did not start: {error}; {said}") from error
    found.seen(1)
    found.forget()
