"""`symbolic`: formulas that give the numbers of the tape, and the derivatives that SymPy finds for itself."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy as sp

import tapegrad as tg
from tapegrad.errors import MissingExtraError, SettingError, ShapeError, UnsupportedError
from tapegrad.formulas.algebra import RULES
from tapegrad.formulas.exact import number
from tapegrad.formulas.interpret import Interpreter
from tapegrad.ops.row import Op
from tapegrad.ops.table import OPS
from tapegrad.record.recorder import Recorder
from tapegrad.scipy import special
from tapegrad.trees import flatten
from tests.helpers import F64, samples

RNG = np.random.default_rng(5)


@dataclass(frozen=True, slots=True)
class Case:
    """A function and arguments; `argnums` as for `value_and_grad`."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: Any = 0


CASES: dict[str, Case] = {}


def case(*args: Any, argnums: Any = 0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        CASES[f.__name__] = Case(f, args, argnums)
        return f

    return register


@case(0.7)
def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@case(1.5, 0.5, argnums=(0, 1))
def griewank(x1: Any, x2: Any) -> Any:
    return (np.sin(x1 / x2) + x1 / x2 - np.exp(x2)) * (x1 / x2 - np.exp(x2))


@case(RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=3), argnums=(0, 1))
def quadratic(x: Any, a: Any, b: Any) -> Any:
    return 0.5 * x @ a @ x - b @ x + 0.1


@case({"w": RNG.normal(size=(2, 3)), "b": RNG.normal(size=3)}, RNG.normal(size=(2, 2)), np.array([2, 0]))
def softmax_regression(p: Any, x: Any, labels: Any) -> Any:
    logits = x @ p["w"] + p["b"]
    top = np.max(logits, axis=1, keepdims=True)
    chosen = logits[np.arange(2), labels]
    return np.mean(np.log(np.sum(np.exp(logits - top), axis=1)) + top[:, 0] - chosen)


@case(np.array([-0.7, 0.4]))
def pieces(x: Any) -> Any:
    y = np.where(x > 0, np.log(np.abs(x)), x**3)
    return np.sum(np.where(np.isnan(x), 0.0, y)) + np.where((x[0] < 1) & (x[1] > 0), x[0], 2.0)


@case(np.array([0.3, -0.8, 0.6]), 0.4, argnums=(0, 1))
def kinks(x: Any, y: Any) -> Any:
    extremes = np.max(x) * np.min(x) + np.maximum(x[0], y) + np.minimum(x[1] * y, x[2]) + np.max(np.stack([x, x * y]))
    return extremes + np.sum(np.abs(x) * np.sign(x)) + np.clip(y, 0.1, 0.9)


@case(1.4)
def loop(x: Any) -> Any:
    total = x
    while total < 10:
        total = total * x + 1
    return np.sqrt(total)


@case(np.array([0.4, 0.8]))
def counted_loop(x: Any) -> Any:
    for _ in range(3):
        x = np.stack([x[1], x[0] - x[1] ** 2])
    return x[0] * x[1]


@case(1.3, 0.6, argnums=(0, 1))
def powers(x: Any, y: Any) -> Any:
    return x**y + y**3 / x**0.5 + np.log(x * y) ** 2 + np.log1p(x) * np.log2(y) + np.hypot(x, y) + np.cbrt(x)


@case(np.array([0.4, -0.8, 0.9]))
def transcendental(x: Any) -> Any:
    t = np.arctan2(x, 1 + x**2) + np.tanh(x) * np.cosh(x) - np.arcsin(x) * np.expm1(x) + np.logaddexp(x, 2 * x)
    return np.sum(t) + np.tan(x[0]) * np.arccos(x[1]) + np.prod(np.sinh(x))


@case(np.array([0.7, 1.4]))
def special_functions(x: Any) -> Any:
    terms = special.gammaln(x) + special.erf(x) + special.expit(x) * special.ndtr(x) + special.xlogy(x, x)
    return np.sum(terms + special.gamma(x)) + special.j0(x[0]) + special.logsumexp(x) + special.entr(x[1])


@case(RNG.normal(size=4))
def moments(x: Any) -> Any:
    return np.std(x) * np.mean(x**2) + np.var(x) + np.linalg.norm(x) + np.sum(np.cumsum(x) ** 2)


@case(RNG.normal(size=(2, 2)) + 3 * np.eye(2), RNG.normal(size=2), argnums=(0, 1))
def matrices(a: Any, b: Any) -> Any:
    return b @ np.linalg.solve(a, b) + np.linalg.det(a) + np.log(np.linalg.inv(a)[0, 0]) + np.linalg.slogdet(a)[1]


@case(RNG.normal(size=5))
def moved(x: Any) -> Any:
    y = np.concatenate([x[::-2], np.ones(2)])
    return np.sum(np.pad(y, 1)[1:] * y[[0, 0, 1, 2, 4, 3]]) + np.outer(x, x)[1:3, 2:].sum()


@case(np.float32(0.3), np.array([0.5, 1.5], np.float32))
def single(x: Any, y: Any) -> Any:
    return np.sum(np.exp(x * y) * 0.1) + np.float32(0.3) * x + y[0] * np.log(2 + x)


@case(np.array([1.2, 0.4]))
def rounded(x: Any) -> Any:
    return np.floor(x[0]) * x[1] + np.mod(x[0], x[1]) + np.trunc(3 * x[1]) * x[0] + np.ceil(x[1])


every_case = pytest.mark.parametrize("name", CASES)


@cache
def found(name: str, **options: Any) -> tg.Symbolic:
    made = CASES[name]
    return tg.symbolic(made.f, *made.args, argnums=made.argnums, **options)


def numbers(formulas: tg.Symbolic) -> dict[Any, float]:
    """The value of each symbol at the example."""
    return dict(zip(order(formulas), inputs(formulas), strict=True))


def order(formulas: tg.Symbolic) -> list[Any]:
    return [s for x in formulas.symbols.values() for s in elements(x)]


def inputs(formulas: tg.Symbolic) -> list[float]:
    made = CASES[formulas.name]
    leaves = [np.asarray(x) for x in flatten(list(made.args))[0]]
    return [float(v) for x in leaves if x.dtype.kind == "f" for v in x.reshape(-1)]


def elements(x: Any) -> list[Any]:
    return [x] if isinstance(x, sp.Basic) and not isinstance(x, sp.NDimArray) else list(sp.flatten(x))


def evaluated(formulas: tg.Symbolic, expressions: list[Any], values: list[float]) -> Any:
    known = {s: sp.Float(v, 30) for s, v in zip(order(formulas), values, strict=True)}
    return np.array([float(e.xreplace(known).evalf(20)) for e in expressions])


def flat(tree: Any) -> Any:
    return np.concatenate([np.asarray(x, np.float64).reshape(-1) for x in flatten(tree)[0]])


def expressions_of(formulas: tg.Symbolic) -> list[Any]:
    return [formulas.value, *[e for leaf in flatten(formulas.gradient)[0] for e in elements(leaf)]]


@pytest.mark.parametrize("simplify", [True, False], ids=["short", "as they are"])
@every_case
def test_formulas_give_the_tapes_value_and_gradient(name: str, simplify: bool) -> None:
    made, formulas = CASES[name], found(name) if simplify else found(name, simplify=False)
    value, gradient = tg.value_and_grad(made.f, argnums=made.argnums)(*made.args)
    wanted = np.concatenate([[float(value)], flat(gradient)])
    rtol = 1e-5 if name == "single" else 1e-11
    np.testing.assert_allclose(evaluated(formulas, expressions_of(formulas), inputs(formulas)), wanted, rtol, rtol)


@every_case
def test_the_gradient_is_that_of_sympy(name: str) -> None:
    """What the tape's adjoint gives on symbols, and what SymPy makes of the value, at another point."""
    formulas = found(name)
    names = {str(s): s for s in order(formulas)}
    independents = [line.partition(" = ")[0].partition("/d")[2] for line in str(formulas).splitlines()[1:]]
    independents = [i for i in independents if i]
    slopes = [sp.diff(formulas.value, names[i]) for i in independents]
    nearby = [v * 1.03 for v in inputs(formulas)]
    gradient = expressions_of(formulas)[1:]
    wanted = slopes
    for flat_but_for_jumps in (sp.DiracDelta, sp.Subs, sp.Derivative):
        wanted = [s.replace(flat_but_for_jumps, lambda *_: sp.S.Zero) for s in wanted]
    np.testing.assert_allclose(
        evaluated(formulas, gradient, nearby), evaluated(formulas, wanted, nearby), rtol=1e-9, atol=1e-9
    )


@every_case
def test_formulas_as_source(name: str) -> None:
    made, formulas = CASES[name], found(name)
    source = formulas.to_python("g")
    assert "sympy" not in source
    assert "tapegrad" not in source
    names: dict[str, Any] = {}
    exec(compile(source, "<symbolic>", "exec"), names)
    value, gradient = names["g"](*made.args)
    wanted = tg.record(made.f, *made.args, argnums=made.argnums).adjoint()(*made.args)
    rtol = 1e-5 if name == "single" else 1e-11
    for a, b in zip(flatten((value, gradient))[0], flatten(wanted)[0], strict=True):
        assert (np.shape(a), a.dtype, type(a)) == (np.shape(b), b.dtype, type(b))
        np.testing.assert_allclose(a, b, rtol, rtol)


# --- what they look like


def test_the_gradient_is_nested_as_the_arguments_are() -> None:
    formulas = found("softmax_regression")
    assert set(formulas.gradient) == {"w", "b"}
    assert formulas.gradient["w"].shape == (2, 3)
    assert formulas.symbols["x"][1, 0] == sp.Symbol("x[1, 0]", real=True)
    assert "labels" not in formulas.symbols
    pair = found("griewank").gradient
    assert type(pair) is tuple
    assert all(isinstance(e, sp.Expr) for e in pair)


def test_text() -> None:
    assert str(tg.symbolic(sigmoid, 0.0)) == "sigmoid(x) = 1/(1 + exp(-x))\ndsigmoid/dx = 1/(4*cosh(x/2)**2)"
    assert str(tg.symbolic(lambda x: np.sum(x * x) * 0.5, np.ones(2), names=["theta"])) == (
        "f(theta) = (theta[0]**2 + theta[1]**2)/2\ndf/dtheta[0] = theta[0]\ndf/dtheta[1] = theta[1]"
    )
    assert str(tg.symbolic(lambda x: x**2 if x > 1 else -x, 2.0)) == "f(x) = x**2\ndf/dx = 2*x\nif x > 1"
    assert str(tg.symbolic(lambda x: x**2 if x > 1 else -x, 0.0)) == "f(x) = -x\ndf/dx = -1\nif x <= 1"
    assert repr(tg.symbolic(sigmoid, 0.0)) == "<tapegrad.Symbolic sigmoid(x)>"


def test_the_maximum_of_a_softmax_goes() -> None:
    formulas = found("softmax_regression")
    assert not any(e.has(sp.Max, sp.Heaviside, sp.Piecewise) for e in expressions_of(formulas))
    unchanged = found("softmax_regression", simplify=False)
    assert unchanged.value.has(sp.Max)


def test_latex() -> None:
    formulas = tg.symbolic(lambda x, w_1: np.exp(x[0] * w_1[1]) / x[1], np.ones(2), np.ones(2))
    assert formulas.latex() == (
        "\\begin{aligned}\n"
        "f\\left(x, w_{1}\\right) &= \\frac{e^{{w_{1}}_{1} x_{0}}}{x_{1}} \\\\\n"
        "\\frac{\\partial f}{\\partial x_{0}} &= \\frac{{w_{1}}_{1} e^{{w_{1}}_{1} x_{0}}}{x_{1}} \\\\\n"
        "\\frac{\\partial f}{\\partial x_{1}} &= - \\frac{e^{{w_{1}}_{1} x_{0}}}{x_{1}^{2}}\n"
        "\\end{aligned}"
    )
    assert formulas._repr_latex_() == f"$\\displaystyle {formulas.latex()}$"
    assert "&\\text{if } x < 10" in tg.symbolic(loop, 2.0).latex()


@pytest.mark.parametrize("name", ["griewank", "pieces", "moved", "single"])
def test_formulas_are_the_same_every_time(name: str) -> None:
    one, other = found(name), found.__wrapped__(name)
    assert one.latex() == other.latex()
    assert str(one) == str(other)
    assert one.to_python() == other.to_python()


def test_conditions_are_tested_by_the_source() -> None:
    names: dict[str, Any] = {}
    exec(tg.symbolic(loop, 2.0).to_python(), names)
    assert names["loop"](2.0)[0] == np.sqrt(11.0)
    with pytest.raises(ValueError, match="recorded for another branch"):
        names["loop"](0.5)


def test_simplify_may_be_a_function() -> None:
    formulas = tg.symbolic(lambda x: np.sin(x) ** 2 + np.cos(x) ** 2, 0.5, simplify=sp.simplify)
    assert (formulas.value, formulas.gradient) == (1, 0)


# --- rules


def one_row(op: Op, operands: Any) -> Any:
    recorder = Recorder(F64, {})
    return recorder.finish([recorder.elementwise(op.name, *[recorder.input(v, independent=False) for v in operands])])


@pytest.mark.parametrize("op", [op for op in OPS if op.elementwise and op.name in RULES], ids=lambda op: op.key)
def test_a_rule_is_what_the_row_does(op: Op) -> None:
    """On symbols, with numbers put in afterwards."""
    for sample in samples(op)[:1] + samples(op, seed=1)[:1]:
        operands = [v.reshape(-1)[:1].reshape(()) for v in sample.operands]
        kinds = {"f": {"real": True}, "i": {"integer": True}, "b": {}}
        symbols = [sp.Symbol(f"x{k}", **kinds[v.dtype.kind]) for k, v in enumerate(operands)]
        pairs = list(zip(symbols, operands, strict=True))
        known = [s if v.dtype.kind != "b" else sp.true if v else sp.false for s, v in pairs]
        arrays = [np.array(s, object) for s in known]
        (value,) = Interpreter(sp, one_row(op, operands)).run(arrays) if op.name != "guard" else [np.array(True)]
        exact = {s: sp.Float(float(v), 30) if v.dtype.kind == "f" else int(v) for s, v in pairs}
        expression = value[()]
        if isinstance(expression, sp.Basic):
            expression = expression.subs(exact)
            expression = bool(expression) if expression in (sp.true, sp.false) else float(expression.evalf(30))
        np.testing.assert_allclose(expression, sample.value(*operands), rtol=1e-12, err_msg=op.key)


def test_numbers() -> None:
    values = {0.1: "1/10", -1 / 3: "-1/3", 2.0: "2", 0.123456789: "0.123456789000000", np.pi: "pi", np.log(2): "log(2)"}
    values |= {-2 / np.sqrt(np.pi): "-2/sqrt(pi)", np.inf: "oo", -np.inf: "-oo", np.nan: "nan", 1e-3: "1/1000"}
    assert [str(number(sp, np.float64(v))) for v in values] == list(values.values())
    assert [str(number(sp, np.float32(v))) for v in (0.1, np.pi, 1 / 3)] == ["1/10", "pi", "1/3"]
    assert number(sp, np.bool_(True)) == sp.true


def test_single_points_are_not_told() -> None:
    formulas = tg.symbolic(lambda x: np.where(x == 0, 1.0, np.sin(x) / x), 0.5)
    x = formulas.symbols["x"]
    assert formulas.value == sp.sin(x) / x
    assert tg.symbolic(lambda x: np.where(np.floor(x) == 1, x, 2 * x), 0.5).value.has(sp.Piecewise)


def test_what_sympy_does_not_have_is_an_undefined_function() -> None:
    twice = tg.elementwise(lambda x: 2 * x)
    twice.name = "twice"
    formulas = tg.symbolic(lambda x: np.rint(x) * x + special.owens_t(x, 1.0), 0.5)
    assert {str(f.func) for f in formulas.value.atoms(sp.core.function.AppliedUndef)} == {"rint", "owens_t"}
    names: dict[str, Any] = {}
    exec(formulas.to_python(), names)
    np.testing.assert_allclose(names["f"](1.7)[0], 2 * 1.7 + special.owens_t(1.7, 1.0), rtol=1e-14)
    mine = tg.symbolic(lambda x: twice(x) + 1, 0.5)
    assert str(mine.value) == "twice(x) + 1"
    assert mine.gradient == 2
    with pytest.raises(UnsupportedError, match="to_python: found twice, for which NumPy and SciPy"):
        mine.to_python()


# --- what is refused


def test_too_many_numbers_are_named() -> None:
    with pytest.raises(ShapeError, match=r"symbolic: found p\['w'\] of 60, x of 5; wanted at most 64 numbers"):
        tg.symbolic(lambda p, x: np.sum(p["w"] @ x), {"w": np.ones((12, 5))}, np.ones(5))


def test_functions_without_a_formula_are_named() -> None:
    for f, name in (
        (np.sort, "argsort"),
        (lambda x: np.linalg.svd(np.outer(x, x))[1], "svd"),
        (np.fft.fft, "fft_real"),
    ):
        with pytest.raises(UnsupportedError, match=rf"symbolic: found {name}, which has no formula.*test_symbolic"):
            tg.symbolic(lambda x, f=f: np.sum(np.abs(f(x)) * np.arange(3.0)), np.array([1.0, 2.0, 3.0]))


def test_formulas_without_end_are_refused() -> None:
    def logistic(x: Any) -> Any:
        for _ in range(40):
            x = 3.7 * x * (1 - x)
        return x

    with pytest.raises(
        UnsupportedError, match=r"an expression of more than 20,000 terms in .*; wanted a shorter function"
    ):
        tg.symbolic(logistic, 0.3)


def nested(steps: int) -> Any:
    def sines(x: Any) -> Any:
        for _ in range(steps):
            x = np.sin(x)
        return x

    return sines


def test_deep_formulas_are_refused_or_whole() -> None:
    formulas = tg.symbolic(nested(30), 0.3, simplify=False)
    assert str(formulas.value).count("sin(") == 30
    with pytest.raises(
        UnsupportedError, match=r"symbolic: found an expression (nested more deeply|of more than 20,000)"
    ):
        tg.symbolic(nested(3000), 0.3, simplify=False)


def test_results_that_are_no_number_are_refused() -> None:
    with pytest.raises(ShapeError, match="a result that is not one scalar"):
        tg.symbolic(lambda x: x * 2, np.ones(3))


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b c"], [1, 2]])
def test_names_that_do_not_fit_are_refused(names: list[str]) -> None:
    with pytest.raises(SettingError, match="symbolic: found names="):
        tg.symbolic(lambda x, y: x * y, 1.0, 2.0, names=names)


def test_without_sympy() -> None:
    program = "import sys; sys.modules['sympy'] = None\nimport tapegrad as tg\n"
    program += "try:\n    tg.symbolic(lambda x: x, 1.0)\nexcept tg.errors.MissingExtraError as e:\n    print(e)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "symbolic: found no SymPy; wanted pip install 'tapegrad[symbolic]'\n"
    assert issubclass(MissingExtraError, ImportError)


def test_signs_of_zeros_and_divisions_by_zero_are_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"symbolic: found copysign\(x, 0.0\).*test_symbolic"):
        tg.symbolic(lambda x: np.copysign(x, -0.0), 0.5)
    with pytest.raises(UnsupportedError, match="symbolic: found a division by 0"):
        tg.symbolic(lambda x: np.where(x > 0, x, x / 0.0), 0.5)


def assigned(x: Any) -> Any:
    u = np.zeros_like(x)
    u[0] = x[1]
    u[1:] += x[:2] ** 2
    return np.sum(u * u)


@pytest.mark.parametrize("simplify", [False, True])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)),  # 0 times a nan is no derivative
        lambda x: np.sum(2 * np.where(x > 0, np.log(x) * x, x * x) ** 2),
        lambda x: np.nansum(x * np.array([1.0, np.nan, 1.0])),
        lambda x: np.nan_to_num(x * np.array([np.inf, 1.0, 1.0]))[1],
        lambda x: np.sum(np.where(np.isinf([1.0, np.inf, 1.0]), x, x * x)),
        lambda x: np.sum(np.sinc(x)),  # pi
        assigned,
    ],
)
def test_sources_of_choices_constants_and_assignments(f: Any, simplify: bool) -> None:
    x = np.array([0.3, -1.2, 2.0])
    formulas = tg.symbolic(f, x, simplify=simplify)
    names: dict[str, Any] = {}
    exec(formulas.to_python("both"), names)
    value, gradient = tg.value_and_grad(f)(x)
    found = names["both"](x)
    np.testing.assert_allclose(found[0], value, rtol=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-10)


def test_formulas_are_copied_and_pickled() -> None:
    formulas = tg.symbolic(lambda x, y: np.sin(x) * y[0], 1.0, np.ones(2))
    for again in (copy.deepcopy(formulas), pickle.loads(pickle.dumps(formulas))):
        assert (str(again), again.latex(), again.to_python()) == (
            str(formulas), formulas.latex(), formulas.to_python(),
        )  # fmt: skip
        assert dict(again.symbols) == dict(formulas.symbols)
