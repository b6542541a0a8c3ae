"""NumPy's functions and ufuncs that record where a Variable is among their arguments, also within lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.record.functions.common import find_variable, lift, recorder_of


class RecordingFunction:
    """NumPy's function for arrays, `recorded` where an argument is a Variable or holds one.

    It is an object, as NumPy's own functions are, of the same name and documentation, and pickled by its name.
    """

    def __init__(self, function: Callable[..., Any], recorded: Callable[..., Any]) -> None:
        self.__name__ = self.__qualname__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = "tapegrad.numpy"
        self._function = function
        self._recorded = recorded

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What NumPy's function gives."""
        if find_variable(arguments) is None and (not options or find_variable(tuple(options.values())) is None):
            return self._function(*arguments, **options)
        return self._recorded(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    def __repr__(self) -> str:
        return repr(self._function)

    def __reduce__(self) -> str:
        return self.__name__


class RecordingUfunc(RecordingFunction):
    """A ufunc that takes lists of Variables, too. Its methods and attributes are the ufunc's own."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The ufunc of the operands."""
        if find_variable(arguments) is None:
            return self._function(*arguments, **options)
        if not options:
            return self._recorded(*arguments)
        recorder = recorder_of(arguments)
        lifted = [lift(recorder, x) if find_variable(x) is not None else x for x in arguments]
        return self._function(*lifted, **options)

    def __getattr__(self, name: str) -> Any:
        if name == "_function":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self._function, name)


def wrapped(function: Callable[..., Any], recorded: Callable[..., Any]) -> RecordingFunction:
    """NumPy's function or ufunc so that it records."""
    form = RecordingUfunc if isinstance(function, np.ufunc) else RecordingFunction
    return form(function, recorded)
