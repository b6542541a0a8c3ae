"""Who is compared: for each library, how it makes a value-and-gradient function of a case and runs it.

Libraries are imported when they are first needed, and one that is not installed is left out.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.comparison import losses, trees
from benchmarks.comparison.cases import Case, points

OURS: Final = "tapegrad"


class MissingPeerError(Exception):
    """A peer that cannot run a case, and why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case in the hands of one library.

    Attributes:
        call: value and gradient, in the library's own types; ready when it returns.
        numbers: what `call` returned, as a float and a list of arrays; none where there is no gradient.
    """

    call: Callable[[], Any]
    numbers: Callable[[Any], tuple[float, list[Any]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, or a way to do without one.

    Attributes:
        name: what options and files call it.
        title: what tables and pictures call it.
        prepare: a case and its arguments, for a number of threads, to what can be called.
        package: what it is installed as, or "".
        is_rival: whether it counts as a peer: a library that makes the gradient by itself.
    """

    name: str
    title: str
    prepare: Callable[[Case, tuple[Any, ...], int], Prepared]
    package: str = ""
    is_rival: bool = False

    def version(self) -> str:
        """Title and version, or "" where it has none or is not installed."""
        try:
            return f"{self.title} {importlib.metadata.version(self.package)}" if self.package else ""
        except importlib.metadata.PackageNotFoundError:
            return ""


def _as_numpy(result: Any) -> tuple[float, list[Any]]:
    value, gradient = result
    return float(value), [np.asarray(leaf) for leaf in trees.leaves(gradient)]


def _tapegrad(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:
    import tapegrad as tg

    if set_threads := getattr(tg, "set_num_threads", None):
        set_threads(threads)
    loss = case.loss
    gradient = tg.value_and_grad(lambda *args: loss(np, *args))
    return Prepared(lambda: gradient(*arguments), _as_numpy)


def _jax(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:  # noqa: ARG001 - set by the environment
    import jax

    jax.config.update("jax_enable_x64", True)
    held = trees.mapped(jax.numpy.asarray, arguments)
    gradient = jax.jit(jax.value_and_grad(lambda *args: case.loss(jax.numpy, *args)))
    return Prepared(lambda: jax.block_until_ready(gradient(*held)), _as_numpy)


def _torch(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:
    import torch

    from benchmarks.comparison import torch_losses

    torch.set_num_threads(threads)
    loss = getattr(torch_losses, case.loss.__name__)

    def tensor(leaf: Any) -> Any:
        return leaf if isinstance(leaf, int) else torch.as_tensor(np.asarray(leaf))

    parameters, *data = trees.mapped(tensor, arguments)
    wanted = trees.leaves(trees.mapped(lambda leaf: leaf.requires_grad_(), parameters))

    def call() -> Any:
        value = loss(parameters, *data)
        return value, torch.autograd.grad(value, wanted)

    return Prepared(call, lambda result: (float(result[0].detach()), [part.numpy() for part in result[1]]))


def _autograd(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:  # noqa: ARG001 - NumPy's threads
    import autograd

    gradient = autograd.value_and_grad(lambda *args: case.loss(autograd.numpy, *args))
    return Prepared(lambda: gradient(*arguments), _as_numpy)


def _casadi(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:  # noqa: ARG001 - it has one thread
    import casadi

    parameters, *data = arguments
    start = np.array(parameters, dtype=np.float64)
    value, gradient = np.empty(1), np.empty(start.size)
    made: list[Any] = []

    def build() -> Any:
        symbols = [casadi.SX.sym(f"p{k}") for k in range(start.size)]
        column = casadi.vertcat(*symbols)
        result = case.loss(None, symbols, *data)
        function = casadi.Function("loss", [column], [result, casadi.gradient(result, column)])
        # Its quickest call: fixed places in memory instead of matrices made anew.
        buffer, run = function.buffer()
        buffer.set_arg(0, memoryview(start))
        buffer.set_res(0, memoryview(value))
        buffer.set_res(1, memoryview(gradient))
        made.extend((function, buffer))
        return run

    run: Any = None

    def call() -> Any:
        nonlocal run
        run = run or build()
        run()
        return value, gradient

    return Prepared(call, lambda result: (float(result[0][0]), list(result[1].copy())))


def _numpy(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:  # noqa: ARG001 - set by the environment
    return Prepared(lambda: case.loss(np, *arguments), lambda result: (float(result), []))


def _hand(case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:  # noqa: ARG001 - one, whatever is set
    from benchmarks.comparison import handwritten

    function = handwritten.FUNCTIONS.get(case.loss.__name__)
    if function is None:
        raise MissingPeerError("no gradient was written by hand")
    if any(getattr(leaf, "dtype", None) == np.float32 for leaf in trees.leaves(arguments)):
        raise MissingPeerError("the gradients by hand are written for float64")
    return Prepared(lambda: function(*arguments), _as_numpy)


PEERS: Final = (
    Peer(OURS, "tapegrad", _tapegrad),
    Peer("hand", "by hand", _hand),
    Peer("jax", "JAX", _jax, "jax", is_rival=True),
    Peer("torch", "PyTorch", _torch, "torch", is_rival=True),
    Peer("autograd", "autograd", _autograd, "autograd", is_rival=True),
    Peer("casadi", "CasADi", _casadi, "casadi", is_rival=True),
    Peer("numpy", "NumPy forward", _numpy),
)
BY_NAME: Final = {peer.name: peer for peer in PEERS}


def refusal(peer: Peer, case: Case) -> str:
    """Why this peer does not run this case, "" where it might."""
    if peer.name == "casadi" and not case.symbols:
        return "its symbols are scalars, and so is only one of the cases"
    return case.omits.get(peer.name, "")


def prepared(peer: Peer, case: Case, arguments: tuple[Any, ...], threads: int) -> Prepared:
    """The case in this peer's hands; MissingPeerError says why not."""
    if reason := refusal(peer, case):
        raise MissingPeerError(reason)
    try:
        return peer.prepare(case, arguments, threads)
    except ImportError as error:
        raise MissingPeerError(f"not installed ({error})") from error


def wake(peer: Peer, threads: int) -> None:
    """A first gradient of nothing in particular: imports, loads kernels, starts pools."""
    tiny = Case("tiny", "40 operations on 3 numbers", losses.small_arrays, points(3), symbols=True)
    with contextlib.suppress(MissingPeerError):
        if peer.name != "casadi":
            prepared(peer, tiny, (np.ones(3),), threads).call()
