"""A Gaussian process: its hyperparameters by the marginal likelihood, its posterior by Cholesky factors."""

import autograd.numpy as np
from autograd import grad, value_and_grad
from scipy.optimize import minimize

rng = np.random.RandomState(0)
inputs = np.sort(rng.uniform(-3.0, 3.0, 18))
targets = np.sin(2.0 * inputs) + 0.1 * rng.standard_normal(18)
places = np.linspace(-3.5, 3.5, 7)


def kernel(params, a, b):
    scale, length = np.exp(params[0]), np.exp(params[1])
    return scale * np.exp(-0.5 * ((a[:, None] - b[None, :]) / length) ** 2)


def covariance(params):
    return kernel(params, inputs, inputs) + (np.exp(params[2]) + 1e-8) * np.eye(len(inputs))


def by_cholesky(params):
    factor = np.linalg.cholesky(covariance(params))
    half = np.linalg.solve(factor, targets)
    return 0.5 * np.dot(half, half) + np.sum(np.log(np.diag(factor))) + 0.5 * len(targets) * np.log(2 * np.pi)


def by_slogdet(params):
    matrix = covariance(params)
    _, logdet = np.linalg.slogdet(matrix)
    return 0.5 * (targets @ np.linalg.solve(matrix, targets) + logdet + len(targets) * np.log(2 * np.pi))


def posterior_mean(params):
    return np.dot(kernel(params, places, inputs), np.linalg.solve(covariance(params), targets))


def run():
    start = np.array([0.1, -0.2, -1.5])
    value, gradient = value_and_grad(by_cholesky)(start)
    other, other_gradient = value_and_grad(by_slogdet)(start)
    fitted = minimize(value_and_grad(by_cholesky), start, jac=True, method="L-BFGS-B", options={"maxiter": 30})
    # How the mean at one place hangs on the hyperparameters.
    sensitivity = grad(lambda p: np.sum(posterior_mean(p) * np.arange(7.0)))(fitted.x)
    return {
        "value": value,
        "gradient": gradient,
        "other": other,
        "other gradient": other_gradient,
        "fitted": (fitted.x, 1e-5),
        "likelihood": fitted.fun,
        "mean": (posterior_mean(fitted.x), 1e-5),
        "sensitivity": (sensitivity, 1e-3),
    }
