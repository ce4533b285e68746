"""Whose certificates are believed: the system's authorities, and those that the operator adds.

All of them are read before the process is locked down. OpenSSL would look into a directory of them
at each handshake, when no file can be opened any more.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What OpenSSL looks for in a directory: the hash of a subject and a count (openssl-rehash(1)).
_BY_HASH = re.compile(r"[0-9a-f]{8}\.[0-9]+")


class AuthoritiesError(Exception):
    """What the operator added is no certificate."""


def context(more: bytes = b"") -> ssl.SSLContext:
    """For connections to servers whose name is verified, always; `more` authorities in PEM.

    Raises:
        AuthoritiesError: `more` can't be read.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in _of_the_system():
        _load(made, path)
    if more:
        try:
            made.load_verify_locations(cadata=more.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise AuthoritiesError("the added authorities are not certificates in PEM") from error
    _begin_one(made)
    return made


def _of_the_system() -> Iterator[Path]:
    """Files that OpenSSL would use by itself: SSL_CERT_FILE and SSL_CERT_DIR, or its defaults."""
    paths = ssl.get_default_verify_paths()
    yield Path(os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile)
    folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    for folder in folders.split(os.pathsep):
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 - names alone
        except OSError:
            continue
        yield from (Path(folder, name) for name in names if _BY_HASH.fullmatch(name))


def _load(made: ssl.SSLContext, path: Path) -> None:
    try:
        made.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError):
        return  # not there, or not to be read: none of the others depends on it


def _begin_one(made: ssl.SSLContext) -> None:
    """Begin a handshake with nobody, so that OpenSSL has loaded what it needs for one."""
    nowhere = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        made.wrap_bio(*nowhere, server_hostname="example.com").do_handshake()
    except ssl.SSLWantReadError:
        return
