"""What `policy check` finds out about a file, or about what is attached to a component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wassette_supervisor.cli import policy_file
from wassette_supervisor.cli.rights import CLIENT, changes_data, gives_nothing
from wassette_supervisor.errors import PolicyError, SupervisorError, one_line
from wassette_supervisor.policy import parsing
from wassette_supervisor.policy.difference import difference
from wassette_supervisor.settings import NAME

if TYPE_CHECKING:
    from wassette_supervisor.authority.attached import Attached
    from wassette_supervisor.front.backend import Backend
    from wassette_supervisor.policy.document import Policy
    from wassette_supervisor.settings import Settings
    from wassette_supervisor.store.record import Record

# `applies`: calls run with it. `waits`: for approval. `refused`: no call runs before it changes.
Status = Literal["applies", "approved", "waits", "refused"]


class WaitsError(SupervisorError):
    def __init__(self, component: str) -> None:
        super().__init__(
            f"the policy of {component!r} was edited, so that no call of it runs; if it is as it "
            f"should be, run: {NAME} policy check {component} --approve"
        )


class Found(NamedTuple):
    answer: dict[str, Any]
    failure: SupervisorError | None = None


def of_file(settings: Settings, backend: Backend, name: str, text: bytes) -> Found:
    """Whether a file could be in force here.

    Raises:
        BadPolicyFileError: It could not.
    """
    new = policy_file.checked(backend.permissions, name, text)
    from wassette_supervisor.app import granter  # noqa: PLC0415 - the backend has loaded it

    giver = granter(settings)
    # Secrets belong to a component, and this file to none: whether they are there is not asked.
    variables = new.policy.permissions.environment.allow
    secrets = {rule.secret: "" for rule in variables if rule.secret is not None}
    missing = giver.granted(giver.effective(new.policy, None), secrets).missing
    answer = {
        "file": name,
        "status": "enforceable",
        "changes": changes_data(difference(None, new.policy)),
        "missing": list(missing),
        "warnings": new.warnings,
    }
    return Found(answer)


async def attached(settings: Settings, backend: Backend, record: Record, *, approve: bool) -> Found:
    """Whether what is attached is approved, and what of it gives nothing now."""
    found = backend.permissions.attached(record)
    policy, warnings = _parsed(found)
    missing: list[str] = []
    failure: SupervisorError | None = None
    try:
        missing = _applied(settings, backend, record, found, policy)
        status = await _approved(backend, record, found, approve=approve)
        if status == "waits":
            failure = WaitsError(record.id)
    except PolicyError as error:
        status, failure = "refused", _refused(record, str(error))
    answer = {
        "id": record.id,
        "state": "approved" if status == "approved" else found.state,
        "status": status,
        "reason": None if failure is None else str(failure),
        "digest": found.digest or None,
        "changes": changes_data(difference(None, policy)),
        "missing": missing,
        "warnings": warnings,
    }
    return Found(answer, failure)


def rows(answer: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("policy", answer.get("id") or answer["file"]), ("status", answer["status"])]
    words = {"+": "grants", "-": "takes"}
    found += [(words[change["sign"]], change["right"]) for change in answer["changes"]]
    found += [("gives nothing", line) for line in answer["missing"]]
    return found


def _parsed(found: Attached) -> tuple[Policy | None, list[str]]:
    if found.text is None:
        return None, []
    try:
        parsed = parsing.parse(found.text)
    except PolicyError:  # which is the reason why it is refused
        return None, []
    return parsed.policy, [one_line(warning) for warning in parsed.warnings]


def _applied(
    settings: Settings,
    backend: Backend,
    record: Record,
    found: Attached,
    policy: Policy | None,
) -> list[str]:
    """What of it gives nothing now.

    Raises:
        PolicyError: No call would run.
    """
    if found.state == "unusable":
        raise PolicyError(found.reason, "put another one in its place with `policy set`")
    if found.text is not None:
        backend.permissions.check(found.text)
    return gives_nothing(settings, backend, record.id, policy)


async def _approved(backend: Backend, record: Record, found: Attached, *, approve: bool) -> Status:
    if found.state != "edited":
        return "applies"
    if not approve:
        return "waits"
    # What is approved is what is shown.
    await backend.rights.approve(record.id, expected=(record.digest, found.digest), client=CLIENT)
    return "approved"


def _refused(record: Record, why: str) -> SupervisorError:
    return policy_file.BadPolicyFileError(f"the policy of {record.id!r} can't be used: {why}")
