"""`scipy.special`, with functions that record where they are given Variables, also within lists.

All of `scipy.special` is here. Of its functions those that tapegrad has a rule for record; the others raise
`UnsupportedError` where they are given a Variable. SciPy is imported when one is first called on arrays, or asked for
its attributes.

>>> import numpy as np, tapegrad as tg
>>> from tapegrad.scipy import special
>>> tg.grad(special.logsumexp)(np.array([1000.0, 1000.0]))
array([0.5, 0.5])
>>> special.expit(0.0)
np.float64(0.5)
"""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from typing import Any

import numpy as np

from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.functions.common import find_variable, lift, recorder_of
from tapegrad.record.refusal import unsupported


class SpecialFunction:
    """A function of `scipy.special` by its name: SciPy's for arrays; it records where it is given a Variable.

    Attributes and methods are those of SciPy's function, which is looked up when it is needed.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = __name__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What SciPy's function gives."""
        held = (*arguments, *options.values())
        if find_variable(held) is None:
            return _scipy(self.__name__)(*arguments, **options)
        recorder = recorder_of(held)
        lifted = [lift(recorder, x) if find_variable(x) is not None else x for x in arguments]
        recorded = FUNCTIONS.get(self.__name__)
        if recorded is None:  # functions of NumPy's, such as sinc, are there, too
            recorded = FUNCTIONS.get(_scipy(self.__name__))
        if recorded is None:
            name = f"scipy.special.{self.__name__}"
            raise unsupported(name, "a Variable", "a function that tapegrad knows", recorder)
        function = _scipy(self.__name__) if options else None
        return function(*lifted, **options) if isinstance(function, np.ufunc) else recorded(*lifted, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_scipy(self.__name__), name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_scipy(self.__name__))

    def __repr__(self) -> str:
        return f"<scipy.special.{self.__name__}, recording>"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return _function, (self.__name__,)


def _scipy(name: str) -> Any:
    return getattr(importlib.import_module("scipy.special"), name)


@cache
def _function(name: str) -> SpecialFunction:
    return SpecialFunction(name)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in FUNCTIONS and not name.startswith("_"):
        return _function(name)
    found = _scipy(name)
    return _function(name) if callable(found) and not isinstance(found, type) else found


def __dir__() -> list[str]:
    return dir(importlib.import_module("scipy.special"))
