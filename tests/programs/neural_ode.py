"""A neural network as the right side of a differential equation, integrated by Runge and Kutta's method by hand."""

from itertools import pairwise

import autograd.numpy as np
from autograd import grad, jacobian, value_and_grad

TIMES = np.linspace(0.0, 1.5, 13)
TRUE = np.array([[-0.1, 2.0], [-2.0, -0.1]])


def rk4(f, y, times):
    path = [y]
    for t, following in pairwise(times):
        h = following - t
        k1 = f(y, t)
        k2 = f(y + 0.5 * h * k1, t + 0.5 * h)
        k3 = f(y + 0.5 * h * k2, t + 0.5 * h)
        k4 = f(y + h * k3, t + h)
        y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        path.append(y)
    return np.array(path)


def field(params, y, t):
    (w1, b1), (w2, b2) = params
    return np.dot(np.tanh(np.dot(y**3, w1) + b1 + 0.1 * t), w2) + b2


def loss(params, start, wanted):
    path = rk4(lambda y, t: field(params, y, t), start, TIMES)
    return np.mean((path - wanted) ** 2)


def run():
    rng = np.random.RandomState(4)
    start = np.array([[2.0, 0.0], [0.5, -1.0]])
    wanted = rk4(lambda y, t: np.dot(y**3, TRUE), 0.5 * start, TIMES)
    params = [
        (0.1 * rng.standard_normal((2, 6)), 0.1 * rng.standard_normal(6)),
        (0.1 * rng.standard_normal((6, 2)), np.zeros(2)),
    ]
    value, gradient = value_and_grad(loss)(params, 0.5 * start, wanted)
    step = grad(loss)
    for _ in range(20):
        slopes = step(params, 0.5 * start, wanted)
        params = [(w - 0.1 * dw, b - 0.1 * db) for (w, b), (dw, db) in zip(params, slopes, strict=True)]
    # Where the path ends, by where it begins.
    flow = jacobian(lambda y: rk4(lambda y, t: field(params, y, t), y, TIMES)[-1])(start[0])
    return {
        "value": value,
        "gradient": [a for layer in gradient for a in layer],
        "fitted": [a for layer in params for a in layer],
        "loss": loss(params, 0.5 * start, wanted),
        "flow": flow,
    }
