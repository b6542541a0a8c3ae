"""BERT in plain NumPy: an encoder with its two losses of pre-training.

Devlin, Chang, Lee, Toutanova, BERT: Pre-training of deep bidirectional transformers (2019). The parameters are those
of the encoder and its pooler; both losses score by embeddings that are there (as the paper does for words).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Tree = Any  # nested dicts and lists


@dataclass(frozen=True, slots=True)
class Size:
    """How large a BERT is; `inner` is 4 times the width, as in all of the paper's."""

    layers: int
    width: int
    heads: int
    words: int = 30522
    places: int = 512

    @property
    def inner(self) -> int:
        """Width of the layers between."""
        return 4 * self.width


SIZES: Final = {
    "tiny": Size(2, 128, 2),
    "mini": Size(4, 256, 4),
    "base": Size(12, 768, 12),
    "large": Size(24, 1024, 16),
}


# --- the model


def normalised(x: Any, p: Tree) -> Any:
    """Layer normalisation."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    spread = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(spread + 1e-12) * p["scale"] + p["shift"]


def dense(x: Any, p: Tree) -> Any:
    """An affine map."""
    return x @ p["w"] + p["b"]


def gelu(x: Any) -> Any:
    """x times the normal distribution function of x, by the tanh that approximates it."""
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def softmax(x: Any) -> Any:
    """Shares of the last axis."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def attention(x: Any, p: Tree, heads: int) -> Any:
    """Each place looks at all places, once a head."""
    rows, length, width = x.shape
    shape = (rows, length, heads, width // heads)
    query, key, value = (dense(x, p[name]).reshape(shape) for name in ("query", "key", "value"))
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / np.sqrt(width // heads)
    seen = np.einsum("bhqk,bkhd->bqhd", softmax(scores), value)
    return dense(seen.reshape(x.shape), p["out"])


def encoded(p: Tree, words: Any, parts: Any, heads: int) -> Any:
    """The encoder: a vector for each word of each row."""
    e = p["embeddings"]
    x = e["words"][words] + e["places"][: words.shape[1]] + e["parts"][parts]
    x = normalised(x, e["norm"])
    for layer in p["layers"]:
        x = normalised(x + attention(x, layer["attention"], heads), layer["norm_1"])
        x = normalised(x + dense(gelu(dense(x, layer["in"])), layer["out"]), layer["norm_2"])
    return x


def cross_entropy(scores: Any, answers: Any) -> Any:
    """Mean negative log likelihood of the answers."""
    top = np.max(scores, axis=-1, keepdims=True)
    total = np.log(np.sum(np.exp(scores - top), axis=-1)) + top[..., 0]
    return np.mean(total - np.take_along_axis(scores, answers[..., None], axis=-1)[..., 0])


def loss(p: Tree, words: Any, parts: Any, hidden: Any, answers: Any, follows: Any, heads: int) -> Any:
    """Both losses: which words were hidden, at the places `hidden` of each row, and is the second part the next one?"""
    x = encoded(p, words, parts, heads)
    at = np.take_along_axis(x, hidden[:, :, None], axis=1)
    by_word = cross_entropy(at @ p["embeddings"]["words"].T, answers)
    pooled = np.tanh(dense(x[:, 0], p["pooler"]))
    return by_word + cross_entropy(pooled @ p["embeddings"]["parts"].T, follows)


# --- its arguments


def parameters(size: Size) -> Tree:
    """The parameters' shapes."""
    n, inner = size.width, size.inner

    def affine(a: int, b: int) -> Tree:
        return {"w": (a, b), "b": (b,)}

    norm = {"scale": (n,), "shift": (n,)}
    layer = {
        "attention": {name: affine(n, n) for name in ("query", "key", "value", "out")},
        "norm_1": norm,
        "in": affine(n, inner),
        "out": affine(inner, n),
        "norm_2": norm,
    }
    embeddings = {"words": (size.words, n), "places": (size.places, n), "parts": (2, n), "norm": norm}
    return {"embeddings": embeddings, "layers": [layer] * size.layers, "pooler": affine(n, n)}


def batch(rows: int, length: int) -> tuple[tuple[int, ...], ...]:
    """The shapes of the data, integers all of them: words, parts, hidden places, hidden words, what follows."""
    hidden = max(1, 3 * length // 20)
    return (rows, length), (rows, length), (rows, hidden), (rows, hidden), (rows,)


def drawn(size: Size, rows: int, length: int, seed: int = 0) -> tuple[Any, ...]:
    """Arguments of `loss`: parameters in float32, and random words."""
    rng = np.random.default_rng(seed)

    def tree(shapes: Tree, name: str = "") -> Tree:
        if isinstance(shapes, dict):
            return {key: tree(inner, key) for key, inner in shapes.items()}
        if isinstance(shapes, list):
            return [tree(inner) for inner in shapes]
        if name == "scale":
            return np.ones(shapes, np.float32)
        return rng.standard_normal(shapes, np.float32) * np.float32(0.02)

    limits = (size.words, 2, length, size.words, 2)
    data = (rng.integers(0, limit, shape) for limit, shape in zip(limits, batch(rows, length), strict=True))
    return (tree(parameters(size)), *data, size.heads)
