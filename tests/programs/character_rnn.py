"""A recurrent network that learns to spell: its loss through time, a few steps of descent, what it says next."""

import autograd.numpy as np
from autograd import value_and_grad

TEXT = "the quick brown fox jumps over the lazy dog "
LETTERS = sorted(set(TEXT))
STATE = 10


def one_hot(text):
    return np.array([[float(letter == c) for c in LETTERS] for letter in text])


def concat_and_multiply(weights, *args):
    return np.dot(np.hstack((*args, np.ones((args[0].shape[0], 1)))), weights)


def predict(params, inputs):
    hidden = np.dot(np.ones((inputs.shape[1], 1)), params["start"])
    outputs = []
    for letters in inputs:
        hidden = np.tanh(concat_and_multiply(params["change"], letters, hidden))
        scores = concat_and_multiply(params["predict"], hidden)
        top = np.max(scores, axis=1, keepdims=True)
        outputs.append(scores - top - np.log(np.sum(np.exp(scores - top), axis=1, keepdims=True)))
    return outputs


def loss(params, inputs, targets):
    total = 0.0
    for t, output in enumerate(predict(params, inputs)):
        total -= np.sum(output * targets[t])
    return total / (targets.shape[0] * targets.shape[1])


def windows():
    """Sequences of ten letters, along axis 0, and those that follow: (time, sequence, letter)."""
    text = one_hot(TEXT)
    starts = np.arange(0, len(TEXT) - 11, 5)
    pieces = np.stack([text[s : s + 11] for s in starts], axis=1)
    return pieces[:-1], pieces[1:]


def run():
    rng = np.random.RandomState(2)
    inputs, targets = windows()
    n = len(LETTERS)
    params = {
        "start": 0.1 * rng.standard_normal((1, STATE)),
        "change": 0.3 * rng.standard_normal((n + STATE + 1, STATE)),
        "predict": 0.3 * rng.standard_normal((STATE + 1, n)),
    }
    step = value_and_grad(loss)
    first, gradient = step(params, inputs, targets)
    losses = []
    for _ in range(15):
        value, slopes = step(params, inputs, targets)
        losses.append(value)
        params = {name: params[name] - 0.5 * slopes[name] for name in params}
    last = np.array(predict(params, inputs)[-1])
    return {
        "first": first,
        "gradient": [gradient[name] for name in sorted(gradient)],
        "losses": np.array(losses),
        "params": [params[name] for name in sorted(params)],
        "next": last,
    }
