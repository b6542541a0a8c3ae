"""tapegrad.scipy.special and .stats: SciPy's own for arrays, the edges of supports, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any, Final

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tapegrad as tg
from tapegrad.errors import ShapeError, UnsupportedError
from tapegrad.scipy import special, stats
from tapegrad.scipy.stats.continuous import CONTINUOUS
from tapegrad.scipy.stats.discrete import DISCRETE
from tapegrad.scipy.stats.family import Family

FAMILIES: Final = CONTINUOUS + DISCRETE
POINTS: Final = np.array([-np.inf, -3.0, -1.0, -0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 30.0, np.inf, np.nan])
SHAPES: Final = {"n": 3.0, "p": 0.3, "kappa": 2.5, "df": 3.5, "a": 1.7, "b": 2.2, "s": 0.6, "c": 1.4, "mu": 2.3}
BAD: Final = {"n": -1.0, "p": 1.5, "kappa": -1.0, "df": 0.0, "a": -0.5, "b": 0.0, "s": -1.0, "c": 0.0, "mu": -0.5}


def shapes_of(family: Family, values: Any = SHAPES) -> list[float]:
    return [values[name] for name in family.shapes]


def log_method(family: Family) -> str:
    return "logpmf" if family.discrete else "logpdf"


def recorded(method: Any, x: Any, *parameters: Any) -> Any:
    """What a method gives where the point is a Variable; of a density the parameters are Variables, too."""
    if not method.__name__.startswith("log") or method.__name__ in ("logcdf", "logsf"):
        return recorded_by(lambda x: method(x, *parameters), x)
    return recorded_by(method, x, *map(np.float64, parameters))


def recorded_by(function: Any, *arguments: Any) -> Any:
    """The value and the derivative."""
    return tg.vjp(function, *arguments)


@pytest.mark.parametrize(
    ("method", "family"),
    [
        pytest.param(method, family, id=f"{method}-{family.name}")
        for method in ("log", "cdf", "sf", "logcdf", "logsf")
        for family in FAMILIES
        if method == "log" or family.cdf is not None  # of the others there is none in closed form
    ],
)
def test_values_within_and_beyond_the_support_are_scipys(family: Family, method: str) -> None:
    name = log_method(family) if method == "log" else method
    shapes = shapes_of(family)
    found, _ = recorded(getattr(getattr(stats, family.name), name), POINTS, *shapes)
    with np.errstate(all="ignore"):
        wanted = getattr(getattr(scipy.stats, family.name), name)(POINTS, *shapes)
    infinite = np.isinf(POINTS) & np.isnan(wanted)  # SciPy has nan where a density at infinity is 0 times infinity
    np.testing.assert_allclose(found[~infinite], wanted[~infinite], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_parameters_that_are_not_allowed_give_nan(family: Family) -> None:
    name = log_method(family)
    point = np.array([1.0, -5.0])
    for k, parameter in enumerate(family.parameters):
        if parameter == "loc":
            continue
        values = [*shapes_of(family), 0.0, 1.0][: len(family.parameters)]
        values[k] = BAD.get(parameter, -1.0)
        found, _ = recorded(getattr(getattr(stats, family.name), name), point, *values)
        wanted = getattr(getattr(scipy.stats, family.name), name)(point, *values)
        assert np.isnan(wanted).all()
        assert np.isnan(found).all(), parameter


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.lower > -np.inf], ids=lambda f: f.name)
def test_outside_the_support_the_derivative_is_0(family: Family) -> None:
    """To the point and to all parameters, first and second, also where the formula itself has none."""
    shapes = shapes_of(family)
    parameters = [*shapes, 0.0, 2.0][: len(family.parameters)]
    method = getattr(getattr(stats, family.name), log_method(family))
    constants = 1 if family.discrete else 0  # integers are no points to differentiate by
    arguments = [np.array([-3.0, -0.5]), *map(np.float64, parameters)]
    at = tuple(range(constants, len(arguments)))
    first = tg.grad(lambda *a: np.sum(method(*a)), argnums=at)(*arguments)
    second = tg.grad(
        lambda *a: sum(np.sum(g) for g in tg.grad(lambda *b: np.sum(method(*b)), argnums=at)(*a)), argnums=at
    )(*arguments)
    for g in (*first, *second):
        np.testing.assert_array_equal(g, np.zeros_like(g))


@pytest.mark.parametrize("family", [f for f in CONTINUOUS if f.ppf is not None], ids=lambda f: f.name)
def test_inverses_at_and_beyond_their_ends(family: Family) -> None:
    q = np.array([-0.1, 0.0, 0.2, 0.5, 0.9, 1.0, 1.1, np.nan])
    for method in ("ppf", "isf"):
        found, _ = recorded(getattr(getattr(stats, family.name), method), q, *shapes_of(family))
        wanted = getattr(getattr(scipy.stats, family.name), method)(q, *shapes_of(family))
        finite = np.isfinite(wanted)  # for cauchy the inverse at an end is 1 / tan(pi), large but finite
        np.testing.assert_allclose(found[finite], wanted[finite], rtol=1e-10, atol=1e-13)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_arrays_get_scipys_own(family: Family) -> None:
    ours, theirs = getattr(stats, family.name), getattr(scipy.stats, family.name)
    shapes = shapes_of(family, SHAPES | {"n": 3})
    x = np.array([1.0, 2.0])
    methods = ["cdf", "sf", "logcdf", "logsf", "pmf" if family.discrete else "pdf", log_method(family), "ppf", "isf"]
    for method in methods:
        point = x / 4 if method in ("ppf", "isf") else x
        np.testing.assert_array_equal(getattr(ours, method)(point, *shapes), getattr(theirs, method)(point, *shapes))
    assert ours.median(*shapes) == theirs.median(*shapes)
    assert ours(*shapes).median() == theirs(*shapes).median()
    np.testing.assert_array_equal(
        ours.rvs(*shapes, size=3, random_state=1), theirs.rvs(*shapes, size=3, random_state=1)
    )
    assert pickle.loads(pickle.dumps(ours)) is ours


def test_vectors_of_arrays_are_scipys() -> None:
    x = np.array([0.2, 0.3, 0.5])
    assert stats.dirichlet.logpdf(x, [1.0, 2.0, 3.0]) == scipy.stats.dirichlet.logpdf(x, [1.0, 2.0, 3.0])
    assert stats.multinomial.pmf([1, 2, 0], 3, x) == scipy.stats.multinomial.pmf([1, 2, 0], 3, x)
    assert stats.multivariate_normal.logpdf(x, x) == scipy.stats.multivariate_normal.logpdf(x, x)
    assert stats.multivariate_normal.cdf(x, x) == scipy.stats.multivariate_normal.cdf(x, x)


def test_the_rest_of_a_module_is_scipys() -> None:
    assert stats.truncnorm is scipy.stats.truncnorm
    assert "truncnorm" in dir(stats)
    assert special.errstate is scipy.special.errstate
    assert "jv" in dir(special)
    with pytest.raises(AttributeError):
        special.no_such_function  # noqa: B018
    with pytest.raises(AttributeError):
        stats.no_such_distribution  # noqa: B018


@pytest.mark.parametrize("name", ["expit", "jv", "logsumexp", "softmax", "comb", "sinc", "softplus"])
def test_special_functions_of_arrays_are_scipys(name: str) -> None:
    arguments = (np.array([3.0, 2.0]), 1.0)[: 2 if name in ("jv", "comb") else 1]
    np.testing.assert_array_equal(getattr(special, name)(*arguments), getattr(scipy.special, name)(*arguments))
    assert pickle.loads(pickle.dumps(getattr(special, name))) is getattr(special, name)


def test_ufuncs_keep_their_attributes_and_options() -> None:
    assert special.expit.nin == 1
    np.testing.assert_array_equal(special.xlogy.outer([1.0], [1.0]), [[0.0]])
    assert tg.grad(lambda x: special.expit(x, dtype=np.float64))(0.0) == 0.25
    with pytest.raises(UnsupportedError, match="where="):
        tg.grad(lambda x: special.expit(x, where=np.array(True) & False))(0.0)


def test_keywords_and_frozen_distributions() -> None:
    wanted = scipy.stats.norm.logpdf(0.5, 0.2, 3.0)
    for function in (
        lambda m: stats.norm.logpdf(0.5, loc=m, scale=3.0),
        lambda m: stats.norm.logpdf(0.5, m, scale=3.0),
        lambda m: stats.norm.logpdf(x=0.5, loc=m, scale=3.0),
        lambda m: stats.norm(m, 3.0).logpdf(0.5),
        lambda m: stats.norm(loc=m, scale=3.0).logpdf(0.5),
        lambda m: stats.norm.logpdf([0.5], [m], [3.0])[0],
    ):
        value, slope = tg.value_and_grad(function)(0.2)
        assert value == pytest.approx(wanted, rel=1e-14)
        assert slope == pytest.approx(0.3 / 9.0, rel=1e-14)
    with pytest.raises(TypeError, match="takes the parameters df, loc, scale"):
        tg.grad(lambda m: stats.t.logpdf(0.5, loc=m))(0.2)
    with pytest.raises(TypeError, match="logpdf"):
        tg.grad(lambda m: stats.norm.logpdf(0.5, m, loc=2.0))(0.2)
    with pytest.raises(TypeError, match="cdf"):
        tg.grad(lambda m: stats.norm.cdf(0.5, m, sigma=2.0))(0.2)


def test_a_point_that_is_a_number_and_a_shape_that_is_a_variable() -> None:
    assert tg.value_and_grad(lambda c: stats.pareto.logpdf(0.5, c))(2.0) == (-np.inf, 0.0)
    assert np.isnan(tg.value_and_grad(lambda c: stats.pareto.logpdf(2.0, c, scale=-1.0))(2.0)[0])
    assert tg.value_and_grad(lambda m: stats.uniform.cdf(5.0, m, 2.0))(1.0) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: special.mathieu_cem(1, 2.0, x)[0], UnsupportedError, "scipy.special.mathieu_cem"),
        (special.lambertw, UnsupportedError, "scipy.special.lambertw"),
        (lambda x: special.comb(x, 2, exact=True), UnsupportedError, "exact="),
        (lambda x: special.factorial(x, extend="complex"), UnsupportedError, "extend="),
        (lambda x: special.multigammaln(x, x), UnsupportedError, "multigammaln"),
        (lambda x: special.multigammaln(x, 0), ShapeError, "dimension"),
        (lambda x: special.polygamma(x, x), UnsupportedError, "polygamma"),
        (lambda x: stats.norm.entropy(scale=x), UnsupportedError, "scipy.stats.norm.entropy"),
        (lambda x: stats.norm(x).rvs(), UnsupportedError, "scipy.stats.norm.rvs"),
        (lambda x: stats.vonmises.cdf(x, 2.0), UnsupportedError, "scipy.stats.vonmises.cdf"),
        (lambda x: stats.poisson.ppf(x, 2.0), UnsupportedError, "scipy.stats.poisson.ppf"),
        (lambda x: stats.dirichlet.logpdf(x, np.ones((2, 2))), ShapeError, "dirichlet"),
        (lambda x: stats.multinomial.logpmf([1, 2, 3], 6, np.stack([x, 1 - x])), ShapeError, "multinomial"),
        (lambda x: stats.multivariate_normal.logpdf(np.stack([x, x]), np.zeros(3)), ShapeError, "multivariate_normal"),
        (
            lambda x: stats.multivariate_normal.logpdf(x, allow_singular=True),
            UnsupportedError,
            "allow_singular=",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(function: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tg.grad(function)(2.0)


def test_weights_of_0_and_rows_of_nothing() -> None:
    a = np.array([[-np.inf, -np.inf], [1.0, 800.0]])
    for axis, options in ((1, {}), (1, {"b": np.array([1.0, 2.0])})):
        value, back = tg.vjp(lambda a, k=axis, o=options: special.logsumexp(a, axis=k, **o), a)
        np.testing.assert_allclose(value, scipy.special.logsumexp(a, axis=axis, **options), rtol=1e-15)
        (gradient,) = np.asarray(back(np.ones(2))).reshape(1, 2, 2)
        np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
        np.testing.assert_allclose(gradient[1], [0.0, 1.0], atol=1e-300)
    x = np.array([1.0, 3.0])
    # A weight of 0 leaves even an infinite term out, but has a derivative.
    found = tg.grad(lambda b: special.logsumexp(x, b=b))(np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, [np.exp(-2.0), 1.0])
    assert tg.value_and_grad(lambda y: special.logsumexp(y, b=[0.0, 1.0])[()])(np.array([np.inf, 1.0]))[0] == 1.0


def test_masked_softmax_has_finite_derivatives() -> None:
    x = np.array([0.3, -np.inf, 1.2])
    for function in (special.softmax, lambda x: np.where(x > -np.inf, special.log_softmax(x), 0.0)):
        for k in range(3):
            assert np.isfinite(tg.grad(lambda x, f=function, k=k: f(x)[k])(x)).all()
            assert np.isfinite(tg.hessian(lambda x, f=function, k=k: f(x)[k])(x)).all()
