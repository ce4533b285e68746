"""Everything that the supervisor and the broker say to each other.

The supervisor decides; the broker is told one decided request at a time, and never a policy. A
worker's requests are known by the descriptor on which the kernel tells its connections: it comes
with `Attach`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from wassette_protocol.frames import MAX_METHOD, MAX_TARGET, ChildId, Frame, Identity

MAX_RANGES = 256  # of one list of address ranges
MAX_LAYERS = 8
MAX_ADDRESSES = 64  # that one name leads to
MAX_INJECTED = 32

RequestId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_Range = Annotated[str, msgspec.Meta(max_length=64)]
_Ranges = Annotated[list[_Range], msgspec.Meta(max_length=MAX_RANGES)]
_Address = Annotated[str, msgspec.Meta(max_length=64)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class Allowance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all requests of one worker together may use."""

    concurrent: _Positive  # requests at once
    request_bytes: _Positive  # of bodies
    response_bytes: _Positive  # of bodies
    first_byte_ms: _Positive  # from the request's first byte to the answer's, for each
    request_ms: _Positive  # from the first byte to the last, for each


class AddressRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of the addresses to which a name leads, for one request."""

    denied: _Ranges = []
    # What is refused by itself is lifted where each of these has a range with the address in it.
    lifted: Annotated[list[_Ranges], msgspec.Meta(max_length=MAX_LAYERS)] = []


class Destination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scheme: Literal["http", "https"]
    host: Annotated[str, msgspec.Meta(max_length=255)]  # A-labels, or an address without brackets
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    # Where it leads, if that is known without asking; else these are asked, as ADDRESS:PORT.
    addresses: Annotated[list[_Address], msgspec.Meta(max_length=MAX_ADDRESSES)] = []
    name_servers: Annotated[list[_Address], msgspec.Meta(max_length=8)] = []


# --- at its start ---------------------------------------------------------------------------


class StartBroker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one argument of `python -I -m wassette_supervisor.broker`, as JSON."""

    identity: Identity | None  # what to become when the supervisor is root
    parent: int  # the supervisor's pid
    control: int  # the number under which it inherits its socket
    authorities: int | None = None  # the same of a file of more CA certificates, in PEM


# --- supervisor to broker -------------------------------------------------------------------


class Attach(Frame, frozen=True, tag="attach"):
    """Answer this worker's connections; the descriptor that tells them comes with the message."""

    worker: ChildId
    component: Annotated[str, msgspec.Meta(max_length=64)]  # whose connections it may use again
    allowance: Allowance


class Order(Frame, frozen=True, tag="order"):
    """Serve the request that names this id on the wire, once, and only for this worker.

    The values of `inject` are secrets: they stand in no text of this frame.
    """

    id: RequestId
    worker: ChildId
    destination: Destination
    method: Annotated[str, msgspec.Meta(max_length=MAX_METHOD)]
    target: Annotated[str, msgspec.Meta(max_length=MAX_TARGET)]  # raw path, perhaps with a query
    rules: AddressRules
    inject: Annotated[list[tuple[str, str]], msgspec.Meta(max_length=MAX_INJECTED)]

    def __repr__(self) -> str:
        names = [name for name, _ in self.inject]
        return f"Order({self.id}, {self.worker}, {self.destination!r}, inject of {names!r})"


class Detach(Frame, frozen=True, tag="detach"):
    """The worker has ended, or must have no network any more: end all that it has under way."""

    worker: ChildId


ToBroker = Attach | Order | Detach


# --- broker to supervisor -------------------------------------------------------------------


class BrokerReady(Frame, frozen=True, tag="broker-ready"):
    """Locked down by these steps; sent before it is given anything."""

    steps: list[str]


class RequestEnded(Frame, frozen=True, tag="request-ended"):
    """What came of an order; once for each, at the latest before `Detached`."""

    id: RequestId
    # COMPLETE; or a case of error-code; or what there is no case for: UNUSED, ABORTED.
    outcome: Annotated[str, msgspec.Meta(pattern="^[A-Za-z-]{1,48}$")]
    status: Annotated[int, msgspec.Meta(ge=0, le=999)] = 0  # of the answer; 0: none came
    address: _Address = ""  # that was dialled
    version: Annotated[str, msgspec.Meta(max_length=16)] = ""  # of HTTP, towards the world
    sent: _Count = 0  # bytes of the body
    received: _Count = 0  # bytes of the body
    first_byte_us: _Count = 0  # from the request to the head of the answer
    total_us: _Count = 0


COMPLETE = "complete"
UNUSED = "unused"  # the guest never sent it
ABORTED = "aborted"  # the worker, or whoever detached it, ended it


class Detached(Frame, frozen=True, tag="detached"):
    """Nothing of this worker is under way any more."""

    worker: ChildId


FromBroker = BrokerReady | RequestEnded | Detached
