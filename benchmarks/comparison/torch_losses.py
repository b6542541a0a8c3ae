"""The losses in PyTorch, as one who knows PyTorch writes them: its fused functions are used where it has one."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy, mse_loss


def transcendental(x: Any) -> Any:
    """A sum of transcendental terms."""
    return torch.sum(torch.sin(x) * torch.exp(-x * x) + torch.log(1 + x * x) * torch.tanh(x))


def rosenbrock(x: Any) -> Any:
    """Rosenbrock's function in any number of dimensions."""
    return torch.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def total_variation(image: Any, noisy: Any) -> Any:
    """Denoising by the smoothed total variation of an image."""
    dx = image[1:, :-1] - image[:-1, :-1]
    dy = image[:-1, 1:] - image[:-1, :-1]
    return torch.sum(torch.sqrt(dx**2 + dy**2 + 1e-3)) + 0.5 * torch.sum((image - noisy) ** 2)


def softmax_regression(p: Any, x: Any, labels: Any) -> Any:
    """Mean cross entropy of a linear classifier with weight decay."""
    return cross_entropy(torch.addmm(p["b"], x, p["w"]), labels) + 1e-3 * torch.sum(p["w"] ** 2)


def network(layers: Any, x: Any, targets: Any) -> Any:
    """Mean squared error of a fully connected network with tanh."""
    for weights, bias in layers[:-1]:
        x = torch.tanh(torch.addmm(bias, x, weights))
    weights, bias = layers[-1]
    return mse_loss(torch.addmm(bias, x, weights), targets)


def factorisation(p: Any, users: Any, items: Any, ratings: Any) -> Any:
    """Matrix factorisation: squared errors of ratings from gathered rows, with weight decay."""
    u, v = p["users"], p["items"]
    predicted = torch.sum(torch.index_select(u, 0, users) * torch.index_select(v, 0, items), dim=1)
    return torch.sum((predicted - ratings) ** 2) + 0.05 * (torch.sum(u**2) + torch.sum(v**2))


def mixture(p: Any, x: Any, lower: Any, eye: Any) -> Any:
    """Negative log likelihood of a Gaussian mixture with full covariances."""
    factors = p["factors"] * lower + torch.exp(p["logs"])[:, :, None] * eye
    centred = x - p["means"][:, None, :]
    whitened = centred @ factors.transpose(1, 2)
    terms = (p["weights"] + torch.sum(p["logs"], dim=1))[:, None] - 0.5 * torch.sum(whitened**2, dim=2)
    return len(x) * torch.logsumexp(p["weights"], dim=-1) - torch.sum(torch.logsumexp(terms, dim=0))


def poisson_regression(p: Any, x: Any, counts: Any) -> Any:
    """Mean negative log likelihood of counts, but for a constant."""
    z = x @ p["w"] + p["b"]
    return torch.mean(torch.exp(z) - counts * z)


def lotka_volterra(p: Any, steps: int) -> Any:
    """Predators and prey by Euler's method."""
    a, b, c, d, prey, predators = p
    h = 0.005
    for _ in range(steps):
        met = prey * predators
        prey, predators = prey + h * (a * prey - b * met), predators + h * (d * met - c * predators)
    return prey * prey + predators


def small_arrays(x: Any) -> Any:
    """Forty operations on small arrays."""
    y = x
    for _ in range(13):
        y = y + torch.sin(x * y)
    return torch.sum(y)
