"""`plan_shapes`: what a function would cost, from shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.costs.calibration import Calibration
from tapegrad.costs.cost import Cost, cost
from tapegrad.drivers.arguments import Argnums, positions
from tapegrad.drivers.limits import MemoryLimit
from tapegrad.drivers.recorded import trace
from tapegrad.drivers.shapes import Dtype, bind_shapes
from tapegrad.passes.optimize import optimize


def plan_shapes(
    f: Callable[..., Any],
    shapes: Sequence[Any],
    *,
    argnums: Argnums = 0,
    dtype: Dtype = np.float64,
    memory_limit: MemoryLimit = None,
    calibration: Calibration | None = None,
) -> Cost:
    """What a gradient of f would cost for arguments of these shapes, none of which is made.

    It is what `record(f, *args, argnums=argnums).cost()` says for such arguments: of the value, where f does not give
    one scalar. f is recorded, and may make arrays of its own; arrays of the given shapes are not allocated.

    Args:
        f: a function written in NumPy.
        shapes: one entry for each argument of f: a shape (a tuple of integers), a `Shape` where the dtype is another,
            or a container of them nested like the argument. An array or a float stands for itself, and so does what is
            no array at all (an integer, a string).
        argnums: which arguments are parameters, as for `value_and_grad`.
        dtype: of arrays that are told by a tuple.
        memory_limit: bytes that the workspace of a gradient may take, as for `value_and_grad`: what it costs to compute
            again what is not kept.
        calibration: of another machine than this one.

    Raises:
        MemoryLimitError: less than the gradient needs.
        UnsupportedError: f asks for a value: it branches on one, or makes an index or an integer of it.
        ShapeError, DtypeError: as for `record`.

    >>> import numpy as np, tapegrad as tg
    >>> def loss(w, x, labels):
    ...     scores = x @ w
    ...     rows = np.arange(len(labels))
    ...     return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - scores[rows, labels])
    >>> cost = tg.plan_shapes(loss, ((784, 10), (60_000, 784), tg.Shape(60_000, int)))
    >>> cost.parameters, f"{cost.products:.4g}"
    (7840, '1.882e+09')
    """
    many = len(shapes) if isinstance(shapes, (tuple, list)) else 0
    arguments = bind_shapes(shapes, positions(argnums, many) if many else (), dtype)
    made = trace(f, arguments, scalar=False, floating=False)
    return cost(optimize(made.tape), scalar=made.structure is None, memory_limit=memory_limit, calibration=calibration)
