"""What is wrong with what is kept of components; found by looking at it, nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.authority.attached import Attachments, checked
from wassette_supervisor.errors import PolicyError, StoreError, one_line
from wassette_supervisor.store.policies import Policies
from wassette_supervisor.store.record import COMPONENT_ID
from wassette_supervisor.store.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wassette_supervisor.authority.attached import Attached
    from wassette_supervisor.store.record import Record
    from wassette_supervisor.store.store import Store

Part = Literal["record", "component", "compiled code", "policy", "secrets"]

_MENDABLE = ("record", "component", "compiled code")
_MISSING = "it was approved and is missing"


class Fault(NamedTuple):
    """One thing that is not as it was kept."""

    part: Part
    why: str  # one line
    advice: str  # what a person can do, beside `component repair`
    held: bool = False  # whole, and waits for a person: nothing is lost

    @property
    def text(self) -> str:
        return f"{self.part}: {self.why}; {self.advice}"

    def told(self, component: str) -> str:
        """As `text`, before anybody tried to repair it."""
        if self.part not in _MENDABLE or not COMPONENT_ID.fullmatch(component):
            return self.text
        return f"{self.part}: {self.why}; run `component repair {component}`"


class Faults:
    """Looks at all that a store keeps."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._attachments = Attachments(Policies(store))
        self._secrets = Secrets(store)
        self._bytes: dict[Digest, str | None] = {}

    def all(
        self, records: Mapping[ComponentId, Record], damaged: Mapping[str, str]
    ) -> dict[str, list[Fault]]:
        """The faults of each component that has any; by file, where that is no component's.

        Reads the bytes of each component once, but no compiled code: that mends itself.

        Args:
            records: Those that can be read.
            damaged: The names of the others, with the reason of each.
        """
        self._bytes.clear()
        found = {record.id: self.of(record) for record in records.values()}
        unreadable = {named(file): [of_record(file, why)] for file, why in damaged.items()}
        return {name: faults for name, faults in sorted((found | unreadable).items()) if faults}

    def of(self, record: Record) -> list[Fault]:
        """Those of a component whose record is whole."""
        found = [self._of_bytes(record), self._of_policy(record), self._of_secrets(record.id)]
        return [fault for fault in found if fault is not None]

    def of_compiled_code(self, digest: str = "") -> dict[Digest, Fault]:
        """Those of the code compiled of these bytes, or of all; reads it."""
        advice = "it is compiled again when it is needed"
        return {
            Digest(path.name[:64]): Fault("compiled code", one_line(why), advice)
            for path, why in self._store.damaged_artefacts(digest).items()
        }

    def _of_bytes(self, record: Record) -> Fault | None:
        if record.digest not in self._bytes:
            self._bytes[record.digest] = self._store.blob_damage(record.digest)
        why = self._bytes[record.digest]
        if why is None:
            return None
        return Fault("component", one_line(why), "load the component again")

    def _of_policy(self, record: Record) -> Fault | None:
        attached = self._attachments.of(record)
        if attached.state in ("none", "approved"):
            return None
        why = _damage_of_policy(attached)
        if why is not None:
            advice = (
                f"set another with `policy set {record.id} FILE`, or `policy unset {record.id}`"
            )
            return Fault("policy", one_line(why), advice)
        if attached.state == "edited":
            advice = f"`policy check {record.id} --approve` puts it in force"
            return Fault("policy", "it was edited and waits for approval", advice, held=True)
        advice = f"set another with `policy set {record.id} FILE`"
        return Fault("policy", one_line(attached.reason), advice, held=True)

    def _of_secrets(self, component: ComponentId) -> Fault | None:
        try:
            self._secrets.read(component)
        except StoreError as error:
            why, _, advice = str(error).partition("; ")
            return Fault("secrets", one_line(why), one_line(advice))
        return None


def _damage_of_policy(attached: Attached) -> str | None:
    """What is wrong with the file itself; None if it is a policy."""
    if attached.text is None:
        return attached.reason or _MISSING
    if attached.state != "edited":
        return None
    try:
        checked(attached.text)
    except PolicyError as error:
        return f"it is no longer what was approved, nor a policy: {error}"
    return None


def is_damaged(faults: Iterable[Fault]) -> bool:
    """Whether something is lost, and does not only wait for a person."""
    return any(not fault.held for fault in faults)


def named(file: str) -> str:
    """The id of the component whose record a file is; its own name if it can't be one."""
    stem = file.removesuffix(".json")
    return stem if COMPONENT_ID.fullmatch(stem) else file


def of_record(file: str, why: str) -> Fault:
    component = named(file)
    advice = f"load it again with `component load FILE --name {component}`"
    if component == file:
        advice = "it is no component's: move it away"
    return Fault("record", one_line(why), advice)
