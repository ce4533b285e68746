"""Each process' list of steps, in the one order that works.

A process that reads untrusted bytes has given up all it can before the first of them; a worker
gives up the rest when its component is mapped, while it has one thread, and before it is
instantiated. So a test can put native code of its own in the place of the guest: after these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_protocol.capabilities import Storage
from wassette_worker.sandbox import identity, kernel, landlock, lockdown, rlimits
from wassette_worker.sandbox import seccomp as filters
from wassette_worker.sandbox.lockdown import Step
from wassette_worker.sandbox.profiles import Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wassette_protocol.capabilities import Reach
    from wassette_worker.sandbox.doorbell import Bell
    from wassette_worker.sandbox.placement import Placement

    Keep = Callable[[], None]  # leaves only the descriptors that the process needs
    Limit = Callable[[], None]  # sets the resource limits
    Hull = Sequence[tuple[int, Reach]]  # a handle on each place

# The widest profile that a component's workers may have.
_WIDEST = {
    Storage.NONE: Profile.RUNTIME,
    Storage.READ: Profile.FILES,
    Storage.WRITE: Profile.CHANGES,
}

# Of what the zygote starts, for itself and all that it starts in turn.
_LOW = Step("low-priority", lockdown.give_way)


def compile_worker(placement: Placement, keep: Keep) -> tuple[list[Step], list[Step]]:
    """Two parts: between them it takes over its socket."""
    first = [*_birth(placement, keep), _LOW, *_surrender(placement, rlimits.limit_compiler)]
    return first, _fence((), Profile.COMPILE)


def template(
    placement: Placement, keep: Keep, storage: Storage, hull: Hull, *, network: bool
) -> list[Step]:
    return [
        *_birth(placement, keep),
        _LOW,
        *_surrender(placement, lambda: rlimits.limit_template(storage)),
        # Its workers can only take away from this: it has to let through what they need.
        *_fence(hull, Profile.TEMPLATE | widest(storage, network=network)),
    ]


def widest(storage: Storage, *, network: bool) -> Profile:
    """The most that a component's workers may do with this."""
    return _WIDEST[storage] | Profile.NETWORK if network else _WIDEST[storage]


def broker(placement: Placement, keep: Keep) -> list[Step]:
    """Of the process that speaks with the world: it has the system's network, and no file."""
    return [
        *_birth(placement, keep),
        _LOW,
        *_surrender(placement, rlimits.limit_broker),
        *_that_the_kernel_has(
            [
                Step(kernel.LANDLOCK, lambda: landlock.restrict_to((), connects=True)),
                Step(kernel.NO_EXEC_GAIN, lockdown.refuse_executable_memory),
                Step(kernel.SECCOMP, lambda: filters.restrict(Profile.BROKER)),
            ]
        ),
    ]


def init(placement: Placement, keep: Keep, storage: Storage) -> list[Step]:
    """Of the process above fresh interpreters: it reads no untrusted byte, and execs."""
    return [
        *_birth(placement, keep),
        _LOW,
        Step("rlimits", lambda: rlimits.limit_init(storage)),
    ]


def forked_worker(keep: Keep, parent: int, limit: Limit) -> list[Step]:
    """What a worker does first, in addition to what its template gave up."""
    return [
        Step("session", lockdown.leave_session),
        Step("descriptors", keep),
        Step("death-signal", lambda: lockdown.die_with_parent(parent)),
        Step("not-dumpable", lockdown.forbid_dumps),
        Step("rlimits", limit),
        Step("one-thread", lockdown.assert_one_thread),
    ]


def forked_worker_last(profile: Profile, bell: Bell) -> list[Step]:
    # Its template's layer of Landlock has no border between siblings.
    reach = Step(kernel.OWN_LANDLOCK, landlock.restrict_reach)
    return _that_the_kernel_has([reach, *_last(profile, bell)])


def fresh_worker(
    placement: Placement, keep: Keep, limit: Limit, profile: Profile, hull: Hull
) -> list[Step]:
    """What a worker of an own interpreter does before it maps its component."""
    return [
        *_birth(placement, keep),
        *_surrender(placement, limit),
        *_fence(hull, Profile.TEMPLATE | profile),
    ]


def fresh_worker_last(profile: Profile, bell: Bell) -> list[Step]:
    return _that_the_kernel_has(_last(profile, bell))


def after_mapping() -> list[Step]:
    """What a template adds when no code has to be mapped any more."""
    return _that_the_kernel_has([Step(kernel.NO_EXEC_GAIN, lockdown.refuse_executable_memory)])


def _birth(placement: Placement, keep: Keep) -> list[Step]:
    """What a child of the zygote does first, whatever it will be."""
    steps = [
        Step("session", lockdown.leave_session),
        Step("descriptors", keep),
        Step("death-signal", lambda: lockdown.die_with_parent(placement.parent)),
        Step("no-new-privileges", identity.forbid_new_privileges),
    ]
    if placement.namespaces:
        steps.append(Step("namespaces", placement.assert_in_force))
    steps.append(Step("first-to-be-killed", lockdown.be_killed_first))
    return steps


def _surrender(placement: Placement, limit: Limit) -> list[Step]:
    """What comes when nothing has to be loaded any more."""
    steps = []
    wanted = placement.identity
    if wanted is not None:
        steps.append(Step("identity", lambda: identity.become(wanted)))
    steps += [
        # Whoever has none takes the step as well: root of a namespace may be nobody else.
        Step("capabilities", identity.drop_capabilities),
        # A change of identity cleared it (prctl(2)).
        Step("death-signal-again", lambda: lockdown.die_with_parent(placement.parent)),
        Step("not-dumpable", lockdown.forbid_dumps),
        Step("rlimits", lambda: _limit(placement, limit)),
        Step("one-thread", lockdown.assert_one_thread),
    ]
    return steps


def _limit(placement: Placement, limit: Limit) -> None:
    limit()
    if placement.namespaces:  # else the user's other processes would count, too
        rlimits.limit_threads()


def _fence(hull: Hull, profile: Profile) -> list[Step]:
    """What holds when the engine does not."""
    return _that_the_kernel_has(
        [
            Step(kernel.LANDLOCK, lambda: landlock.restrict_to(hull)),
            Step(kernel.SECCOMP, lambda: filters.restrict(profile)),
        ]
    )


def _last(profile: Profile, bell: Bell) -> list[Step]:
    # With network a filter that can't be listened to is none: the worker would wait for nobody.
    filtered = bell.hang if profile & Profile.NETWORK else filters.restrict
    return [
        Step(kernel.NO_EXEC_GAIN, lockdown.refuse_executable_memory),
        Step(kernel.OWN_SECCOMP, lambda: filtered(profile)),
    ]


def _that_the_kernel_has(steps: list[Step]) -> list[Step]:
    return [step for step in steps if kernel.has(step.name)]
