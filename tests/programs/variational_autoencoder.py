"""The lower bound of a variational autoencoder, maximized by Adam written out."""

from itertools import pairwise

import autograd.numpy as np
from autograd import grad, value_and_grad

rng = np.random.RandomState(1)
DATA, HIDDEN, CODE = 12, 8, 2


def init_layers(sizes):
    return [(0.3 * rng.standard_normal((m, n)), 0.1 * rng.standard_normal(n)) for m, n in pairwise(sizes)]


def network(layers, inputs):
    for w, b in layers:
        outputs = np.dot(inputs, w) + b
        inputs = np.maximum(outputs, 0.0) + 0.1 * np.minimum(outputs, 0.0)
    return outputs


def unpack(code_params):
    return code_params[:, :CODE], code_params[:, CODE:]


def log_normal(x, mean, log_std):
    return np.sum(-0.5 * np.log(2 * np.pi) - log_std - 0.5 * ((x - mean) / np.exp(log_std)) ** 2, axis=-1)


def log_bernoulli(x, logits):
    return -np.sum(np.logaddexp(0.0, np.where(x, -1.0, 1.0) * logits), axis=-1)


def lower_bound(params, data, noise):
    mean, log_std = unpack(network(params["encoder"], data))
    code = mean + noise * np.exp(log_std)
    prior = log_normal(code, 0.0, np.zeros(CODE))
    likelihood = log_bernoulli(data > 0.5, network(params["decoder"], code))
    return np.mean(likelihood + prior - log_normal(code, mean, log_std))


def adam(gradient, params, steps, rate=0.02):
    flat = [a for side in ("encoder", "decoder") for layer in params[side] for a in layer]
    m, v = [np.zeros_like(a) for a in flat], [np.zeros_like(a) for a in flat]
    for k in range(steps):
        g = gradient(params, k)
        slopes = [a for side in ("encoder", "decoder") for layer in g[side] for a in layer]
        for i, (a, s) in enumerate(zip(flat, slopes, strict=True)):
            m[i] = 0.9 * m[i] + 0.1 * s
            v[i] = 0.999 * v[i] + 0.001 * s**2
            a += rate * (m[i] / (1 - 0.9 ** (k + 1))) / (np.sqrt(v[i] / (1 - 0.999 ** (k + 1))) + 1e-8)
    return params


def run():
    rng.seed(1)
    data = (rng.uniform(size=(20, DATA)) > 0.6).astype(float)
    noise = rng.standard_normal((40, 20, CODE))
    params = {"encoder": init_layers([DATA, HIDDEN, 2 * CODE]), "decoder": init_layers([CODE, HIDDEN, DATA])}
    value, gradient = value_and_grad(lower_bound)(params, data, noise[0])
    bound_gradient = grad(lower_bound)
    fitted = adam(lambda p, k: bound_gradient(p, data, noise[k]), params, 25)
    return {
        "value": value,
        "gradient": [a for side in ("decoder", "encoder") for layer in gradient[side] for a in layer],
        "fitted": [a for side in ("decoder", "encoder") for layer in fitted[side] for a in layer],
        "bound": lower_bound(fitted, data, noise[-1]),
    }
