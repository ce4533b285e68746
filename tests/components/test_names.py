from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_protocol.frames import ComponentId, Export
from wassette_supervisor.components.names import (
    RESERVED,
    check_name,
    component_id,
    is_reserved,
    name_tools,
)
from wassette_supervisor.errors import LoadError, UsageError

ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TOOL = re.compile(r"[A-Za-z0-9_-]{1,64}")

# Few and colliding on purpose: equal after folding, built-in names, names that are cut.
FUNCTIONS = st.sampled_from(
    ["add", "a_add", "call-tool", "Call_Tool", "tool", "é", "ü", "", "x" * 64, "x" * 65, "x" * 200]
)
INTERFACES = st.sampled_from(
    [None, "a:b/a@1.0.0", "a:b/a@2.0.0", "c:d/a", "a:b/call", "plain", "", "q:r/" + "i" * 70]
)
EXPORTS = st.lists(st.builds(Export, INTERFACES, FUNCTIONS | st.text(max_size=5)), unique=True)
IDS = st.sampled_from(["a", "call", "x.y", "i" * 64]).map(ComponentId)
NAMES = st.sampled_from(["add", "a_add", "call_add", "_", "x" * 64, "load-component", "bad name"])


def exports(*names: str) -> list[Export]:
    """`a:b/c#f` is the function f of an interface, `f` one of the world."""
    parts = [name.rpartition("#") for name in names]
    return [Export(interface or None, function) for interface, _, function in parts]


def named(*names: str, taken: tuple[str, ...] = ()) -> list[str]:
    return name_tools(ComponentId("weather"), exports(*names), taken, {})


# --- laws -----------------------------------------------------------------------------------


@given(component=IDS, found=EXPORTS, taken=st.sets(NAMES), data=st.data())
def test_names_are_unique_free_allowed_and_not_those_of_built_ins(
    component: ComponentId, found: list[Export], taken: set[str], data: st.DataObject
) -> None:
    kept = st.dictionaries(st.sampled_from(found), NAMES) if found else st.just({})
    previous = data.draw(kept)
    names = name_tools(component, found, taken, previous)
    assert len(names) == len(found) == len(set(names))
    assert not taken.intersection(names)
    assert all(TOOL.fullmatch(name) and not is_reserved(name) for name in names)
    assert names == name_tools(component, found, taken, previous)


@given(component=IDS, found=EXPORTS, taken=st.sets(NAMES), later=EXPORTS)
def test_names_once_given_are_kept_whatever_else_is_exported_later(
    component: ComponentId, found: list[Export], taken: set[str], later: list[Export]
) -> None:
    first = dict(zip(found, name_tools(component, found, taken, {}), strict=True))
    both = [*(export for export in later if export not in first), *found]
    second = dict(zip(both, name_tools(component, both, taken, first), strict=True))
    assert {export: second[export] for export in found} == first


@given(component=IDS, found=EXPORTS, taken=st.sets(NAMES))
def test_names_are_kept_when_other_components_are_unloaded(
    component: ComponentId, found: list[Export], taken: set[str]
) -> None:
    names = name_tools(component, found, taken, {})
    assert name_tools(component, found, (), dict(zip(found, names, strict=True))) == names


@given(stem=st.text(max_size=70))
def test_a_stem_makes_an_id_that_is_one_or_is_refused(stem: str) -> None:
    try:
        made = component_id(stem)
    except LoadError:
        return
    assert ID.fullmatch(made)
    assert component_id(made) == check_name(made) == made


# --- tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("functions", "names"),
    [
        (["get-weather"], ["get-weather"]),
        (["get-URL"], ["get-URL"]),
        (["a:b/c@1.0.0#greet"], ["greet"]),
        (["a:b/c@1.0.0#f", "a:b/d@1.0.0#f"], ["c_f", "d_f"]),
        (["a:b/c@1.0.0#f", "f"], ["c_f", "f"]),
        (["a:b/c@1.0.0#f", "x:y/c@1.0.0#f"], ["a_b_c_1_0_0_f", "x_y_c_1_0_0_f"]),
        (["a:b/c@1.0.0#f", "a:b/c@2.0.0#f"], ["a_b_c_1_0_0_f", "a_b_c_2_0_0_f"]),
        (["a:b/c#f", "x:y/c#f", "a:b/d#f"], ["a_b_c_f", "x_y_c_f", "d_f"]),
        (["list.of$"], ["list_of_"]),
        (["load-component"], ["weather_load-component"]),
        (["Load_Component"], ["weather_Load_Component"]),
    ],
    ids="+".join,
)
def test_a_tool_is_called_as_its_function_unless_that_is_ambiguous(
    functions: list[str], names: list[str]
) -> None:
    assert named(*functions) == names


def test_a_name_that_another_component_has_gets_the_id_in_front() -> None:
    assert named("add", "sub", taken=("add",)) == ["weather_add", "sub"]
    two = ["a:b/c#f", "a:b/d#f"]
    assert named(*two, taken=("c_f",)) == ["weather_c_f", "d_f"]


def test_a_name_whose_prefixed_form_is_taken_too_gets_a_hash() -> None:
    (name,) = named("add", taken=("add", "weather_add"))
    assert re.fullmatch(r"weather_add_[0-9a-f]{8}", name)


def test_a_name_of_64_characters_is_whole_and_one_of_65_is_cut_with_a_hash() -> None:
    assert named("x" * 64) == ["x" * 64]
    one, other = named("x" * 65, "x" * 64 + "y")
    assert re.fullmatch(r"x{55}_[0-9a-f]{8}", one)
    assert re.fullmatch(r"x{55}_[0-9a-f]{8}", other)
    assert one != other


def test_a_hash_is_the_same_in_every_run() -> None:
    assert named("x" * 128) == ["x" * 55 + "_f6a6c3ac"]


def test_an_earlier_name_that_is_no_longer_free_is_given_up() -> None:
    (add,) = exports("add")
    assert name_tools(ComponentId("a"), [add], {"sum"}, {add: "sum"}) == ["add"]
    assert name_tools(ComponentId("a"), [add], (), {add: "call_tool"}) == ["add"]
    assert name_tools(ComponentId("a"), [add], (), {add: "sum"}) == ["sum"]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_built_in_name_is_reserved_however_it_is_written(name: str) -> None:
    assert is_reserved(name)
    assert is_reserved(name.upper().replace("-", "_"))
    assert not is_reserved(f"my-{name}")


# --- ids ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "made"),
    [
        ("get-weather", "get-weather"),
        ("Get Weather", "get-weather"),
        ("v1.2_final", "v1.2_final"),
        ("a/../b", "a-..-b"),
        ("0", "0"),
        ("w" * 64, "w" * 64),
    ],
)
def test_a_component_is_called_as_its_file(stem: str, made: str) -> None:
    assert component_id(stem) == made


@pytest.mark.parametrize("stem", ["", "_x", ".x", "-x", "é", "w" * 65, "a\n" * 33])
def test_a_file_name_that_makes_no_id_is_refused(stem: str) -> None:
    with pytest.raises(LoadError, match=r"makes no component id .* --name"):
        component_id(stem)


@pytest.mark.parametrize("name", ["", "Upper", "a b", "a/b", "..", "a\n", "w" * 65])
def test_a_name_flag_is_taken_as_it_is_or_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no component id"):
        check_name(name)
