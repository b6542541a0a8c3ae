"""Products of arrays: `matmul`, `dot`, `einsum` and the like.

All but batched products go through one contraction of two *terms*, arrays whose axes have labels: axes that
one of them has alone are summed first; what both share is multiplied elementwise if nothing else is left to
do, or becomes one matrix product, laid out with as little transposing as its orientation flags allow.
"""

from __future__ import annotations

import operator
import string
from collections import Counter
from collections.abc import Sequence
from math import prod
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import lift, normalize_axes, recorder_of, refuse, reshaped, transposed
from tapegrad.record.functions.sparse import is_sparse
from tapegrad.record.functions.sparse import product as sparse_product
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

Labels: TypeAlias = tuple[int, ...]


class Term(NamedTuple):
    """An array and the label of each of its axes; no label stands twice, no axis has length 1."""

    value: Variable
    labels: Labels

    @property
    def sizes(self) -> dict[int, int]:
        """Length of each label's axis."""
        return dict(zip(self.labels, self.value.shape, strict=True))


def _floats(*values: Any) -> tuple[Recorder, list[Variable]]:
    recorder = recorder_of(*values)
    return recorder, [recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in values]


def _misfit(recorder: Recorder, operation: str, found: str, wanted: str) -> NoReturn:
    raise ShapeError(describe(operation, found=found, wanted=wanted, line=recorder.line()))


# --- contraction of labelled axes


def _term(value: Variable, labels: Labels) -> Term:
    """A term: repeated labels become diagonals, axes of length 1 are left out."""
    for label, count in Counter(labels).items():
        for _ in range(count - 1):
            p = labels.index(label)
            q = labels.index(label, p + 1)
            order = [a for a in range(len(labels)) if a != q]
            order.insert(p + 1, q)
            value = transposed(value, tuple(order))
            labels = labels[:q] + labels[q + 1 :]
            n, shape = value.shape[p], value.shape
            flat = reshaped(value, (*shape[:p], n * n, *shape[p + 2 :]))
            windows = [(0, n + 1, n) if a == p else (0, 1, m) for a, m in enumerate(flat.shape)]
            value = value._recorder.apply("slice", tuple(windows), flat)
    kept = [a for a, n in enumerate(value.shape) if n != 1]
    return Term(reshaped(value, tuple(value.shape[a] for a in kept)), tuple(labels[a] for a in kept))


def _summed(term: Term, kept: Sequence[int]) -> Term:
    """The term summed over all other labels."""
    axes = tuple(a for a, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    value = term.value._recorder.apply("sum", axes, term.value)
    return Term(value, tuple(label for label in term.labels if label in kept))


def _ordered(term: Term, labels: Labels) -> Variable:
    """The term's array with its axes in the order of `labels`, which may hold others, too."""
    return transposed(term.value, tuple(term.labels.index(label) for label in labels if label in term.labels))


def _contract(a: Term, b: Term, out: Labels) -> Term:
    """The product of two terms summed over all labels but `out`; its axes may be in any order."""
    a, b = _summed(a, b.labels + out), _summed(b, a.labels + out)
    contracted = [label for label in a.labels if label in b.labels and label not in out]
    free = [label for label in a.labels + b.labels if (label in a.labels) != (label in b.labels)]
    if contracted and free:
        return _matrix_product(a, b, out)
    return _summed(_elementwise_product(a, b, out), out)


def _elementwise_product(a: Term, b: Term, out: Labels) -> Term:
    union = {**a.sizes, **b.sizes}
    orders = [tuple(dict.fromkeys(first.labels + second.labels)) for first, second in ((a, b), (b, a))]
    if all(label in out for label in union):
        orders.insert(0, tuple(label for label in out if label in union))

    def transposing(order: Labels) -> int:
        return sum([t.value.size for t in (a, b) if tuple(x for x in order if x in t.labels) != t.labels])

    order = min(orders, key=transposing)
    factors = []
    for term in (a, b):
        first = next((k for k, label in enumerate(order) if label in term.labels), len(order))
        shape = tuple(union[label] if label in term.labels else 1 for label in order[first:])
        factors.append(reshaped(_ordered(term, order), shape))
    return Term(a.value._recorder.elementwise("multiply", *factors), order)


def _matrix_product(a: Term, b: Term, out: Labels) -> Term:
    """Labels in both and in `out` are batches; others in both are contracted; the rest are rows and columns."""
    sizes = {**a.sizes, **b.sizes}
    batch = tuple(label for label in out if label in a.labels and label in b.labels)
    target = tuple(label for label in out if label in sizes)
    inners = dict.fromkeys(
        tuple(x for x in t.labels if x in a.labels and x in b.labels and x not in batch) for t in (a, b)
    )
    # Of layouts alike the first is taken: a matrix times a column, so that its rows stay the leading axis.
    orders = ((a, b), (b, a)) if set(a.labels) - set(b.labels) else ((b, a), (a, b))
    layouts = [
        (left, right, rows, inner, columns)
        for left, right in orders
        for inner in inners
        for rows in _free(left, right, target)
        for columns in _free(right, left, target)
    ]

    def transposing(layout: tuple[Term, Term, Labels, Labels, Labels]) -> int:
        left, right, rows, inner, columns = layout
        cost = prod([sizes[label] for label in target]) * (batch + rows + columns != target)
        cost += left.value.size * (left.labels not in {batch + rows + inner, batch + inner + rows})
        return cost + right.value.size * (right.labels not in {batch + inner + columns, batch + columns + inner})

    left, right, rows, inner, columns = min(layouts, key=transposing)
    x, flip_x = _matrix(left, batch, rows, inner)
    y, flip_y = _matrix(right, batch, columns, inner)
    # 0 and 1, because an attribute that equals another is that other: (False, True) would be axes (0, 1)
    value = a.value._recorder.apply("matmul", (int(flip_x), int(not flip_y)), x, y)
    labels = batch + rows + columns
    return Term(reshaped(value, tuple(sizes[label] for label in labels)), labels)


def _free(term: Term, other: Term, target: Labels) -> dict[Labels, None]:
    """Orders for the labels that the other term lacks: as they stand, and as they are wanted."""
    own = tuple(label for label in term.labels if label not in other.labels)
    return dict.fromkeys((own, tuple(label for label in target if label in own)))


def _matrix(term: Term, batch: Labels, free: Labels, inner: Labels) -> tuple[Variable, bool]:
    """The term as matrices, (free, inner), or (inner, free) if the flag is set.

    Without free labels it is the latter: what is contracted may be the rows of the data, which should lead.
    """
    flip = term.labels == batch + inner + free or not free
    order = batch + inner + free if flip else batch + free + inner
    sizes = term.sizes
    groups = (inner, free) if flip else (free, inner)
    shape = (*[sizes[label] for label in batch], *[prod([sizes[label] for label in g]) for g in groups])
    return reshaped(_ordered(term, order), shape), flip


def _finished(term: Term, out: Labels, lengths: dict[int, int]) -> Variable:
    """The term's array with its axes in order, those of length 1 among them."""
    return reshaped(_ordered(_summed(term, out), out), tuple(lengths[label] for label in out))


# --- the functions of two operands


def matmul(x1: Any, x2: Any, /, out: Any = None, **options: Any) -> Variable:
    """`numpy.matmul`, `x1 @ x2`."""
    if isinstance(x1, Variable) and isinstance(x2, Variable) and x1._kind == x2._kind == FLOAT:
        recorder, a, b = x1._recorder, x1, x2
    elif is_sparse(x1) or is_sparse(x2):
        return sparse_product(x1, x2)
    else:
        recorder, (a, b) = _floats(x1, x2)
    if out is not None or options:
        refuse("matmul", recorder, out=out, **options)
    if not a.shape or not b.shape:
        _misfit(recorder, "matmul", f"shapes {a.shape} and {b.shape}", "arrays; for numbers use *")
    if a.ndim < 3 and b.ndim < 3:
        return _last_with_first(recorder, "matmul", a, b)
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        _misfit(recorder, "matmul", f"shapes {a.shape} and {b.shape}", "leading axes that broadcast")
    shape = batch + a.shape[-2:-1] + (b.shape[-1:] if b.ndim > 1 else ())
    if all(n == 1 for n in b.shape[:-2]):  # one product of matrices, so that the gradient of b is one, too
        return reshaped(_last_with_first(recorder, "matmul", a, reshaped(b, b.shape[-2:])), shape)
    if a.shape[-1] != b.shape[-2]:
        _misfit(recorder, "matmul", f"shapes {a.shape} and {b.shape}", "(..., m, k) and (..., k, n)")
    flip = a.ndim == 1
    return reshaped(recorder.apply("matmul", (int(flip), 0), reshaped(a, (a.size, 1)) if flip else a, b), shape)


def dot(a: Any, b: Any, out: Any = None) -> Variable:
    """`numpy.dot`: over the last axis of a and the last but one of b."""
    recorder, (x, y) = _floats(a, b)
    refuse("dot", recorder, out=out)
    if not x.shape or not y.shape:
        return recorder.elementwise("multiply", x, y)
    return _last_with_first(recorder, "dot", x, y)


def _last_with_first(recorder: Recorder, name: str, a: Variable, b: Variable) -> Variable:
    """The product over the last axis of a and the last but one of b; that of matrices and vectors at once."""
    axis = max(b.ndim - 2, 0)
    k = a.shape[-1]
    if a.ndim > 2 or b.ndim > 2 or k != b.shape[axis]:
        return _tensordot(recorder, name, a, b, (a.ndim - 1,), (axis,))
    if a.ndim == b.ndim == 2:
        return recorder.elementwise("multiply", a, b) if k == 1 else recorder.apply("matmul", (0, 0), a, b)
    if a.ndim == b.ndim:
        return recorder.apply("sum", (0,), recorder.elementwise("multiply", a, b))
    matrix, vector, flip = (a, b, 0) if b.ndim == 1 else (b, a, 1)
    column = recorder.apply("matmul", (flip, 0), matrix, recorder.apply("reshape", (k, 1), vector))
    return recorder.apply("reshape", column.shape[:1], column)


def inner(a: Any, b: Any, /) -> Variable:
    """`numpy.inner`: over the last axes."""
    recorder, (x, y) = _floats(a, b)
    if not x.shape or not y.shape:
        return recorder.elementwise("multiply", x, y)
    return _tensordot(recorder, "inner", x, y, (x.ndim - 1,), (y.ndim - 1,))


def vdot(a: Any, b: Any, /) -> Variable:
    """`numpy.vdot`: over all elements of both."""
    recorder, (x, y) = _floats(a, b)
    return _tensordot(recorder, "vdot", reshaped(x, (x.size,)), reshaped(y, (y.size,)), (0,), (0,))


def outer(a: Any, b: Any, out: Any = None) -> Variable:
    """`numpy.outer`: each element of a times each of b."""
    recorder, (x, y) = _floats(a, b)
    refuse("outer", recorder, out=out)
    return recorder.elementwise("multiply", reshaped(x, (x.size, 1)), reshaped(y, (y.size,)))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Variable:
    """`numpy.tensordot`: over the last axes of a and the first of b, or over the axes that are named."""
    recorder, (x, y) = _floats(a, b)
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        return _tensordot(recorder, "tensordot", x, y, tuple(range(-count, 0)), tuple(range(count)))
    ours, theirs = (tuple(g) if np.ndim(g) else (g,) for g in axes)
    return _tensordot(recorder, "tensordot", x, y, ours, theirs)


def _tensordot(recorder: Recorder, name: str, a: Variable, b: Variable, axes_a: Any, axes_b: Any) -> Variable:
    ours = normalize_axes(axes_a, a.ndim, name, recorder)
    theirs = normalize_axes(axes_b, b.ndim, name, recorder)
    if [a.shape[p] for p in ours] != [b.shape[p] for p in theirs]:
        wanted = f"the same lengths of axes {ours} of the one and axes {theirs} of the other"
        _misfit(recorder, name, f"shapes {a.shape} and {b.shape}", wanted)
    shared = dict(zip(theirs, ours, strict=True))
    labels_a = tuple(range(a.ndim))
    labels_b = tuple(shared.get(p, a.ndim + p) for p in range(b.ndim))
    out = tuple(p for p in labels_a if p not in ours) + tuple(p for p in labels_b if p >= a.ndim)
    lengths = dict(zip(labels_a + labels_b, a.shape + b.shape, strict=True))
    return _finished(_contract(_term(a, labels_a), _term(b, labels_b), out), out, lengths)


# --- einsum


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **options: Any) -> Variable:
    """`numpy.einsum`; the order of the pairwise products is always optimized."""
    recorder = recorder_of(*operands)
    refuse("einsum", recorder, out=out, **{k: v for k, v in options.items() if k not in {"order", "casting"}})
    values, given, wanted = _parse(recorder, operands)
    _, arrays = _floats(*values)
    inputs = [_expand(recorder, labels, v.ndim) for labels, v in zip(given, arrays, strict=True)]
    lengths = _lengths(recorder, inputs, arrays)
    spread = tuple(range(min((0, *lengths)), 0))
    counts = Counter(label for labels in inputs for label in labels)
    if wanted is None:
        out_labels = spread + tuple(sorted(label for label, n in counts.items() if n == 1 and label >= 0))
    else:
        out_labels = tuple(x for label in wanted for x in (spread if label is Ellipsis else (label,)))
    if len(set(out_labels)) < len(out_labels) or not lengths.keys() >= set(out_labels):
        _misfit(recorder, "einsum", "an output index that stands twice, or in no operand", "each index of it once")
    if not set(spread) <= set(out_labels):
        _misfit(recorder, "einsum", "an ellipsis in operands only", "one in the output, too")
    terms = [_term(v, labels) for v, labels in zip(arrays, inputs, strict=True)]
    return _finished(_contract_all(terms, out_labels), out_labels, lengths)


def _parse(recorder: Recorder, operands: Sequence[Any]) -> tuple[list[Any], list[Any], Any]:
    """Values, their labels, the output's labels (None: implicit). Labels are numbers or Ellipsis."""
    if len(operands) < 2:
        _misfit(recorder, "einsum", "one argument", "subscripts and operands")
    if isinstance(operands[0], str):
        found, values = f"subscripts {operands[0]!r}", list(operands[1:])
        left, *right = operands[0].replace(" ", "").split("->", 1)
        parts = [*left.split(","), *right]
        explicit = len(right) == 1
        valid = all(set(part.replace("...", "", 1)) <= set(string.ascii_letters) for part in parts)
        labels = [tuple(Ellipsis if c == "." else ord(c) for c in part.replace("...", ".")) for part in parts]
    else:
        explicit = len(operands) % 2 == 1
        values = list(operands[:-1:2] if explicit else operands[::2])
        lists = [*operands[1::2], *operands[len(operands) - explicit :]]
        labels = [tuple(x if x is Ellipsis else operator.index(x) for x in items) for items in lists]
        found = f"lists of indices {lists}"
        valid = all(part.count(Ellipsis) < 2 and all(x is Ellipsis or 0 <= x < 52 for x in part) for part in labels)
    output = labels.pop() if explicit else None
    if not valid or len(labels) != len(values):
        wanted = "letters (in lists: numbers from 0 to 51), an ellipsis at most in each, and one part for each operand"
        _misfit(recorder, "einsum", f"{found} for {len(values)} operands", wanted)
    return values, labels, output


def _expand(recorder: Recorder, labels: tuple[Any, ...], ndim: int) -> Labels:
    """The labels of an operand's axes; those that an ellipsis stands for are -1, -2 ... from the last."""
    count = ndim - sum([label is not Ellipsis for label in labels])
    if count < 0 or (count > 0 and Ellipsis not in labels):
        _misfit(recorder, "einsum", f"{len(labels)} indices for an operand of {ndim} axes", "one for each axis")
    return tuple(x for label in labels for x in (range(-count, 0) if label is Ellipsis else (label,)))


def _lengths(recorder: Recorder, inputs: Sequence[Labels], arrays: Sequence[Variable]) -> dict[int, int]:
    """The length of each label's axes; those of length 1 broadcast."""
    lengths: dict[int, int] = {}
    for labels, v in zip(inputs, arrays, strict=True):
        own: dict[int, int] = {}
        for label, n in zip(labels, v.shape, strict=True):
            if own.setdefault(label, n) != n:
                _misfit(recorder, "einsum", f"a diagonal of lengths {own[label]} and {n}", "equal lengths")
        for label, n in own.items():
            known = lengths.get(label, 1)
            if known != n and 1 not in {known, n}:
                _misfit(recorder, "einsum", f"lengths {known} and {n} for one index", "equal lengths, or 1")
            lengths[label] = n if known == 1 else known
    return lengths


def _contract_all(terms: Sequence[Term], out: Labels) -> Term:
    """All terms contracted, pair by pair."""
    counts = Counter(label for term in terms for label in term.labels)
    live = [_summed(t, [label for label in t.labels if counts[label] > 1 or label in out]) for t in terms]
    for step in _path(live, out):
        term, *others = [live.pop(k) for k in sorted(step, reverse=True)][::-1]
        while others:
            other = others.pop(0)
            later = {label for t in (*live, *others) for label in t.labels}
            first, second = sorted((term, other), key=lambda t: -len(t.labels))
            kept = [label for label in dict.fromkeys(first.labels + second.labels) if label in later or label in out]
            term = _contract(term, other, tuple(kept) if live or others else out)
        live.append(term)
    return live[0]


def _path(terms: Sequence[Term], out: Labels) -> Sequence[Sequence[int]]:
    """Which terms to contract, step by step: they are taken out, their product goes to the end."""
    labels = dict.fromkeys(label for term in terms for label in term.labels)
    if len(terms) < 3 or len(labels) > len(string.ascii_letters):
        return [range(len(terms))]
    names = dict(zip(labels, string.ascii_letters, strict=False))
    parts = ["".join(names[label] for label in term.labels) for term in terms]
    text = ",".join(parts) + "->" + "".join(names[label] for label in out if label in names)
    shapes = [np.broadcast_to(0.0, term.value.shape) for term in terms]
    steps: Sequence[Sequence[int]] = np.einsum_path(text, *shapes, optimize="greedy")[0][1:]
    return steps


TABLE: Final = MappingProxyType(
    {
        np.matmul: matmul,
        np.dot: dot,
        np.inner: inner,
        np.vdot: vdot,
        np.outer: outer,
        np.tensordot: tensordot,
        np.einsum: einsum,
    }
)
