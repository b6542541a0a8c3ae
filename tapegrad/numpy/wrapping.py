"""NumPy's functions and ufuncs that record where a Variable is among their arguments, also within lists."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.record.functions.common import find_variable, lift, recorder_of


def named(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate what stands for NumPy's function with its name and documentation."""

    def decorate(call: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(call, function)
        call.__module__ = "tapegrad.numpy"
        return call

    return decorate


def recording(function: Callable[..., Any], recorded: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's function for arrays, `recorded` where an argument is a Variable or a list of them."""

    @named(function)
    def call(*arguments: Any, **options: Any) -> Any:
        for value in (*arguments, *options.values()):
            if find_variable(value) is not None:
                return recorded(*arguments, **options)
        return function(*arguments, **options)

    return call


class RecordingUfunc:
    """One of NumPy's ufuncs that takes lists of Variables, too. Its methods and attributes are the ufunc's own."""

    __name__: str

    def __init__(self, ufunc: np.ufunc, recorded: Callable[..., Any]) -> None:
        functools.update_wrapper(self, ufunc)
        self.__module__ = "tapegrad.numpy"
        self._ufunc = ufunc
        self._recorded = recorded

    def __call__(self, *operands: Any, **options: Any) -> Any:
        """The ufunc of the operands."""
        if find_variable(operands) is None:
            return self._ufunc(*operands, **options)
        if not options:
            return self._recorded(*operands)
        recorder = recorder_of(operands)
        lifted = [lift(recorder, x) if find_variable(x) is not None else x for x in operands]
        return self._ufunc(*lifted, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "_ufunc":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self._ufunc, name)

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __reduce__(self) -> str:
        return self.__name__
