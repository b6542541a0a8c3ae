"""NumPy's functions and ufuncs that record where a Variable is among their arguments, also within lists."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tapegrad.errors import ComplexError
from tapegrad.record.constants import watch
from tapegrad.record.current import CURRENT
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.functions.common import find_variable, lift, recorder_of
from tapegrad.record.functions.known import Known, computed, known
from tapegrad.record.variable import Variable


class RecordingFunction:
    """NumPy's function for arrays, `recorded` where an argument is a Variable or holds one.

    It is an object, as NumPy's own functions are, of the same name and documentation, and pickled by its name.
    """

    def __init__(self, function: Callable[..., Any], recorded: Callable[..., Any], module: str) -> None:
        self.__name__ = self.__qualname__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = module
        self._function = function
        self._recorded = recorded

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What NumPy's function gives."""
        found = find_variable(arguments)
        if found is None and options:
            found = find_variable(tuple(options.values()))
        if found is None:
            return self._plain(*arguments, **options)
        if isinstance(found, Known):
            return computed(found, self._function, arguments, options)
        try:
            return self._record(*arguments, **options)
        except ComplexError:
            recorded = FUNCTIONS.get(("complex", self._function))
            if recorded is None:
                raise
            return recorded(*arguments, **options)

    def _plain(self, *arguments: Any, **options: Any) -> Any:
        return self._function(*arguments, **options)

    def _record(self, *arguments: Any, **options: Any) -> Any:
        out = options.get("out")
        if isinstance(out, Variable):
            return out.__array_function__(self._function, (), arguments, options)
        return self._recorded(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function)

    def __repr__(self) -> str:
        return repr(self._function)

    def __reduce__(self) -> str:
        return self.__name__


class MakingFunction(RecordingFunction):
    """A function that makes an array of nothing: in a recording, one that Variables can be assigned to."""

    def _plain(self, *arguments: Any, **options: Any) -> Any:
        made = self._function(*arguments, **options)
        recorder = CURRENT.get()
        if recorder is None or any(made is x or getattr(made, "base", None) is x for x in arguments if x is not None):
            return made
        watch(recorder, *arguments)
        return known(recorder, made)


class RecordingUfunc(RecordingFunction):
    """A ufunc that takes lists of Variables, too. Its methods and attributes are the ufunc's own."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """The ufunc of the operands."""
        found = find_variable(arguments)
        if found is None or isinstance(found, Known):
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


def recording(
    namespace: ModuleType, table: Mapping[Any, Any], module: str, making: Collection[Any] = ()
) -> dict[str, RecordingFunction]:
    """A wrapper for each public name of a module of NumPy's that stands for a function which can be recorded.

    Args:
        namespace: NumPy's module.
        table: what records each of its functions.
        module: the name of the module that is to hold the wrappers.
        making: those of the functions that make an array of nothing.
    """
    wrappers: dict[Any, RecordingFunction] = {}
    found = {}
    for name, function in vars(namespace).items():
        if name.startswith("_") or not callable(function) or function not in table:
            continue
        if function not in wrappers:
            form: type[RecordingFunction] = RecordingUfunc if isinstance(function, np.ufunc) else RecordingFunction
            form = MakingFunction if function in making else form
            wrappers[function] = form(function, table[function], module)
        found[name] = wrappers[function]
    return found
