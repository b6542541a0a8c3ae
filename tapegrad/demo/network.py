"""The network, in ordinary NumPy: nothing here knows that it will be differentiated."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.demo.digits import CLASSES, SIDE, Floats, Ints

Parameters: TypeAlias = dict[str, Floats]

PIXELS: Final = SIDE * SIDE
HIDDEN: Final = 128
DECAY: Final = 1e-3  # of the weights: the factor of their squares in the loss


def start(rng: np.random.Generator) -> Parameters:
    """Parameters to start from: weights that keep the variance of what goes through them, biases of 0."""
    return {
        "w1": rng.normal(size=(PIXELS, HIDDEN)) * np.sqrt(2 / PIXELS),
        "b1": np.zeros(HIDDEN),
        "w2": rng.normal(size=(HIDDEN, CLASSES)) * np.sqrt(1 / HIDDEN),
        "b2": np.zeros(CLASSES),
    }


def scores(params: Parameters, images: Floats) -> Floats:
    """One row of ten scores an image; the largest is the network's guess."""
    hidden = np.maximum(images @ params["w1"] + params["b1"], 0)
    return hidden @ params["w2"] + params["b2"]


def cross_entropy(params: Parameters, images: Floats, labels: Ints) -> Any:
    """Mean of -log of the probability that the network gives to the right class."""
    raw = scores(params, images)
    shifted = raw - np.max(raw, axis=1, keepdims=True)
    right = shifted[np.arange(len(labels)), labels]
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - right)


def loss(params: Parameters, images: Floats, labels: Ints) -> Any:
    """What is made small: the cross-entropy, and a little of the squares of the weights."""
    squares = np.sum(params["w1"] ** 2) + np.sum(params["w2"] ** 2)
    return cross_entropy(params, images, labels) + DECAY / 2 * squares


def guesses(params: Parameters, images: Floats) -> Ints:
    """The class of the largest score of each image."""
    found: Ints = np.argmax(scores(params, images), axis=1)
    return found
