"""A function run by the compiled sweep: recorded at the first call, as its gradient would be."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np

from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.gradient import keyworded
from tapegrad.drivers.inner import outer_recorder, recorder_in
from tapegrad.drivers.recorded import VALUE, Recorded
from tapegrad.errors import LeakedVariableError
from tapegrad.record.recorder import Recorder
from tapegrad.trees import map_leaves, unflatten


def evaluated(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function of arrays whose calls are sweeps; within a recorded function it records."""
    plain, named = Recorded(f, VALUE), Recorded(keyworded(f), VALUE)

    def function(*args: Any, **keywords: Any) -> Any:
        recorded, given = (named, (*args, keywords)) if keywords else (plain, args)
        path, outputs = recorded.again(given)
        if path is not None:
            return path.value(outputs)
        if recorder_in(args, keywords) is not None:
            return f(*args, **keywords)
        try:
            arguments = bind(given, ())
            results, recording = recorded.run(arguments, search=outputs)
        except LeakedVariableError as error:
            return _within(outer_recorder(error), f, args, keywords)
        recorded.remember(Path.of_value(arguments, recording))
        return unflatten(recording.result, [r[()] if r.ndim == 0 else r for r in results])

    update_wrapper(function, f)
    return function


def _within(outer: Recorder, f: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Of plain values, where the function meets Variables of a recording that it is within."""

    def constant(leaf: Any) -> Any:
        return outer.lift(leaf) if isinstance(leaf, (np.ndarray, np.generic, float)) else leaf

    return f(*map_leaves(constant, args), **map_leaves(constant, keywords))
