"""Nested containers: taken apart and put together again, by themselves and as arguments and results."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.trees import Structure, flatten, map_leaves, names, unflatten
from tests.models import Counted

Point = namedtuple("Point", "x y")  # noqa: PYI024 - users have both kinds


class Layer(NamedTuple):
    w: Any
    b: Any = 0.0


@dataclass
class Plain:
    a: Any
    b: Any = 1.0


@dataclass(frozen=True)
class Frozen:
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Slotted:
    a: Any
    b: Any


@dataclass
class Checked:
    """Its `__init__` takes something else than its fields, and checks."""

    a: Any
    doubled: Any = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.a, (float, np.ndarray)):
            raise TypeError("a must be a float or an array")
        self.doubled = 2.0 * self.a


class Names(dict):
    """A dict of a class of its own."""


class Row(list):
    """A list of a class of its own."""


@dataclass
class Child(Plain):
    c: Any = 2.0


CONTAINERS: dict[str, tuple[Any, list[Any], list[str]]] = {
    "leaf": (5, [5], ["p"]),
    "dict": ({"b": 1, "a": 2}, [1, 2], ["p['b']", "p['a']"]),
    "keys that are no strings": ({(0, 1): 1, 2: 2, None: 3}, [1, 2, 3], ["p[(0, 1)]", "p[2]", "p[None]"]),
    "list": ([1, [2, 3]], [1, 2, 3], ["p[0]", "p[1][0]", "p[1][1]"]),
    "tuple": ((1, (2,)), [1, 2], ["p[0]", "p[1][0]"]),
    "namedtuple": (Point(1, Layer(2, 3)), [1, 2, 3], ["p.x", "p.y.w", "p.y.b"]),
    "dataclass": (Plain(1, [2]), [1, 2], ["p.a", "p.b[0]"]),
    "inherited dataclass": (Child(1, 2, 3), [1, 2, 3], ["p.a", "p.b", "p.c"]),
    "frozen dataclass": (Frozen(1, {"k": 2}), [1, 2], ["p.a", "p.b['k']"]),
    "dataclass with slots": (Slotted(1, 2), [1, 2], ["p.a", "p.b"]),
    "ordered dict": (OrderedDict(b=1, a=2), [1, 2], ["p['b']", "p['a']"]),
    "dict of its own class": (Names(a=1), [1], ["p['a']"]),
    "list of its own class": (Row([1, 2]), [1, 2], ["p[0]", "p[1]"]),
    "None": (None, [], []),
    "None inside": ([None, 1, {"a": None}], [1], ["p[1]"]),
    "empty": ([{}, (), [], Point([], ())], [], []),
    "empty dict": ({}, [], []),
    "other objects are leaves": ([(1, "abc"), {3}], [1, "abc", {3}], ["p[0][0]", "p[0][1]", "p[1]"]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_there_and_back(name: str) -> None:
    tree, leaves, labels = CONTAINERS[name]
    found, structure = flatten(tree)
    assert found == leaves
    assert names(structure, "p") == labels
    again = unflatten(structure, found)
    assert again == tree
    assert type(again) is type(tree)
    assert flatten(again)[1] == structure
    assert hash(flatten(again)[1]) == hash(structure)
    assert structure is None or structure.size == len(leaves)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], (1,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"b": 1}),
        ([1, [2]], [[1], 2]),
        ([1, None], [1]),
        (Frozen(1, 2), Slotted(1, 2)),
        (Point(1, 2), (1, 2)),
        (Point(1, 2), Layer(1, 2)),
        ({}, OrderedDict()),
        ([], None),
        (1, [1]),
    ],
)
def test_structures_that_differ(one: Any, other: Any) -> None:
    assert flatten(one)[1] != flatten(other)[1]


def test_dataclasses_are_made_without_running_their_init() -> None:
    again = map_leaves(lambda x: x + 1, Checked(2.0))
    assert (again.a, again.doubled) == (3.0, 5.0)
    assert type(map_leaves(lambda _: "no float", Checked(2.0))) is Checked


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_a_wrong_number_of_leaves(count: int) -> None:
    _, structure = flatten({"a": 1, "b": (2,)})
    with pytest.raises(ValueError, match=f"the structure has 2 leaves, not {count}"):
        unflatten(structure, list(range(count)))


def test_a_wrong_number_of_leaves_for_a_leaf() -> None:
    with pytest.raises(ValueError, match="the structure has 1 leaves, not 2"):
        unflatten(None, [1, 2])


# --- any nesting

KEYS = st.one_of(st.text(max_size=3), st.integers(-3, 3), st.tuples(st.integers(0, 2)))


def _grow(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.dictionaries(KEYS, children, max_size=3),
        st.builds(Point, children, children),
        st.builds(Plain, children, children),
        st.builds(Frozen, children, children),
        st.builds(Slotted, children, children),
    )


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(st.one_of(leaf, st.none()), _grow, max_leaves=12)


@given(trees(st.integers()))
def test_any_tree_there_and_back(tree: Any) -> None:
    leaves, structure = flatten(tree)
    assert unflatten(structure, leaves) == tree
    assert len(names(structure, "p")) == len(set(names(structure, "p"))) == len(leaves)
    assert map_leaves(lambda x: x, tree) == tree


@given(trees(st.integers()), trees(st.integers()))
def test_equal_structures_are_those_that_hold_the_same(one: Any, other: Any) -> None:
    same = map_leaves(lambda _: 0, one) == map_leaves(lambda _: 0, other)
    ordered = repr(map_leaves(lambda _: 0, one)) == repr(map_leaves(lambda _: 0, other))
    assert (flatten(one)[1] == flatten(other)[1]) == (same and ordered)


@given(trees(st.integers()))
def test_names_lead_to_the_leaves(tree: Any) -> None:
    leaves, structure = flatten(tree)
    for label, leaf in zip(names(structure, "tree"), leaves, strict=True):
        assert eval(label, {"tree": tree}) is leaf


# --- as arguments and results of derivatives


def total(tree: Any) -> Any:
    """A sum over leaves in which each counts differently."""
    return sum((k + 1.0) * np.sum(x * x) for k, x in enumerate(flatten(tree)[0]))


FLOATS = st.floats(-3, 3).map(lambda x: round(x, 2))
LEAVES = st.one_of(
    FLOATS,
    FLOATS.map(np.float64),
    FLOATS.map(np.array),
    st.lists(FLOATS, max_size=3).map(lambda v: np.array(v, np.float64)),
    st.lists(st.tuples(FLOATS, FLOATS), max_size=2).map(lambda v: np.array(v, np.float64).reshape(-1, 2)),
)


@given(trees(LEAVES))
def test_the_gradient_has_the_structure_of_its_argument(tree: Any) -> None:
    value, gradient = tg.value_and_grad(total)(tree)
    leaves, structure = flatten(tree)
    found, given_structure = flatten(gradient)
    assert given_structure == structure
    assert value == pytest.approx(float(total(tree)))
    for k, (g, x) in enumerate(zip(found, leaves, strict=True)):
        assert type(g) is type(x)
        assert np.shape(g) == np.shape(x)
        assert np.allclose(g, 2 * (k + 1.0) * x, rtol=1e-14)


@given(trees(LEAVES))
def test_results_have_the_structure_that_the_function_returns(tree: Any) -> None:
    y, pullback = tg.vjp(lambda t: map_leaves(lambda x: 3.0 * x, t), tree)
    leaves, structure = flatten(tree)
    assert flatten(y)[1] == structure
    for found, x in zip(flatten(y)[0], leaves, strict=True):
        assert np.array_equal(found, 3.0 * x)
        assert np.shape(found) == np.shape(x)
    (back,) = pullback(map_leaves(np.ones_like, tree))
    assert flatten(back)[1] == structure
    assert all(np.array_equal(g, np.full(np.shape(x), 3.0)) for g, x in zip(flatten(back)[0], leaves, strict=True))


def test_a_function_sees_the_containers_that_it_was_given() -> None:
    seen = SimpleNamespace()

    def f(p: Any) -> Any:
        seen.p = p
        return p["layers"][0].w + p["frozen"].a + p["checked"].doubled

    p = {"layers": [Layer(1.0)], "frozen": Frozen(2.0, None), "checked": Checked(3.0), "none": None}
    gradient = tg.grad(f)(p)
    assert list(seen.p) == list(p)
    assert [type(seen.p[k]) for k in p] == [list, Frozen, Checked, type(None)]
    assert gradient["layers"] == [Layer(1.0, 0.0)]
    assert gradient["frozen"] == Frozen(1.0, None)
    # A field that `__init__` computed is a leaf like any other.
    assert (gradient["checked"].a, gradient["checked"].doubled) == (0.0, 1.0)
    assert gradient["none"] is None


def test_the_order_of_a_dict_is_kept_and_belongs_to_the_recording() -> None:
    counted = Counted(lambda p: p["a"] * p["b"])
    f = tg.grad(counted)
    assert list(f({"a": 2.0, "b": 3.0}).items()) == [("a", 3.0), ("b", 2.0)]
    assert list(f({"b": 3.0, "a": 2.0}).items()) == [("b", 2.0), ("a", 3.0)]
    assert list(f({"a": 5.0, "b": 7.0}).items()) == [("a", 7.0), ("b", 5.0)]
    assert counted.runs == 2


def test_containers_of_subclasses_keep_their_class() -> None:
    f = tg.grad(lambda p: sum(p["a"]))
    assert type(f(OrderedDict(a=[1.0]))) is OrderedDict
    assert type(f(Names(a=[1.0]))) is Names
    assert type(f(Names(a=Row([1.0])))["a"]) is Row
    assert f(defaultdict(list, a=[1.0, 2.0])) == {"a": [1.0, 1.0]}


def test_static_leaves_may_stand_among_data() -> None:
    counted = Counted(lambda x, options: x ** options["power"] * options["scale"])
    f = tg.grad(counted)
    assert f(2.0, {"power": 2, "scale": 1.0}) == 4.0
    assert f(2.0, {"power": 2, "scale": 3.0}) == 12.0
    assert counted.runs == 1
    assert f(2.0, {"power": 3, "scale": 1.0}) == 12.0
    assert counted.runs == 2


def test_deep_nesting() -> None:
    tree: Any = 2.0
    for k in range(200):
        tree = [tree] if k % 2 else {"k": tree}
    assert flatten(tg.grad(total)(tree))[0] == [4.0]


def test_a_structure_says_what_it_is() -> None:
    assert flatten({"a": 1})[1] == Structure(dict, ("a",), (None,))
