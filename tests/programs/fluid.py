"""Smoke in a periodic box: what wind, at the beginning, blows it into a wanted shape? By gradients through time."""

import autograd.numpy as np
from autograd import value_and_grad
from scipy.optimize import minimize

ROWS, COLUMNS, STEPS = 8, 9, 6


def project(vx, vy):
    """Take the divergence out, by a few rounds of Jacobi's method."""
    div = -0.5 * (np.roll(vx, -1, axis=1) - np.roll(vx, 1, axis=1) + np.roll(vy, -1, axis=0) - np.roll(vy, 1, axis=0))
    p = np.zeros(vx.shape)
    for _ in range(6):
        around = np.roll(p, 1, axis=1) + np.roll(p, -1, axis=1) + np.roll(p, 1, axis=0) + np.roll(p, -1, axis=0)
        p = (div + around) / 4.0
    vx = vx - 0.5 * (np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1))
    vy = vy - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0))
    return vx, vy


def advect(f, vx, vy):
    """Upwind: smooth in the wind, as far as np.maximum is."""
    right, left = np.maximum(vx, 0.0), np.minimum(vx, 0.0)
    down, up = np.maximum(vy, 0.0), np.minimum(vy, 0.0)
    change = right * (f - np.roll(f, 1, axis=1)) + left * (np.roll(f, -1, axis=1) - f)
    change = change + down * (f - np.roll(f, 1, axis=0)) + up * (np.roll(f, -1, axis=0) - f)
    return f - 0.5 * change


def simulate(vx, vy, smoke):
    for _ in range(STEPS):
        fx, fy = advect(vx, vx, vy), advect(vy, vx, vy)
        vx, vy = project(fx, fy)
        smoke = advect(smoke, vx, vy)
    return smoke


def run():
    rng = np.random.RandomState(3)
    smoke = np.zeros((ROWS, COLUMNS))
    smoke[2:5, 2:5] = 1.0
    wanted = np.roll(smoke, (1, 2), axis=(0, 1))

    def loss(params):
        vx, vy = params.reshape(2, ROWS, COLUMNS)
        return np.mean((simulate(vx, vy, smoke) - wanted) ** 2)

    start = 0.1 * rng.standard_normal(2 * ROWS * COLUMNS)
    value, gradient = value_and_grad(loss)(start)
    found = minimize(value_and_grad(loss), start, jac=True, method="CG", options={"maxiter": 4})
    return {"value": value, "gradient": gradient, "fitted": (found.x, 1e-6), "loss": (found.fun, 1e-6)}
