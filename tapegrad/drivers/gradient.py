"""Gradients of functions: `value_and_grad` and `grad`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Argnums, Arguments, Static, bind, positions
from tapegrad.drivers.faults import require_finite, require_finite_sums
from tapegrad.drivers.inner import enter, outer_recorder, recorder_in, require_scalar
from tapegrad.drivers.kept import Recording, Search
from tapegrad.drivers.limits import MemoryLimit, bytes_of
from tapegrad.drivers.recorded import GRADIENT, Recorded
from tapegrad.errors import LeakedVariableError
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable
from tapegrad.trees import flatten, unflatten


def value_and_grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    debug: bool = False,
    touched_rows: bool = False,
    memory_limit: MemoryLimit = None,
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns f's value and its gradient.

    Args:
        f: a function written in NumPy that returns a scalar. It is recorded at the first call for each
            shape and dtype of its arguments, and again where a branch on a value goes another way.
        argnums: which positional arguments to differentiate by: their place, or a sequence of places.
            Each may be a nested container (dict, list, tuple, namedtuple, dataclass) of float64 or float32
            arrays and floats. The other arguments are data: arrays and floats may change freely.
        has_aux: whether f returns a pair (value, aux), of which only the value is differentiated; aux is any
            container.
        debug: whether a value or a gradient that is not finite raises an error that names the instruction and the
            source line that made the first nan or infinity, in the forward or in the reverse sweep. (Within a
            recorded function there are no values to look at: give `debug` to the outermost call.)
        touched_rows: whether the gradient of an array that f reads by index arrays along its first axis alone
            (`table[index]`) is `TouchedRows`: the rows that were read, and their values. Time and memory then do not
            depend on the table's length, if it is in C order and of the dtype of the other arguments (else it is copied
            at each call). Other gradients, also of an array that f reads otherwise as well (a slice, an
            integer, the whole of it), are arrays as ever.
        memory_limit: bytes, as an int or as text such as "500 MB" or "1 GiB", that a sweep may take for what it
            computes on the way. Where that is not enough to keep all that the reverse part reads of the forward part,
            some of it is computed again: the same numbers to the bit, at the cost of time, mostly of up to one more
            forward part. Arguments, results and captured arrays are not counted, nor what functions that the sweep
            calls take themselves, nor what further threads have. Results of a `tapegrad.primitive` or
            `tapegrad.elementwise` are always kept: nobody knows whether they draw random numbers.

    Returns:
        A function of the same arguments, keyword arguments among them, that returns (value, gradient), or
        ((value, aux), gradient). The gradient has the structure, shapes and dtypes of the argument; for a
        sequence of argnums it is a tuple. Within a recorded function it records: derivatives of derivatives.

    Raises:
        ShapeError: the result is not a scalar, or shapes do not fit.
        DtypeError: a parameter is not float64 or float32.
        UnsupportedError: a function for which there is no rule; `touched_rows` or `memory_limit` within a recorded
            function: they are for the outermost call.
        MemoryLimitError: a limit that cannot be kept, with the least that can, and the line that holds most.
        SettingError: a limit that is no number of bytes.
        NonFiniteError: with `debug`, a nan or an infinity.

    Source: Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), chapter 3. For limits of memory chapter 12, and
    Chen, Xu, Zhang & Guestrin, Training deep nets with sublinear memory cost (2016).

    >>> import numpy as np, tapegrad as tg
    >>> f = tg.value_and_grad(lambda x: np.sum(x**2))
    >>> value, gradient = f(np.array([1.0, 2.0, 3.0]))
    >>> float(value), gradient
    (14.0, array([2., 4., 6.]))
    >>> tg.grad(tg.grad(lambda x: x**3))(2.0)
    12.0
    """
    options = _Options(has_aux, debug, touched_rows, bytes_of(memory_limit, "value_and_grad"))
    plain = _Gradient(f, argnums, options)
    named: list[_Gradient] = []  # made at the first call with keyword arguments

    def gradient_of(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        if not keywords:
            return plain(args)
        if not named:
            named.append(_Gradient(f, argnums, options, named=True))
        return named[0]((*args, keywords))

    return described(gradient_of, f, "value_and_grad", "Value and gradient")


def grad(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    debug: bool = False,
    touched_rows: bool = False,
    memory_limit: MemoryLimit = None,
) -> Callable[..., Any]:
    """A function that returns f's gradient, or with `has_aux` (gradient, aux).

    Arguments and errors are those of `value_and_grad`.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(lambda p: p["a"] * np.sin(p["b"]))({"a": 2.0, "b": 0.0})
    {'a': 0.0, 'b': 2.0}
    """
    limit = bytes_of(memory_limit, "grad")
    both = value_and_grad(f, argnums, has_aux=has_aux, debug=debug, touched_rows=touched_rows, memory_limit=limit)

    def gradient_of(*args: Any, **keywords: Any) -> Any:
        value, gradient = both(*args, **keywords)
        return (gradient, value[1]) if has_aux else gradient

    return described(gradient_of, f, "grad", "Gradient")


def described(made: Callable[..., Any], f: Callable[..., Any], name: str, what: str) -> Callable[..., Any]:
    """A function made of f, with a name and a line that say so."""
    update_wrapper(made, f, assigned=(), updated=())
    made.__name__ = f"{name}_of_{getattr(f, '__name__', 'function')}"
    made.__doc__ = f"{what} of {getattr(f, '__name__', 'a function')}."
    return made


def keyworded(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function of positional arguments, the last of which is a dict of f's keyword arguments."""

    def function(*args: Any) -> Any:
        return f(*args[:-1], **args[-1])

    return described(function, f, "call", "A call")


@dataclass(frozen=True, slots=True)
class _Options:
    """What `value_and_grad` was told; `limit` in bytes."""

    aux: bool
    debug: bool
    touched: bool
    limit: int | None


class _Gradient:
    """Value and gradient of a function, with the recordings made for it.

    `named`: the last argument is a dict of keyword arguments.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        argnums: Argnums,
        options: _Options,
        *,
        named: bool = False,
    ) -> None:
        self.f = f
        self.single = isinstance(argnums, (int, np.integer))
        self.argnums = argnums if isinstance(argnums, (int, np.integer)) else tuple(argnums)
        self.named, self.debug = named, options.debug
        of = keyworded(f) if named else f
        self.recorded = Recorded(of, GRADIENT, aux=options.aux, touched=options.touched, limit=options.limit)

    def __call__(self, args: tuple[Any, ...]) -> tuple[Any, Any]:
        recorded = self.recorded
        path, outputs = recorded.again(args)
        if path is not None:
            if self.debug:
                self._look(path.recording, args, outputs)
            gradients = path.gradients(outputs)
            value = (outputs[0], path.aux(outputs)) if recorded.aux else outputs[0]
            return value, gradients[0] if self.single else gradients
        outer = recorder_in(*args)
        if outer is None:
            try:
                return self._run(args, outputs)
            except LeakedVariableError as error:
                outer = outer_recorder(error)
        return self._within(outer, args)

    def _run(self, args: tuple[Any, ...], search: Search | None) -> tuple[Any, Any]:
        """For values: by a sweep."""
        places = positions(self.argnums, len(args) - self.named)
        arguments = bind(args, places)
        results, recording = self.recorded.run(arguments, search=search)
        self.recorded.remember(Path.of_gradient(arguments, recording, places))
        if self.debug:
            self._look(recording, args, results)
        count = len(arguments.originals)
        gradients = restored(arguments, places, recording.gradients(results, count))
        value = results[0][()]
        if recording.aux is not None:
            value = (
                value,
                recording.aux.restore([r if r.ndim else r[()] for r in results[1 + count + recording.parts :]]),
            )
        return value, gradients[0] if self.single else gradients

    def _look(self, recording: Recording, args: tuple[Any, ...], results: Sequence[Any]) -> None:
        """Refuse results that are not finite."""
        arguments = bind(args, positions(self.argnums, len(args) - self.named))
        labels = arguments.labels()
        entries = [x for x in arguments.signature.leaves if not isinstance(x, Static)]
        keywords = f"args[{len(args) - 1}]['" if self.named else "?"

        def name(k: int) -> str:
            label = labels[k]
            return label.removeprefix(keywords).replace("']", "", 1) if label.startswith(keywords) else label

        count = len(arguments.originals)
        require_finite(recording.full, arguments, results[: 1 + count + recording.parts], name)
        if recording.parts:
            wanted = [n for n, leaf in zip(labels, entries, strict=True) if leaf[2]]
            require_finite_sums(recording.gradients(results, count), wanted)

    def _within(self, outer: Recorder, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """Within a recorded function: recorded."""
        if self.recorded.touched:
            raise unsupported("value_and_grad", "touched_rows=True", "False within a recorded function", outer)
        if self.recorded.limit is not None:
            what = f"memory_limit={self.recorded.limit} within a recorded function"
            raise unsupported("value_and_grad", what, "a limit at the outermost call alone", outer)
        places = positions(self.argnums, len(args) - self.named)
        keywords = args[-1] if self.named else {}
        given = args[:-1] if self.named else args
        inner = enter(outer, self.f, given, places, keywords, aux=self.recorded.aux)
        require_scalar(inner)
        value, *gradients = inner.apply(adjoint(inner.tape))
        trees = dict(zip(sorted(places), inner.restore(gradients), strict=True))
        found = tuple(trees[k] for k in places)
        return (value, inner.aux) if self.recorded.aux else value, found[0] if self.single else found


def restored(arguments: Arguments, places: Sequence[int], gradients: Sequence[Any]) -> tuple[Any, ...]:
    """Gradients in the structures, dtypes and scalar types of the arguments they belong to."""
    originals = arguments.originals
    leaves = [_like(g, x) for g, x in zip(gradients, originals, strict=True)]
    trees: dict[int, Any] = {}
    start = 0
    for k in sorted(places):
        structure = arguments.signature.structures[k]
        size = 1 if structure is None else structure.size
        trees[k] = unflatten(structure, leaves[start : start + size])
        start += size
    return tuple(trees[k] for k in places)


def like(found: Any, originals: Any) -> Any:
    """A container of values in the dtypes and scalar types of another's leaves; Variables stay as they are."""
    if type(found) is np.ndarray and found.dtype == getattr(originals, "dtype", None):
        return found
    leaves, structure = flatten(found)
    if any(isinstance(x, Variable) for x in leaves):
        return found
    return unflatten(structure, [_like(np.asarray(x), y) for x, y in zip(leaves, flatten(originals)[0], strict=True)])


def _like(gradient: Any, original: Any) -> Any:
    if type(original) is float:
        return float(gradient)
    if gradient.dtype != original.dtype:
        gradient = gradient.astype(original.dtype)
    return gradient[()] if isinstance(original, np.generic) else gradient
