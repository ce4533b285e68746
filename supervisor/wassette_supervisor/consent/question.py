"""The words that a person reads before allowing something; nobody else shapes them.

Sentences are ours. A value from elsewhere stands in quotes, in a few plain characters; all others
are escaped, so that no line break, no control, no look-alike, no Markdown and no HTML acts. What
is too long to be judged is not asked at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from wassette_supervisor.consent.change import Grant, Keep, Lift, Read, Unload
from wassette_supervisor.errors import SupervisorError
from wassette_supervisor.policy import address, http_rule, storage_uri
from wassette_supervisor.policy import host as hosts
from wassette_supervisor.policy.document import EnvironmentRule, NetworkRule, StorageRule

if TYPE_CHECKING:
    from wassette_supervisor.consent.change import Change

MAX_VALUE_CHARACTERS = 200
MAX_NAMED = 20
_PLAIN = re.compile(r"[A-Za-z0-9 ./:@=+,%-]")


class TooLongToAskError(SupervisorError):
    """A person could not judge it."""


def question(change: Change) -> str:
    """Write the question.

    Raises:
        TooLongToAskError: A value in it is too long to be shown whole.
    """
    match change:
        case Read():
            return _read(change)
        case Keep():
            return _keep(change)
        case Unload():
            return _unload(change)
        case Grant():
            return _grant(change)
        case Lift():
            gains = "; ".join(quoted(gain) for gain in change.gains[:MAX_NAMED])
            return f"Component {quoted(change.component)} would get back: {gains}. Allow it?"
        case _:
            assert_never(change)


def quoted(value: str) -> str:
    """Put a foreign value in quotes, all of it or not at all.

    Raises:
        TooLongToAskError: It is too long.
    """
    shown = "".join(_shown(value, at) for at in range(len(value)))
    if len(shown) > MAX_VALUE_CHARACTERS:
        raise TooLongToAskError(
            f"it has a value of {len(value)} characters, and a person is shown "
            f"{MAX_VALUE_CHARACTERS} at most; use a shorter one"
        )
    return f'"{shown}"'


def _shown(value: str, at: int) -> str:
    character = value[at]
    if _PLAIN.fullmatch(character):
        return character
    # Within a word it is only itself, in Markdown too.
    if character == "_" and value[at - 1 : at].isalnum() and value[at + 1 : at + 2].isalnum():
        return character
    return f"\\u{{{ord(character):x}}}"


_STAR = _shown("*", 0)


def _read(change: Read) -> str:
    under = f" under the name {quoted(change.name)}" if change.name else ""
    return (
        f"A model asks to load a WebAssembly component from {quoted(change.reference)}{under}. "
        "Nothing has been read yet. It would be read and compiled now; you are asked once more, "
        "with what was found, before it is kept. Go on?"
    )


def _keep(change: Keep) -> str:
    tools = ", ".join(quoted(tool) for tool in change.tools[:MAX_NAMED])
    more = len(change.tools) - MAX_NAMED
    listed = (tools or "none") + (f" and {more} more" if more > 0 else "")
    wants = f" It is made to use: {', '.join(change.wants)}." if change.wants else ""
    dropped = "A file is in the directory of local components. " if change.local else ""
    return (
        f"{dropped}Keep the component {quoted(change.component)} from {quoted(change.reference)}? "
        f"SHA-256 {change.digest}, signed by nobody. Tools: {listed}.{wants}{_replaced(change)} "
        "Models may then call these tools without asking you."
    )


def _replaced(change: Keep) -> str:
    rights = f"the {_rules(change.rules)} of its policy" if change.rules else "no rights"
    if change.replaces is None:
        return " It is granted nothing."
    return f" It replaces other bytes, SHA-256 {change.replaces}, and takes over {rights}."


def _unload(change: Unload) -> str:
    secrets = f"{change.secrets} secret{'' if change.secrets == 1 else 's'}"
    kept = ""
    if change.files:
        some = "1 file" if change.files == 1 else f"{change.files} files and folders"
        kept = f" So is what it keeps between calls: {some}."
    return (
        f"Unload the component {quoted(change.component)}? Its tools, its policy "
        f"({_rules(change.rules)}) and its {secrets} are deleted.{kept}"
    )


def _grant(change: Grant) -> str:
    wanted = f"component {quoted(change.component)} {_right(change)}"
    if not change.again:
        return f"May the {wanted}?"
    return f"The tool {quoted(change.again)} failed. May the {wanted}, and be run again?"


def _right(change: Grant) -> str:
    match change.rule:
        case StorageRule() as rule if storage_uri.parse(rule.uri).root == "state":
            if "write" in rule.access:
                return "keep files of its own between calls"
            return "read the files of its own that earlier calls kept"
        case StorageRule() as rule:
            deeds = " and ".join(
                {"read": "read", "write": "change"}[access] for access in rule.access
            )
            # A relative rule means the directory of this workspace, and may mean another one's.
            written = "" if rule.uri.startswith("fs:///") else f", written as {quoted(rule.uri)}"
            return f"{deeds} {_files(change)}{written}"
        case EnvironmentRule(key=key, secret=str() as secret):
            return f"see the secret {quoted(secret)}, as the variable {quoted(key)}"
        case EnvironmentRule() as rule:
            return f"see the value of this server's environment variable {quoted(rule.key)}"
        case NetworkRule() as rule:
            return _requests(rule)
        case _:
            assert_never(change.rule)


def _files(change: Grant) -> str:
    path = quoted(change.meaning)
    if isinstance(change.rule, StorageRule) and storage_uri.parse(change.rule.uri).has_glob:
        return f"all files that match {path}, in which {_STAR} stands for any text"
    return f"the file {path}" if change.is_file else f"all files in the directory {path}"


def _requests(rule: NetworkRule) -> str:
    kinds = f"{' and '.join(map(quoted, rule.methods))} " if rule.methods else ""
    where = ""
    if rule.paths:
        where = f", with a path as {' or '.join(map(quoted, rule.paths))}"
    return f"send {kinds}requests to {_destination(rule)}{where}{_sent_along(rule)}"


def _destination(rule: NetworkRule) -> str:
    if rule.host is None:
        return f"every address in {quoted(rule.cidr or '')}"
    host = hosts.parse(rule.host)
    if not host.wildcard:
        return f"{quoted(host.text)}{_not_public(host)}"
    named = f"every host below {quoted(host.name)}" if host.name else "every public host"
    scheme = f", by {host.scheme} alone" if host.scheme else ""
    port = f", on the port {host.port}" if host.port else ""
    others = ", whoever they belong to" if host.name and hosts.is_public_suffix(host) else ""
    return f"{named}{scheme}{port}{others}"


def _not_public(host: hosts.Host) -> str:
    """What a person may not see in an address."""
    if host.name.rpartition(".")[2] == "localhost":
        return ", which is this machine"
    why = address.refusal(host.name, ()) if host.address else None
    return "" if why is None else f", and {why}"


def _sent_along(rule: NetworkRule) -> str:
    texts = []
    for header, template in rule.inject.items():
        names = " and ".join(map(quoted, http_rule.secrets(template)))
        what = f"the secret {names}" if names else "a text of the policy"
        texts.append(f"; that sends {what} to it, as the header {quoted(header)}")
    return "".join(texts)


def _rules(count: int) -> str:
    return f"{count} rule{'' if count == 1 else 's'}"
