"""tapegrad: exact gradients of NumPy code, fast, on a CPU.

A function is recorded once to a flat Wengert tape; numba-compiled kernels run the forward and the reverse
sweep over it as often as wanted.

>>> import numpy as np
>>> import tapegrad as tg
>>> def loss(w, x, y):
...     return np.mean((x @ w - y) ** 2)
>>> value, gradient = tg.value_and_grad(loss)(np.zeros(2), np.eye(2), np.ones(2))
>>> float(value), gradient
(1.0, array([-1., -1.]))
"""

from tapegrad import optimizers
from tapegrad.costs.calibration import Calibration, calibrate
from tapegrad.costs.cost import Cost
from tapegrad.costs.plan import plan_shapes
from tapegrad.custom.elementwise import elementwise
from tapegrad.custom.primitive import primitive
from tapegrad.drivers.check import check_grad
from tapegrad.drivers.compressed import sparse_hessian, sparse_jacobian
from tapegrad.drivers.gradient import grad, value_and_grad
from tapegrad.drivers.jacobian import hessian, jacobian
from tapegrad.drivers.points import batch
from tapegrad.drivers.pullback import vjp
from tapegrad.drivers.pushforward import hvp, jvp
from tapegrad.drivers.shapes import Shape
from tapegrad.drivers.stop import stop_gradient
from tapegrad.explanation.explain import Explanation, explain
from tapegrad.files.difference import Difference, diff
from tapegrad.fitting.fit import fit
from tapegrad.fitting.least_squares import least_squares
from tapegrad.fitting.minimize import minimize
from tapegrad.fitting.result import FitResult
from tapegrad.formulas.symbolic import Symbolic
from tapegrad.info import Info, info
from tapegrad.pictures.picture import Picture
from tapegrad.recorded.fixed import FixedTape
from tapegrad.recorded.load import load
from tapegrad.recorded.record import RecordedFunction, record
from tapegrad.recorded.symbolic import symbolic
from tapegrad.sweep.threads import num_threads, set_num_threads
from tapegrad.tape import Tape
from tapegrad.touched import TouchedRows
from tapegrad.version import __version__

__all__ = [
    "Calibration",
    "Cost",
    "Difference",
    "Explanation",
    "FitResult",
    "FixedTape",
    "Info",
    "Picture",
    "RecordedFunction",
    "Shape",
    "Symbolic",
    "Tape",
    "TouchedRows",
    "__version__",
    "batch",
    "calibrate",
    "check_grad",
    "diff",
    "elementwise",
    "explain",
    "fit",
    "grad",
    "hessian",
    "hvp",
    "info",
    "jacobian",
    "jvp",
    "least_squares",
    "load",
    "minimize",
    "num_threads",
    "optimizers",
    "plan_shapes",
    "primitive",
    "record",
    "set_num_threads",
    "sparse_hessian",
    "sparse_jacobian",
    "stop_gradient",
    "symbolic",
    "value_and_grad",
    "vjp",
]
