"""Calls of ufuncs that are more than a call: methods, keywords, and SciPy's ufuncs, which are known by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.constants import replace
from tapegrad.record.functions.elementwise import where
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_SPECIAL: Final = ("scipy.special", "scipy.special._ufuncs")
_HARMLESS: Final = frozenset({"casting", "order", "subok"})


def call(recorder: Recorder, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """`ufunc(*inputs, **options)`, or one of its methods, where a Variable is among the inputs."""
    key = ufunc if method == "__call__" else (ufunc, method)
    function = recorder.functions.get(key) or (_special(recorder, ufunc) if method == "__call__" else None)
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    if function is None:
        _refuse(recorder, name, "a Variable", "a function that tapegrad knows")
    out = options.pop("out", (None,))
    if method == "__call__":
        return _called(recorder, ufunc, function, inputs, out, options)
    if out[0] is not None:
        _refuse(recorder, name, "out=", "a call without it")
    return function(*inputs, **options)


def _special(recorder: Recorder, ufunc: np.ufunc) -> Callable[..., Any] | None:
    """What runs for a ufunc of scipy.special; those are known by name, because importing them is slow."""
    ours = any([getattr(sys.modules.get(module), ufunc.__name__, None) is ufunc for module in _SPECIAL])
    return recorder.functions.get(ufunc.__name__) if ours else None


def _called(
    recorder: Recorder,
    ufunc: np.ufunc,
    function: Callable[..., Any],
    inputs: tuple[Any, ...],
    out: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """A call with keywords.

    The array that an in-place operator, or a call with `where=`, would write into cannot hold a Variable: the result
    is a new one, and the array is not to be used again (`record/constants.py`).
    """
    if ufunc.signature is not None and out[0] is None:
        return function(*inputs, **options)
    name, chosen, dtype = ufunc.__name__, options.pop("where", True), options.pop("dtype", None)
    if chosen is not True and out[0] is None:
        _refuse(recorder, name, "where= without out=", "np.where(condition, result, other): the rest has no value here")
    target_fits = len(out) == 1 and isinstance(out[0], np.ndarray) and (out[0] is inputs[0] or chosen is not True)
    if out[0] is not None and not target_fits:
        _refuse(recorder, name, "out=", "a call without it")
    if dtype is not None and np.dtype(dtype) != recorder.dtype:
        _refuse(recorder, name, f"dtype={np.dtype(dtype)}", f"{recorder.dtype}, the dtype of the tape")
    if set(options) - _HARMLESS:
        _refuse(recorder, name, f"keywords {sorted(options)}", "a call without them")
    if dtype is not None:
        inputs = tuple(recorder.cast(recorder.lift(v), FLOAT) for v in inputs)
    result = function(*inputs)
    return result if out[0] is None else _written(recorder, name, result, out[0], chosen)


def _written(recorder: Recorder, name: str, result: Variable, target: Any, chosen: Any) -> Variable:
    """What would be in the target after the call."""
    if chosen is not True:
        result = where(chosen, result, recorder.lift(target))
    if result.shape != target.shape:
        found = f"out= of shape {target.shape} for a result of shape {result.shape}"
        raise ShapeError(describe(name, found=found, wanted="one shape", line=recorder.line()))
    replace(recorder, target, name)
    return result


def _refuse(recorder: Recorder, name: str, found: str, wanted: str) -> NoReturn:
    raise unsupported(name, found, wanted, recorder)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType({"__array_ufunc__": call})
