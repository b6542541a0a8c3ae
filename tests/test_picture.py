"""Pictures of tapes: nothing overlaps, nothing is missing, nothing gets out of its text."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.errors import SettingError
from tapegrad.ops.table import CONSTANT
from tapegrad.pictures import graph
from tapegrad.pictures.boxes import Labels, is_number
from tapegrad.pictures.build import Builder
from tapegrad.pictures.choose import cut
from tapegrad.pictures.folds import Steps, find_folds
from tapegrad.pictures.graph import Arrow, Entry, Graph
from tapegrad.pictures.layout import plan
from tapegrad.pictures.picture import draw
from tapegrad.pictures.units import few
from tools.pictures import stale

_SVG = "{http://www.w3.org/2000/svg}"


def _seven(x1, x2):
    return np.log(x1) + x1 * x2 - np.sin(x2)


def _network(p, x, y):
    hidden = np.tanh(x @ p["w1"] + p["b1"])
    z = hidden @ p["w2"] + p["b2"]
    z = z - np.max(z, axis=1, keepdims=True)
    return -np.mean(np.sum((z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))) * y, axis=1))


def _ode(p):
    x, y = p[2], p[3]
    for _ in range(60):
        x, y = x + 0.01 * (p[0] * x - x * y), y + 0.01 * (x * y - p[1] * y)
    return x * y


def _assigned(x):
    y = tnp.zeros_like(x)
    for i in range(1, 30):
        y[i] = y[i - 1] * 0.5 + x[i]
    return y.sum()


def _wide(x):
    return sum([np.sin(x[i]) * x[39 - i] for i in range(40)])


def _tree(x):
    terms = [np.sin(x[i]) if i % 3 else np.exp(x[i]) * i for i in range(40)]
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) // 2 * 2 :]
    return terms[0]


def _nested(x):
    for k in range(12):
        for _ in range(10):
            x = np.sin(x) + np.cos(x) * x
        x = np.exp(-x) + k
    return x


def _odd(x):
    """No loop at all: 700 instructions in an order of their own."""
    rng = np.random.default_rng(0)
    made = [x * 0.5, x + 1.0]
    for _ in range(700):
        a, b = (made[k] for k in rng.integers(max(0, len(made) - 30), len(made), 2))
        made.append([np.sin(a), a + b, a * b, a - b, np.cos(b)][rng.integers(5)])
    return sum(made[-9:])


_RNG = np.random.default_rng(0)
_WEIGHTS = {"w1": np.ones((4, 8)), "b1": np.zeros(8), "w2": np.ones((8, 3)), "b2": np.zeros(3)}
RECORDED = {
    "seven": lambda: tg.record(_seven, 2.0, 5.0, argnums=(0, 1)),
    "nothing": lambda: tg.record(lambda x: x, 2.0),
    "one": lambda: tg.record(np.sin, 2.0),
    "network": lambda: tg.record(_network, _WEIGHTS, np.ones((32, 4)), np.ones((32, 3))),
    "ode": lambda: tg.record(_ode, [1.1, 0.4, 10.0, 5.0]),
    "assigned": lambda: tg.record(_assigned, np.ones(30)),
    "wide": lambda: tg.record(_wide, np.ones(40)),
    "tree": lambda: tg.record(_tree, np.ones(40)),
    "nested": lambda: tg.record(_nested, 1.0),
    "odd": lambda: tg.record(_odd, 1.0),
    "inputs": lambda: tg.record(lambda p: sum(a * a for a in p), [1.0] * 100),
}
CASES = [(name, adjoint) for name in RECORDED for adjoint in (False, True)]


def _recorded(name, adjoint=False):
    made = RECORDED[name]()
    return made.adjoint() if adjoint else made


# --- geometry


def _check(found):
    """No two boxes overlap, no arrow crosses a box; all is inside the plan."""
    boxes = found.rectangles
    for r in boxes:
        assert r.x >= found.x - 0.6
        assert r.x + r.width <= found.x + found.width + 0.6
    for (i, a), (j, b) in combinations(enumerate(boxes), 2):
        apart = (
            a.x + a.width <= b.x + 0.1
            or b.x + b.width <= a.x + 0.1
            or a.y + a.height <= b.y + 0.1
            or b.y + b.height <= a.y + 0.1
        )
        assert apart, (found.graph.entries[i].title, found.graph.entries[j].title)
    for arrow, path in zip(found.graph.arrows, found.paths, strict=True):
        if path is not None:
            for x, y in _samples(path):
                for k, r in enumerate(boxes):
                    if k not in {arrow.source, arrow.target}:
                        inside = r.x + 0.2 < x < r.x + r.width - 0.2 and r.y + 0.2 < y < r.y + r.height - 0.2
                        assert not inside, (arrow, found.graph.entries[k].title)
    pills = [p.pill for p in found.paths if p is not None and p.pill is not None]
    for p in pills:
        for r in boxes:
            assert p.x + p.width <= r.x or r.x + r.width <= p.x or p.y + p.height <= r.y or r.y + r.height <= p.y
    for inner in found.inner.values():
        _check(inner)


def _samples(path):
    at = path.start
    for piece in path.pieces:
        for t in np.linspace(0.02, 0.98, 25):
            if len(piece) == 1:
                yield tuple(a + (b - a) * t for a, b in zip(at, piece[0], strict=True))
            else:
                weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                yield tuple(sum(w * p[k] for w, p in zip(weights, (at, *piece), strict=True)) for k in (0, 1))
        at = piece[-1]


@st.composite
def _graphs(draw):
    count = draw(st.integers(1, 25))
    out = Graph()
    for k in range(count):
        title = "x" * draw(st.integers(1, 20))
        reverse = draw(st.booleans()) if k > count // 2 else False
        out.add(Entry(graph.OP, (k,), int(reverse), title, [f"v{k}"], "1.5" if draw(st.booleans()) else ""))
    for v in range(1, count):
        for place, u in enumerate(draw(st.lists(st.integers(0, v - 1), max_size=4))):
            partial = "0.123456" if draw(st.booleans()) else ""
            out.arrows.append(Arrow(u, v, u, v, place, label=draw(st.sampled_from(["", "x"])), partial=partial))
    return out


@settings(max_examples=150)
@given(_graphs(), st.booleans(), st.sampled_from([250.0, 1300.0]))
def test_random_graphs(drawn, sideways, limit):
    found = plan(drawn, limit, sideways=sideways)
    _check(found)
    _check(found.changed(3.0, 5.0, turned=True))


@settings(max_examples=80)
@given(_graphs())
def test_random_graphs_mirrored(drawn):
    """Forward on the left, reverse on the right: an arrow may only go from forward to reverse, not back."""
    parts = [e.part for e in drawn.entries]
    drawn.arrows = [a for a in drawn.arrows if parts[a.source] <= parts[a.target]]
    found = plan(drawn, 1300.0, mirrored=True)
    _check(found)
    if found.wall is not None:
        for e, r in zip(drawn.entries, found.rectangles, strict=True):
            assert (r.x > found.wall) if e.part else (r.x + r.width < found.wall)


@pytest.mark.parametrize(("name", "adjoint"), CASES)
def test_tapes_are_laid_out_cleanly(name, adjoint):
    tape = _recorded(name, adjoint).tape
    steps = Steps.of(tape)
    units = few(steps, 0, len(steps.slots), find_folds(tape, steps), 150)
    _check(plan(Builder(tape, steps, Labels()).whole(units, 30), 1300.0))


def test_a_picture_is_legible_where_it_is_1400_wide():
    for name, adjoint in CASES:
        width = float(re.search(r'width="([\d.]+)"', str(_recorded(name, adjoint).draw())).group(1))
        assert 10.5 * min(1.0, 1400 / width) >= 9.0, (name, adjoint, width)


# --- what is in it


def _root(picture):
    return ElementTree.fromstring(str(picture))


def _groups(root, kind):
    return [g for g in root.iter(_SVG + "g") if kind in (g.get("class") or "").split()]


def _slots(tape, drawn):
    """How often each slot stands in a graph, by itself or counted; what is in a frame counts once for all turns."""
    counts = Counter()
    for e in drawn.entries:
        counts.update(e.slots)
    return counts


@pytest.mark.parametrize(("name", "adjoint"), CASES)
@pytest.mark.parametrize("most", [20, 150])
def test_every_slot_is_there_once(name, adjoint, most):
    tape = _recorded(name, adjoint).tape
    steps = Steps.of(tape)
    units = few(steps, 0, len(steps.slots), find_folds(tape, steps), most)
    drawn = Builder(tape, steps, Labels()).whole(units, 30)
    counts = _slots(tape, drawn)
    written = {c.slot for e in _everything(drawn) for c in e.chips.values()}
    for slot in range(len(tape)):
        if is_number(tape, slot) and counts[slot] == 0:
            continue  # a number stands in its reader's box
        assert counts[slot] == 1, slot
    shown = {s for e in _everything(drawn) for s in e.slots}
    numbers = [s for s in range(len(tape)) if is_number(tape, s) and s not in shown and s not in written]
    grouped = {s for e in _everything(drawn) if e.kind in {graph.GROUP, graph.FRAME} for s in e.slots}
    for s in numbers:
        assert set(np.flatnonzero([s in tape.read(i) for i in range(len(tape))]).tolist()) <= grouped


def _everything(drawn):
    for e in drawn.entries:
        yield e
        if e.inner is not None:
            yield from _everything(e.inner)


@pytest.mark.parametrize(("name", "adjoint"), CASES)
def test_pictures_stay_small(name, adjoint):
    made = _recorded(name, adjoint)
    svg = made.draw(most=60).svg
    assert svg.count('class="slot') + svg.count('class="group') <= 120
    assert made.draw(most=60).svg == svg


@pytest.mark.parametrize(("name", "adjoint"), CASES)
@pytest.mark.parametrize("direction", ["down", "right"])
def test_well_formed_and_by_itself(name, adjoint, direction):
    picture = _recorded(name, adjoint).draw(direction=direction)
    root = _root(picture)
    assert root.tag == _SVG + "svg"
    known = {"svg", "g", "rect", "path", "text", "tspan", "style", "title"}
    assert {e.tag.removeprefix(_SVG) for e in root.iter()} <= known
    for e in root.iter():
        assert not [a for a in e.attrib if a.startswith("on") or "href" in a]
    assert str(picture).count("http") == 1  # the namespace
    assert "url(" not in str(picture)
    assert "@import" not in str(picture)
    assert picture.svg == _recorded(name, adjoint).draw(direction=direction).svg


def test_arrows_and_boxes_name_their_slots():
    root = _root(_recorded("seven").draw())
    boxes = [g.get("data-slot") for g in _groups(root, "slot")]
    assert sorted(boxes, key=int) == [str(k) for k in range(7)]
    arrows = [(g.get("data-from"), g.get("data-to")) for g in _groups(root, "arrow")]
    assert sorted(arrows) == sorted(
        [("0", "2"), ("0", "3"), ("1", "3"), ("2", "4"), ("3", "4"), ("1", "5"), ("4", "6"), ("5", "6")]
    )


def test_values_partials_and_adjoints():
    labels = Labels(["a", "b"], ["y"], {3: "10.5"}, {3: "∂ 1"}, {(3, 0): "5.25"})
    root = _root(draw(_recorded("seven").tape, labels))
    texts = {(e.get("class"), e.text) for e in root.iter(_SVG + "text")}
    assert {("value", "10.5"), ("adjoint", "∂ 1"), ("partial", "5.25"), ("result", "y")} <= texts


def test_the_order_of_operands_is_seen():
    def f(x, y):
        return (x - y) / (2.0 - y)

    text = str(tg.record(f, 1.0, 3.0).draw())
    assert ">x − y<" in text
    assert ">2</tspan> − ·" in text
    assert text.count('class="partial letter"') == 4


def test_results_of_a_gradient_have_names():
    text = str(_recorded("seven", adjoint=True).draw())
    assert ">gradient by x1<" in text
    assert ">gradient by x2<" in text
    assert ">value<" in text


def test_a_loop_is_a_frame():
    root = _root(_recorded("ode").draw())
    (frame,) = _groups(root, "frame")
    assert int(frame.get("data-last")) - int(frame.get("data-first")) > 300
    assert "× 60" in {e.text for e in root.iter(_SVG + "text")}
    assert _groups(root, "back")
    unfolded = _root(_recorded("ode").draw(fold=False, most=10**6))
    assert len(_groups(unfolded, "slot")) > 300


# --- texts of others


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", 'a"b', "a&b", "]]>", "x\x00y\x1fz\ufffe", "</svg>", "日本語", "\ud800"]
)
def test_texts_of_users_stay_texts(text):
    tape = _recorded("seven").tape
    labels = Labels([text, "x2"], [text], {2: text}, {2: text}, {(2, 0): text})
    picture = draw(tape, labels)
    root = _root(picture)
    assert not list(root.iter(_SVG + "script"))
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    assert [e for e in root.iter() if e.text is not None and clean[:4] in e.text]


def test_source_lines_are_told_and_escaped(tmp_path):
    path = tmp_path / "model <&>.py"
    path.write_text('def f(x):\n    return x * 2.0 if x < 3 and "<&>" else x\n')
    names: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    titles = [e.text for e in _root(tg.record(names["f"], 1.0).draw()).iter(_SVG + "title")]
    assert any('model <&>.py:2\nreturn x * 2.0 if x < 3 and "<&>" else x' in t for t in titles)


# --- parts


def _stub_count(root):
    return sum(
        int(re.search(r"([\d,]+) more", e.text).group(1).replace(",", ""))
        for e in root.iter(_SVG + "text")
        if e.text and e.text.endswith(" more")
    )


@pytest.mark.parametrize(
    "asked",
    [
        {"depth": 2},
        {"around": "x2"},
        {"around": 3, "depth": 1},
        {"name": "sin"},
        {"name": "log", "depth": 0},
        {"around": "v5", "depth": 0},
    ],
)
def test_parts_count_what_they_leave_out(asked):
    root = _root(_recorded("seven").draw(**asked))
    drawn = _groups(root, "slot")
    assert 0 < len(drawn) < 7
    assert len(drawn) + _stub_count(root) == 7


@pytest.mark.parametrize(("name", "adjoint"), CASES)
@pytest.mark.parametrize("fold", [False, True])
def test_parts_of_tapes(name, adjoint, fold):
    made = _recorded(name, adjoint)
    slot = len(made.tape) // 2
    picture = made.draw(around=slot, depth=2, fold=fold)
    _root(picture)
    if not fold and made.tape.opcodes[slot] != CONSTANT:
        assert f'data-slot="{slot}"' in picture.svg


@given(_graphs(), st.data())
def test_stubs_count_each_slot_once(drawn, data):
    kept = data.draw(st.lists(st.integers(0, len(drawn.entries) - 1), min_size=1, unique=True))
    total = len(drawn.entries)
    part = cut(drawn, kept)
    assert sum(len(e.slots) for e in part.entries) == total
    assert len({s for e in part.entries for s in e.slots}) == total
    _check(plan(part, 1300.0))


def test_what_is_not_there():
    made = _recorded("seven")
    with pytest.raises(ValueError, match="draw: found around='z'; wanted a slot below 7 or one of x1, x2"):
        made.draw(around="z")
    with pytest.raises(ValueError, match="around=7"):
        made.draw(around=7)
    with pytest.raises(ValueError, match="name='tanh'; wanted a part of the name of an instruction"):
        made.draw(name="tanh")
    with pytest.raises(ValueError, match="direction='up'"):
        made.draw(direction="up")
    with pytest.raises(ValueError, match="most=0"):
        made.draw(most=0)
    wrong: tuple[dict[str, Any], ...] = (
        {"most": "all"}, {"depth": "two"}, {"depth": -1}, {"around": True}, {"around": 1.5}, {"name": 3},
    )  # fmt: skip
    for options in wrong:
        with pytest.raises(SettingError, match="draw: found "):
            made.draw(**options)
    assert str(made.draw(around=np.int64(2))) == str(made.draw(around=2))


# --- the object


def test_a_picture(tmp_path):
    picture = _recorded("seven").draw()
    assert picture._repr_svg_() == str(picture) == picture.svg
    assert repr(picture).startswith("<Picture, ")
    picture.save(tmp_path / "tape.svg")
    assert (tmp_path / "tape.svg").read_text(encoding="utf-8") == picture.svg
    with pytest.raises(SettingError, match="a name that ends in"):
        picture.save(tmp_path / "tape.png")


def test_values_for_arguments():
    made = _recorded("seven")
    texts = {(e.get("class"), e.text) for e in _root(made.draw(2.0, 5.0)).iter(_SVG + "text")}
    assert {("value", "11.6521"), ("adjoint", "∂ 5.5"), ("adjoint", "∂ 1.71634"), ("partial", "0.283662")} <= texts
    assert made.draw(2.0, 5.0).svg == tg.explain(_seven, 2.0, 5.0).draw().svg
    both = made.adjoint().draw(2.0, 5.0)
    assert ">5.5<" in both.svg
    assert 'class="adjoint"' not in both.svg


def test_values_of_what_has_no_derivative():
    made = tg.record(lambda x: x * x + 1, 3.0, argnums=())
    assert ">10<" in made.draw(3.0).svg
    with pytest.raises(tg.errors.ShapeError):
        made.draw(np.ones(3))


def test_values_of_arrays_are_summed_up():
    made = _recorded("network")
    x, y = np.ones((32, 4)), np.eye(3)[np.arange(32) % 3]
    svg = made.draw(_WEIGHTS, x, y).svg
    assert ">1 everywhere<" in svg
    assert svg.count('class="adjoint"') >= 15


def test_pictures_of_the_docs_are_fresh():
    assert stale() == []
