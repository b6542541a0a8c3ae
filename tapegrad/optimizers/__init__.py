"""Optimisers: how parameters are changed, given a gradient.

`tapegrad.fit` takes any of them. They also work by themselves, as pairs of pure functions:

>>> import numpy as np, tapegrad as tg
>>> gradient = tg.grad(lambda p: np.sum((p["x"] - 3.0) ** 2))
>>> params = {"x": np.zeros(2)}
>>> sgd = tg.optimizers.SGD(rate=0.1, momentum=0.5)
>>> state = sgd.init(params)
>>> for _ in range(60):
...     params, state = sgd.update(params, gradient(params), state)
>>> params["x"].round(6)
array([3., 3.])
"""

from tapegrad.optimizers.adagrad import Adagrad
from tapegrad.optimizers.adam import Adam, AdamW
from tapegrad.optimizers.conjugate_gradients import ConjugateGradients
from tapegrad.optimizers.gauss_newton import GaussNewton, LevenbergMarquardt
from tapegrad.optimizers.lbfgs import LBFGS
from tapegrad.optimizers.minimizer import Minimizer, descend
from tapegrad.optimizers.newton import NewtonCG
from tapegrad.optimizers.optimizer import Optimizer, State
from tapegrad.optimizers.problem import Problem
from tapegrad.optimizers.residuals import Residuals
from tapegrad.optimizers.rmsprop import RMSProp
from tapegrad.optimizers.schedules import Cosine, Exponential, Steps, Warmup
from tapegrad.optimizers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "ConjugateGradients",
    "Cosine",
    "Exponential",
    "GaussNewton",
    "LevenbergMarquardt",
    "Minimizer",
    "NewtonCG",
    "Optimizer",
    "Problem",
    "RMSProp",
    "Residuals",
    "State",
    "Steps",
    "Warmup",
    "descend",
]
