"""What elementwise ops are in SymPy, for real numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

Rule = Callable[..., Any]  # of the module sympy, then of the operands


def _named(names: str) -> dict[str, Rule]:
    """Functions that SymPy has under a name: "arcsin=asin", "exp"."""
    pairs = [(name, other or name) for name, _, other in (text.partition("=") for text in names.split())]
    return {name: (lambda sp, *x, other=other: getattr(sp, other)(*x)) for name, other in pairs}


def is_boolean(sp: Any, x: Any) -> bool:
    """Is an expression true or false, not a number?"""
    return isinstance(x, sp.logic.boolalg.Boolean) and not isinstance(x, sp.Expr)


def _where(sp: Any, c: Any, x: Any, y: Any) -> Any:
    if is_boolean(sp, x):
        return sp.Or(sp.And(c, x), sp.And(sp.Not(c), y))
    return sp.Piecewise((x, c), (y, True))


def _masked(sp: Any, x: Any, y: Any) -> Any:
    """x * y, and 0 where x is 0 whatever y is: a factor that is 0 in one of its cases chooses among the products."""
    if x == 0:
        return sp.Integer(0)
    factors = sp.Mul.make_args(x)
    for k, factor in enumerate(factors):
        if isinstance(factor, sp.Piecewise) and any(value == 0 for value, _ in factor.args):
            rest = sp.Mul(*factors[:k], *factors[k + 1 :], y)
            return sp.Piecewise(*((value * rest if value != 0 else 0, test) for value, test in factor.args))
    return x * y


def _as_number(sp: Any, x: Any) -> Any:
    """Booleans are 0 and 1."""
    return sp.Piecewise((1, x), (0, True)) if is_boolean(sp, x) else x


def _trunc(sp: Any, x: Any) -> Any:
    x = _as_number(sp, x)
    return x if x.is_integer else sp.sign(x) * sp.floor(sp.Abs(x))


def _normal(sp: Any, x: Any) -> Any:
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


_ARITHMETIC: Final[dict[str, Rule]] = {
    "add": lambda _, x, y: x + y,
    "subtract": lambda _, x, y: x - y,
    "multiply": lambda _, x, y: x * y,
    "masked_multiply": _masked,
    "multiply_add": lambda _, x, y, a: x * y + a,
    "multiply_subtract": lambda _, x, y, a: x * y - a,
    "subtract_multiply": lambda _, x, y, a: a - x * y,
    "divide": lambda _, x, y: x / y,
    "power": lambda _, x, y: x**y,
    "negative": lambda _, x: -x,
    "square": lambda _, x: x**2,
    "reciprocal": lambda _, x: 1 / x,
    "floor_divide": lambda sp, x, y: sp.floor(x / y),
    "remainder": lambda sp, x, y: x - y * sp.floor(x / y),
    "fmod": lambda sp, x, y: x - y * _trunc(sp, x / y),
    "copysign": lambda sp, x, y: sp.Abs(x) * sp.sign(y),
    "ldexp": lambda _, x, n: x * 2**n,
    "left_shift": lambda _, x, n: x * 2**n,
    "right_shift": lambda sp, x, n: sp.floor(x / 2**n),
    "invert": lambda _, x: -x - 1,
    "above": lambda sp, x, y: sp.Heaviside(x - y, sp.Rational(1, 2)),
    "where": _where,
    "trunc": _trunc,
    "to_float": _as_number,
    "to_int": _trunc,
    "to_bool": lambda sp, x: sp.Ne(x, 0),
    # Symbols are real numbers; constants need not be.
    "isnan": lambda sp, x: sp.true if x is sp.nan else sp.false,
    "isinf": lambda sp, x: sp.true if x in (sp.oo, -sp.oo) else sp.false,
    "isfinite": lambda sp, x: sp.false if x in (sp.oo, -sp.oo, sp.nan) else sp.true,
    "guard": lambda sp, x, y: sp.Eq(x, y),
    **_named("absolute=Abs sign maximum=Max minimum=Min fmax=Max fmin=Min floor ceil=ceiling"),
    "less": lambda sp, x, y: sp.And(sp.Not(x), y) if is_boolean(sp, x) else sp.Lt(x, y),
    "less_equal": lambda sp, x, y: sp.Or(sp.Not(x), y) if is_boolean(sp, x) else sp.Le(x, y),
    "greater": lambda sp, x, y: sp.And(x, sp.Not(y)) if is_boolean(sp, x) else sp.Gt(x, y),
    "greater_equal": lambda sp, x, y: sp.Or(x, sp.Not(y)) if is_boolean(sp, x) else sp.Ge(x, y),
    "equal": lambda sp, x, y: sp.Equivalent(x, y) if is_boolean(sp, x) else sp.Eq(x, y),
    "not_equal": lambda sp, x, y: sp.Xor(x, y) if is_boolean(sp, x) else sp.Ne(x, y),
    **_named("logical_and=And logical_or=Or logical_xor=Xor logical_not=Not"),
}

_TRANSCENDENTAL: Final[dict[str, Rule]] = {
    "exp2": lambda _, x: 2**x,
    "exp10": lambda _, x: 10**x,
    "expm1": lambda sp, x: sp.exp(x) - 1,
    "log2": lambda sp, x: sp.log(x) / sp.log(2),
    "log10": lambda sp, x: sp.log(x) / sp.log(10),
    "log1p": lambda sp, x: sp.log(1 + x),
    "logaddexp": lambda sp, x, y: sp.log(sp.exp(x) + sp.exp(y)),
    "logaddexp2": lambda sp, x, y: sp.log(2**x + 2**y) / sp.log(2),
    "cbrt": lambda sp, x: sp.sign(x) * sp.Abs(x) ** sp.Rational(1, 3),
    "hypot": lambda sp, x, y: sp.sqrt(x**2 + y**2),
    **_named("exp log sqrt sin cos tan arcsin=asin arccos=acos arctan=atan arctan2=atan2"),
    **_named("sinh cosh tanh arcsinh=asinh arccosh=acosh arctanh=atanh"),
}

_SPECIAL: Final[dict[str, Rule]] = {
    "expit": lambda sp, x: 1 / (1 + sp.exp(-x)),
    "logit": lambda sp, x: sp.log(x / (1 - x)),
    "log_expit": lambda sp, x: -sp.log(1 + sp.exp(-x)),
    "erfcx": lambda sp, x: sp.exp(x**2) * sp.erfc(x),
    "erfcinv": lambda sp, x: sp.erfinv(1 - x),
    "ndtr": _normal,
    "log_ndtr": lambda sp, x: sp.log(_normal(sp, x)),
    "ndtri": lambda sp, x: sp.sqrt(2) * sp.erfinv(2 * x - 1),
    "ndtri_exp": lambda sp, x: sp.sqrt(2) * sp.erfinv(2 * sp.exp(x) - 1),
    "dawsn": lambda sp, x: sp.sqrt(sp.pi) / 2 * sp.exp(-(x**2)) * sp.erfi(x),
    "gammaln": lambda sp, x: sp.loggamma(x),
    "gammasgn": lambda sp, x: sp.sign(sp.gamma(x)),
    "rgamma": lambda sp, x: 1 / sp.gamma(x),
    "trigamma": lambda sp, x: sp.polygamma(1, x),
    "betaln": lambda sp, a, b: sp.loggamma(a) + sp.loggamma(b) - sp.loggamma(a + b),
    "binom": lambda sp, n, k: sp.gamma(n + 1) / (sp.gamma(k + 1) * sp.gamma(n - k + 1)),
    "poch": lambda sp, x, m: sp.gamma(x + m) / sp.gamma(x),
    "gammainc": lambda sp, a, x: sp.lowergamma(a, x) / sp.gamma(a),
    "gammaincc": lambda sp, a, x: sp.uppergamma(a, x) / sp.gamma(a),
    "betainc": lambda sp, a, b, x: sp.betainc_regularized(a, b, 0, x),
    "betaincc": lambda sp, a, b, x: 1 - sp.betainc_regularized(a, b, 0, x),
    "xlogy": lambda sp, x, y: x * sp.log(y),
    "xlog1py": lambda sp, x, y: x * sp.log(1 + y),
    "entr": lambda sp, x: -x * sp.log(x),
    "rel_entr": lambda sp, x, y: x * sp.log(x / y),
    "kl_div": lambda sp, x, y: x * sp.log(x / y) - x + y,
    "exprel": lambda sp, x: (sp.exp(x) - 1) / x,
    "cosm1": lambda sp, x: sp.cos(x) - 1,
    "huber": lambda sp, d, x: sp.Piecewise((x**2 / 2, sp.Abs(x) <= d), (d * (sp.Abs(x) - d / 2), True)),
    "pseudo_huber": lambda sp, d, x: d**2 * (sp.sqrt(1 + (x / d) ** 2) - 1),
    "boxcox": lambda _, x, p: (x**p - 1) / p,
    "boxcox1p": lambda _, x, p: ((1 + x) ** p - 1) / p,
    "inv_boxcox": lambda _, x, p: (1 + x * p) ** (1 / p),
    "inv_boxcox1p": lambda _, x, p: (1 + x * p) ** (1 / p) - 1,
    "wrightomega": lambda sp, x: sp.LambertW(sp.exp(x)),
    "j0": lambda sp, x: sp.besselj(0, x),
    "j1": lambda sp, x: sp.besselj(1, x),
    "y0": lambda sp, x: sp.bessely(0, x),
    "y1": lambda sp, x: sp.bessely(1, x),
    "i0": lambda sp, x: sp.besseli(0, x),
    "i1": lambda sp, x: sp.besseli(1, x),
    "k0": lambda sp, x: sp.besselk(0, x),
    "k1": lambda sp, x: sp.besselk(1, x),
    "i0e": lambda sp, x: sp.exp(-sp.Abs(x)) * sp.besseli(0, x),
    "i1e": lambda sp, x: sp.exp(-sp.Abs(x)) * sp.besseli(1, x),
    "ive": lambda sp, v, x: sp.exp(-sp.Abs(x)) * sp.besseli(v, x),
    "k0e": lambda sp, x: sp.exp(x) * sp.besselk(0, x),
    "k1e": lambda sp, x: sp.exp(x) * sp.besselk(1, x),
    "kve": lambda sp, v, x: sp.exp(x) * sp.besselk(v, x),
    "exp1": lambda sp, x: sp.expint(1, x),
    "expn": lambda sp, n, x: sp.expint(n, x),
    "spence": lambda sp, x: sp.polylog(2, 1 - x),
    "ellipkm1": lambda sp, x: sp.elliptic_k(1 - x),
    **_named("erf erfc erfi erfinv gamma loggamma digamma zeta beta expi=Ei ellipk=elliptic_k"),
    **_named("ellipe=elliptic_e jv=besselj yv=bessely iv=besseli kv=besselk"),
}

RULES: Final[Mapping[str, Rule]] = MappingProxyType({**_ARITHMETIC, **_TRANSCENDENTAL, **_SPECIAL})


def apply(sp: Any, name: str, *operands: Any) -> Any:
    """An op of SymPy's expressions; one that SymPy does not have is an undefined function of its name."""
    rule = RULES.get(name)
    return sp.Function(name)(*operands) if rule is None else rule(sp, *operands)
