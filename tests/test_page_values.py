"""The evaluator of pages, in a browser, beside the rows' own functions: every op that it knows, in every case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapegrad.ops.row import BOOL, FLOAT, INT, Op
from tapegrad.ops.table import OPS
from tapegrad.pages.javascript import UntranslatableError, expression
from tapegrad.pages.web_page import embedded, evaluator, packed
from tests.browser import complaints, started
from tests.helpers import (
    F32,
    F64,
    FUSED,
    MOVES_ANY_KIND,
    REDUCES_INTEGERS,
    Sample,
    assert_close,
    assert_values,
    fill,
    samples,
)
from tests.test_ops_edges import edge_operands

ROWS = [op for op in OPS if not op.leaf and op.name not in {"custom", "primitive"}]
EXACT = 2**53  # whole numbers beyond are not looked at by a page

# What a page leaves alone: the rest it knows, and a row that is no more known fails a test below.
SPECIAL = "a special function that no page computes"
MATRICES = "linear algebra that no page computes"
UNKNOWN = {
    **dict.fromkeys(("nextafter", "spacing"), "the floats beside a float"),
    **dict.fromkeys(("fft", "fft_real", "rfft", "irfft"), "Fourier transforms"),
    "sparse_matmul": "its matrix is in the attribute",
    **{op.name: MATRICES for op in ROWS if op.eager and "a" in op.operands[:1] and op.name != "searchsorted"},
    **{op.name: SPECIAL for op in ROWS if op.loop.startswith("scipy.special") and not op.value},
}
KNOWN_SPECIAL = ("exp10", "expit", "logit", "log_expit", "erfc", "ndtr", "xlogy", "xlog1py", "entr", "rel_entr",
                 "huber")  # fmt: skip
for _name in KNOWN_SPECIAL:
    UNKNOWN.pop(_name)
KNOWN = [op for op in ROWS if op.name not in UNKNOWN]

# Units in the last place, where a few are not enough: formulas of our own, and what they make of rounded arguments.
ULPS = {"ndtr": 40, "erfc": 40, "erf": 16, "logit": 40, "power": 8, "exp10": 400, "exp2": 16, "trigamma": 16,
         "rel_entr": 16, "xlog1py": 8, "log_expit": 8}  # fmt: skip
CANCELS = ("logaddexp", "logaddexp2")  # their terms have opposite signs where the result is near 0

PAGE = """<!doctype html><meta charset="utf-8"><script type="application/json" id="cases">{cases}</script>
<script>{script}
function results() {{
  return JSON.parse(document.getElementById("cases").textContent).map(([op, single, attribute, type, operands]) => {{
    if (!isKnown(op)) return "unknown";
    try {{
      const arrays = operands.map(([shape, kind, text]) => arrayOf({{ shape, kind }}, doubles(text), single));
      return Array.from(evaluate(op, attribute, arrays, type, single).data, String).join(" ");
    }} catch (error) {{
      return error instanceof Refusal ? "refused" : `failed: ${{error.stack}}`;
    }}
  }});
}}
</script>"""


def kind_of(array: Any) -> str:
    return {"f": FLOAT, "i": INT, "b": BOOL}[np.asarray(array).dtype.kind]


def edges(op: Op, dtype: Any) -> Sample:
    """Operands at the edges, but for whole numbers beyond 2**53 and what gives such."""
    most = 2**26 if op.name in {"multiply", "square", "lcm"} else EXACT - 1
    operands = [np.clip(v, -most, most) if kind_of(v) == INT else v for v in edge_operands(op, dtype)]
    wanted = Sample(op, (), tuple(operands), ()).value()
    if op.result_kind == INT:
        operands = [v[np.abs(wanted.astype(np.float64)) < EXACT] for v in operands]
    return Sample(op, (), tuple(operands), ())


def calls(op: Op, dtype: Any) -> Iterator[Sample]:
    """All samples of a row, those of other kinds, and an elementwise one at the edges."""
    yield from samples(op, dtype)
    if op.elementwise:
        yield edges(op, dtype)
    rng = np.random.default_rng(0)
    for kind in (INT, BOOL):
        if op.name in MOVES_ANY_KIND or (kind == INT and op.name in REDUCES_INTEGERS):
            for case in op.cases:
                yield Sample(op, case.attribute, tuple(fill(case, kind, rng, dtype)), ())
    if not op.elementwise:
        yield from not_finite(op, dtype)


def not_finite(op: Op, dtype: Any) -> Iterator[Sample]:
    """Structural samples with a nan and infinities among the elements."""
    if op.name == "searchsorted":  # of a sorted array
        return
    for sample in samples(op, dtype):
        operands = [v.copy() for v in sample.operands]
        for v in operands:
            if kind_of(v) == FLOAT and v.size > 2:
                v.reshape(-1)[:3] = [np.inf, np.nan, -np.inf]
        yield Sample(op, sample.attribute, tuple(operands), ())


def as_case(sample: Sample, wanted: Any, dtype: Any) -> list[Any]:
    """A sample as the browser gets it."""
    op = {"name": sample.op.name, "key": sample.op.key, "elementwise": sample.op.elementwise}
    operands = [[list(v.shape), kind_of(v), packed(v)] for v in sample.operands]
    kind = {"shape": list(wanted.shape), "kind": sample.op.result_kind or kind_of(wanted)}
    return [op, dtype == F32, sample.attribute, kind, operands]


def parsed(text: str) -> Any:
    """The numbers of a result."""
    return np.array([{"true": 1.0, "false": 0.0}.get(t) if t in {"true", "false"} else float(t) for t in text.split()])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Sample, Any, Any, str]]:
    """All samples with what NumPy gives, their dtype and what the page gives: one load of one page."""
    cases = [(sample, dtype) for op in KNOWN for dtype in (F64, F32) for sample in calls(op, dtype)]
    wanted = [np.asarray(sample.value()) for sample, _ in cases]
    entries = [as_case(s, w, dtype) for (s, dtype), w in zip(cases, wanted, strict=True)]
    folder: Path = tmp_path_factory.mktemp("values")
    page = folder / "values.html"
    page.write_text(PAGE.format(cases=embedded(entries), script=evaluator()), encoding="utf-8")
    driver = started(folder / "profile")
    try:
        driver.get(page.as_uri())
        results = driver.execute_script("return results()")
        assert complaints(driver) == []
    finally:
        driver.quit()
    return [(s, w, dtype, r) for (s, dtype), w, r in zip(cases, wanted, results, strict=True)]


@pytest.mark.parametrize("op", KNOWN, ids=lambda op: op.key)
def test_values_are_those_of_the_rows(op: Op, found: Any) -> None:
    tried = [call for call in found if call[0].op is op]
    assert tried
    for sample, wanted, dtype, text in tried:
        what = f"{op.key} {sample.attribute} of {[v.shape for v in sample.operands]}, {dtype}"
        kind = op.result_kind or kind_of(wanted)
        assert text != "unknown", f"{what}: write it in pages/assets, or say in UNKNOWN why no page computes it"
        assert not text.startswith(("failed", "refused")), f"{what}: {text}"
        value = parsed(text).reshape(wanted.shape).astype(dtype if kind == FLOAT else np.float64)
        if kind != FLOAT:
            assert np.array_equal(value, wanted.astype(np.float64)), f"{what}: {value}, wanted {wanted}"
        elif op.name in CANCELS:
            agrees(value, wanted.astype(dtype), 8 * np.finfo(dtype).eps * (1 + np.abs(wanted)), what)
        elif op.elementwise:
            assert_values(op.name, value, wanted.astype(dtype), sample.operands, ULPS.get(op.name, 4), what)
        else:
            agrees(value, wanted.astype(dtype), 1e-13 if dtype == F64 else 1e-5, what)


def agrees(value: Any, wanted: Any, allowed: Any, what: str) -> None:
    """Equal to rounding, nan and infinities being the same."""
    same = (value == wanted) | (np.isnan(value) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        assert_close(np.where(same, 0, value), np.where(same, 0, wanted), np.where(same, 0, allowed), what)


def test_what_no_page_knows_says_why() -> None:
    assert all(UNKNOWN.values())
    assert {op.name for op in KNOWN} >= {"add", "matmul", "sum", "where", "gather", *FUSED}


@pytest.mark.parametrize("text", ["x // y", "math.erf(x)", "x if x < y < z else y", "f'{x}'", "x[0]", "math.tau"])
def test_what_has_no_form_in_javascript(text: str) -> None:
    with pytest.raises(UntranslatableError):
        expression(text)
