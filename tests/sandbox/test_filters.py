"""What the filters answer, on both processors; the kernel's machine is played."""

from __future__ import annotations

import errno
import importlib.metadata
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bpf_machine import run
from support.held import NUMBERS as FORBIDDEN
from wassette_worker.sandbox.profiles import OWN_PID, ROWS, Profile, Row, rows_of
from wassette_worker.sandbox.seccomp import (
    ALLOW,
    ARCHITECTURES,
    ERRNO,
    KILL_PROCESS,
    USER_NOTIF,
    X32,
    Filter,
    build,
)
from wassette_worker.sandbox.syscall_numbers import NUMBERS

MACHINES = sorted(ARCHITECTURES)
PROFILES = [
    *Profile,
    Profile.TEMPLATE | Profile.CHANGES,
    Profile.CHANGES | Profile.NETWORK,
    Profile.TEMPLATE | Profile.CHANGES | Profile.NETWORK,
]
PID = 4711
ZIG = importlib.metadata.distribution("ziglang").locate_file("ziglang")
HEADERS = Path(str(ZIG)) / "lib/libc/include"
TABLES = {
    "x86_64": HEADERS / "x86-linux-any/asm/unistd_64.h",
    "aarch64": HEADERS / "aarch64-linux-any/asm/unistd_64.h",
}

each_machine = pytest.mark.parametrize("machine", MACHINES)
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=str)


def kernel_table(machine: str) -> dict[str, int]:
    lines = TABLES[machine].read_text().splitlines()
    found = (re.match(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", line) for line in lines)
    return {match[1]: int(match[2]) for match in found if match}


def asked(code: bytes, machine: str, call: int, arguments: tuple[int, ...] = ()) -> int:
    return run(code, ARCHITECTURES[machine], call, arguments)


def fitting(row: Row) -> tuple[int, ...]:
    """Arguments that pass the row's tests."""
    arguments = [0] * 6
    for test in row.tests:
        arguments[test.argument] = PID if test.value == OWN_PID else test.value
    return tuple(arguments)


def expected(profile: Profile, call: str, arguments: tuple[int, ...]) -> int:
    """What the rows say, read without a program."""
    rows = [row for row in rows_of(profile) if row.call == call]
    if any(row.notified for row in rows):
        return USER_NOTIF
    for row in rows:
        wanted = [(t, PID if t.value == OWN_PID else t.value) for t in row.tests]
        if not row.refused and all(arguments[t.argument] & t.mask == v for t, v in wanted):
            return ALLOW
    refused = [ERRNO | row.refused for row in rows if row.refused]
    return refused[0] if refused else KILL_PROCESS


@each_machine
def test_every_number_is_the_one_of_the_kernels_own_table(machine: str) -> None:
    table = kernel_table(machine)
    ours = {call: getattr(numbers, machine) for call, numbers in NUMBERS.items()}
    assert ours == {call: table.get(call) for call in ours}
    assert FORBIDDEN[machine] == {call: table[call] for call in FORBIDDEN[machine]}


def test_there_is_a_number_for_each_row_and_for_nothing_else() -> None:
    assert set(NUMBERS) == {row.call for row in ROWS}


def test_every_row_says_why_and_all_of_them_differ() -> None:
    assert all(row.why for row in ROWS)
    seen = [(row.call, row.tests, row.refused, profile) for profile in Profile
            for row in rows_of(profile)]  # fmt: skip
    assert len(set(seen)) == len(seen)


@each_machine
@each_profile
def test_each_row_is_let_through_and_every_other_call_ends_the_process(
    profile: Profile, machine: str
) -> None:
    code = build(profile, machine).of(PID)
    numbers = {getattr(NUMBERS[row.call], machine) for row in rows_of(profile)}
    for row in rows_of(profile):
        number = getattr(NUMBERS[row.call], machine)
        if number is not None:
            answer = asked(code, machine, number, fitting(row))
            assert answer == expected(profile, row.call, fitting(row)), row
    for number in set(range(600)) - numbers:
        assert asked(code, machine, number) == KILL_PROCESS, number


@each_machine
@each_profile
@given(
    row=st.sampled_from(ROWS),
    arguments=st.tuples(*[st.integers(0, 2**64 - 1) | st.integers(0, 40)] * 6),
)
def test_a_filter_answers_as_its_rows_say_whatever_the_arguments_are(
    profile: Profile, machine: str, row: Row, arguments: tuple[int, ...]
) -> None:
    code = build(profile, machine).of(PID)
    low = tuple(argument & 0xFFFF_FFFF for argument in arguments)  # all that the kernel looks at
    number = getattr(NUMBERS[row.call], machine)
    if number is not None:
        assert asked(code, machine, number, arguments) == expected(profile, row.call, low)


@each_machine
@each_profile
def test_calls_of_another_processor_or_x32_end_the_process(profile: Profile, machine: str) -> None:
    code = build(profile, machine).of(PID)
    [other] = set(MACHINES) - {machine}
    for number in range(600):
        assert run(code, ARCHITECTURES[other], number) == KILL_PROCESS
        assert asked(code, machine, X32 + number) == KILL_PROCESS


@each_machine
def test_a_worker_may_signal_itself_and_its_template_may_name_any(machine: str) -> None:
    tgkill = getattr(NUMBERS["tgkill"], machine)
    worker = build(Profile.COMPUTE, machine).of(PID)
    template = build(Profile.TEMPLATE | Profile.RUNTIME, machine).of(1)
    assert asked(worker, machine, tgkill, (PID, PID, 6)) == ALLOW
    assert asked(worker, machine, tgkill, (PID + 1, PID + 1, 6)) == KILL_PROCESS
    assert asked(template, machine, tgkill, (PID, PID, 6)) == ALLOW


@each_machine
@pytest.mark.parametrize("profile", [*Profile], ids=str)
def test_only_a_template_forks_and_nobody_starts_a_thread_out_of_sight(
    profile: Profile, machine: str
) -> None:
    code = build(profile, machine).of(PID)
    clone = getattr(NUMBERS["clone"], machine)
    forks = asked(code, machine, clone, (0x0120_0011,)) == ALLOW
    assert forks == (profile is Profile.TEMPLATE)
    for namespace in (0x1000_0000, 0x2000_0000, 0x4000_0000):
        assert asked(code, machine, clone, (0x0120_0011 | namespace,)) == KILL_PROCESS
        assert asked(code, machine, clone, (0x003D_0F00 | namespace,)) == KILL_PROCESS
    # Of those that may start threads at all; NETWORK is never alone.
    if profile not in Profile.TEMPLATE | Profile.NETWORK | Profile.BROKER:
        clone3 = getattr(NUMBERS["clone3"], machine)
        assert asked(code, machine, clone3) == ERRNO | errno.ENOSYS


def test_a_processor_that_is_not_known_has_no_filter() -> None:
    with pytest.raises(OSError, match="no system call has a number here for riscv64"):
        build(Profile.COMPUTE, "riscv64")


def test_a_filter_for_a_process_is_made_without_building_it_again() -> None:
    made = build(Profile.COMPUTE, "x86_64")
    assert isinstance(made, Filter)
    assert build(Profile.COMPUTE, "x86_64") is made
    assert len(made.of(1)) == len(made.code)
    assert made.of(1) != made.of(2)
