"""What is done about the files of a directory, for all that may be known of them."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.components.local.plan import Checked, File, plan
from wassette_supervisor.components.local.sightings import Sightings
from wassette_supervisor.store.noticed import Stamp
from wassette_supervisor.store.record import Record

DIRECTORY = "file:///drop"
SETTLE_S = 1.0


def stamp(number: int) -> Stamp:
    return Stamp(1, number, 100, 0, 0)


def file(name: str, digest: str = "a", number: int = 1) -> File:
    return File(name, f"{DIRECTORY}/{name}.wasm", stamp(number), Digest(digest * 64))


def record(
    name: str, digest: str = "a", *, source: str = "", local: bool = True, away: bool = False
) -> Record:
    made = Record(
        ComponentId(name), source or file(name).source, Digest(digest * 64), 1, [], [], []
    )
    return msgspec.structs.replace(made, local=local, away=away)


def planned(
    *files: File,
    records: tuple[Record, ...] = (),
    present: tuple[str, ...] | None = None,
    verdicts: dict[tuple[str, Stamp], Checked] | None = None,
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """What is switched, checked, and noticed with its state; the first two by name."""
    there = tuple(each.source for each in files) if present is None else present
    todo = plan(DIRECTORY, there, files, {each.id: each for each in records}, verdicts or {})
    return (
        [each.id for each in todo.switched],
        [each.stem for each in todo.check],
        [(each.source.rpartition("/")[2], each.state) for each in todo.noticed],
    )


# --- settling -------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3),  # until the next look
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)),  # files, and their stamps
        ),
        max_size=20,
    )
)
def test_only_a_file_that_was_the_same_at_every_look_for_a_while_has_settled(
    looks: list[tuple[float, dict[str, int]]],
) -> None:
    sightings = Sightings(SETTLE_S)
    now = 0.0
    history: list[tuple[float, dict[str, int]]] = []
    for wait, names in looks:
        now += wait
        history.append((now, names))
        settled = sightings.observe({name: stamp(number) for name, number in names.items()}, now)
        for name, number in names.items():
            unchanged_since = now
            for when, seen in reversed(history):
                if seen.get(name) != number:
                    break
                unchanged_since = when
            assert (name in settled) == (now - unchanged_since >= SETTLE_S)


# --- judging --------------------------------------------------------------------------------


def test_a_new_file_is_checked_and_then_waits() -> None:
    assert planned(file("a")) == ([], ["a"], [])
    known = {(file("a").source, stamp(1)): Checked(("one",))}
    assert planned(file("a"), verdicts=known) == ([], [], [("a.wasm", "waiting")])


def test_a_file_that_was_touched_is_checked_anew() -> None:
    known = {(file("a").source, stamp(1)): Checked(refused="it is none")}
    assert planned(file("a"), verdicts=known) == ([], [], [("a.wasm", "refused")])
    assert planned(file("a", number=2), verdicts=known) == ([], ["a"], [])


def test_the_bytes_that_are_loaded_already_are_nothing_new() -> None:
    assert planned(file("a"), records=(record("a"),)) == ([], [], [])
    assert planned(file("a"), records=(record("a", local=False),)) == ([], [], [])


def test_other_bytes_are_checked_beside_those_that_are_loaded() -> None:
    assert planned(file("a", "b"), records=(record("a"),)) == ([], ["a"], [])


def test_the_same_bytes_bring_a_component_back_and_others_do_not() -> None:
    away = record("a", away=True)
    assert planned(file("a"), records=(away,)) == (["a"], [], [])
    assert planned(file("a", "b"), records=(away,)) == ([], ["a"], [])


def test_a_component_goes_with_its_file_and_not_while_that_is_written() -> None:
    loaded = record("a")
    assert planned(records=(loaded,)) == (["a"], [], [])
    assert planned(records=(loaded,), present=(loaded.source,)) == ([], [], [])


def test_what_is_not_of_this_directory_or_loaded_by_hand_as_well_stays() -> None:
    others = (
        record("by-hand", local=False),
        record("elsewhere", source="file:///other/elsewhere.wasm"),
        record("below", source=f"{DIRECTORY}/below/below.wasm"),
        record("gone", away=True),
    )
    assert planned(records=others) == ([], [], [])


def test_of_two_files_with_one_id_the_first_has_it_unless_the_other_is_loaded() -> None:
    both = (file("A"), file("a"))
    assert planned(*both) == ([], ["A"], [("a.wasm", "refused")])
    assert planned(*both, records=(record("a"),)) == ([], [], [("A.wasm", "refused")])


def test_an_id_of_a_component_from_elsewhere_is_not_taken_over() -> None:
    other = record("a", source="file:///other/a.wasm", local=False)
    todo = plan(DIRECTORY, [file("a").source], [file("a")], {other.id: other}, {})
    [refused] = todo.noticed
    assert refused.state == "refused"
    assert "file:///other/a.wasm" in refused.reason
    assert "--name" in refused.reason


def test_a_name_that_makes_no_id_is_refused_with_the_rule() -> None:
    todo = plan(DIRECTORY, [], [file("-odd"), file("x" * 65)], {}, {})
    assert [(each.id, each.state) for each in todo.noticed] == [(None, "refused")] * 2
    assert all("makes no component id" in each.reason for each in todo.noticed)


@given(
    names=st.lists(st.sampled_from("aAbB"), unique=True).map(sorted),
    loaded=st.sets(st.sampled_from("ab")),
    away=st.booleans(),
)
def test_every_settled_file_is_in_exactly_one_place(
    names: list[str], loaded: set[str], *, away: bool
) -> None:
    records = {ComponentId(name): record(name, away=away) for name in loaded}
    files = [file(name) for name in names]
    todo = plan(DIRECTORY, [each.source for each in files], files, records, {})
    back = [each.source for each in todo.switched if each.away]
    places = [*back, *(each.source for each in todo.check), *(n.source for n in todo.noticed)]
    assert len(places) == len(set(places))
    unchanged = {each.source for each in records.values() if not each.away}
    assert set(places) | unchanged >= {each.source for each in files}
