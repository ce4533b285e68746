"""`secret set`, `list` and `delete`: values go in, and never come out again."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any

from wassette_protocol.frames import ComponentId
from wassette_supervisor.cli import given
from wassette_supervisor.cli.backends import with_backend
from wassette_supervisor.cli.output import emit, warn
from wassette_supervisor.cli.rights import CLIENT, record_of
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.store.secrets import MAX_SECRET_BYTES, SECRET_NAME

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.front.backend import Backend


def set_secret(invocation: Invocation) -> None:
    options = invocation.options
    component = ComponentId(options.component)
    written, open_names = _split(options.names)
    _require_one_source(options, written, open_names)
    names = [*written, *open_names]

    async def look(backend: Backend) -> None:
        record_of(backend, component)

    # Nobody types a secret for a component that isn't there.
    with_backend(invocation.settings, look)
    values = {
        name: _checked(name, value.encode(errors="surrogateescape"))
        for name, value in written.items()
    }
    values |= {name: _checked(name, _value(options, name)) for name in open_names}
    for name in written:
        warn(f"the value of {name} was on the command line, where every process could see it")

    async def work(backend: Backend) -> None:
        await backend.rights.set_secrets(component, values, client=CLIENT)

    with_backend(invocation.settings, work)
    _emit_names(options, component, "set", names)


def list_all(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)

    async def work(backend: Backend) -> list[str]:
        record_of(backend, component)
        return sorted(backend.permissions.secrets.of(component))

    names = with_backend(invocation.settings, work)
    answer = {"id": component, "names": names, "total": len(names)}
    emit(invocation.options, answer, ("name",), [(name,) for name in names])


def delete(invocation: Invocation) -> None:
    component = ComponentId(invocation.options.component)
    names = list(dict.fromkeys(invocation.options.names))

    async def work(backend: Backend) -> None:
        record_of(backend, component)
        there = backend.permissions.secrets.of(component)
        # Before it is on record.
        for name in names:
            if name not in there:
                shown = ", ".join(sorted(there)) or "none at all"
                raise UsageError(f"there is no secret {one_line(name)!r}; there is {shown}")
        await backend.rights.delete_secrets(component, names, client=CLIENT)

    with_backend(invocation.settings, work)
    _emit_names(invocation.options, component, "deleted", names)


def _emit_names(
    options: argparse.Namespace, component: ComponentId, status: str, names: list[str]
) -> None:
    answer: dict[str, Any] = {"id": component, "status": status, "names": names}
    rows = [(component, status, name) for name in names]
    emit(options, answer, ("id", "status", "name"), rows)


# --- what is given --------------------------------------------------------------------------


def _split(words: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The values that were written behind a name, and the names without.

    Raises:
        UsageError: A name is none, or is there twice.
    """
    written: dict[str, str] = {}
    open_names: list[str] = []
    for place, word in enumerate(words, 1):
        name, equals, value = word.partition("=")
        # Not quoted: it may be a value that was meant to stand behind a name.
        if not SECRET_NAME.fullmatch(name):
            raise UsageError(
                f"NAME number {place} is no name of a secret; a name takes letters, digits and _, "
                "the first no digit"
            )
        if name in written or name in open_names:
            raise UsageError(f"the secret {name} is there twice; name it once")
        if equals:
            written[name] = value
        else:
            open_names.append(name)
    return written, open_names


def _require_one_source(
    options: argparse.Namespace, written: dict[str, str], open_names: list[str]
) -> None:
    option = next((o for o in ("from_env", "from_file") if getattr(options, o) is not None), None)
    if option is not None and (written or len(open_names) != 1):
        flag = f"--{option.replace('_', '-')}"
        raise UsageError(f"{flag} has the value of one secret; give one NAME, without =")
    if option is None and len(open_names) > 1 and not _is_typed():
        raise UsageError("standard input has the value of one secret; give one NAME at a time")


def _is_typed() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _value(options: argparse.Namespace, name: str) -> bytes:
    if options.from_env is not None:
        value = os.environb.get(os.fsencode(options.from_env))
        if value is None:
            raise UsageError(f"--from-env: there is no variable {one_line(options.from_env)!r}")
        return value
    if options.from_file is not None:
        content = given.from_file(options.from_file, MAX_SECRET_BYTES, "the secret")
    elif _is_typed():
        return getpass.getpass(f"{name}: ").encode(errors="surrogateescape")
    else:
        content = given.from_stdin(MAX_SECRET_BYTES, "the secret")
    return content.removesuffix(b"\n")


def _checked(name: str, value: bytes) -> str:
    """The value as text; no message has anything of it.

    Raises:
        UsageError: It can't be kept.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text or len(value) > MAX_SECRET_BYTES:
        raise UsageError(
            f"the secret {name} should be UTF-8 text of 1 to {MAX_SECRET_BYTES} bytes without a "
            "zero byte"
        )
    return text
