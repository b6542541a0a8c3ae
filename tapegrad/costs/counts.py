"""What a tape's instructions compute: floating-point operations and transcendental functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import Op
from tapegrad.ops.table import ELEMENTWISE_KINDS, OPS
from tapegrad.passes.signature import signatures
from tapegrad.tape import Tape

PRODUCTS: Final = frozenset({"matmul", "matmul_add"})


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """By instruction, float64[n].

    Attributes:
        flops: additions, multiplications, divisions, comparisons: one each.
        functions: elements of which a transcendental function is taken; they are no flops.
        products: of the flops, those of matrix products.
    """

    flops: Any
    functions: Any
    products: Any


def is_function(op: Op) -> bool:
    """Is it a function like exp, which takes several times as long as arithmetic?"""
    return op.name == "custom" or bool(op.loop and op.differentiable and len(ELEMENTWISE_KINDS[op.name]) == 1)


def counts(tape: Tape) -> Counts:
    """What each instruction computes. Rules are asked once for instructions of a kind."""
    signature, firsts = signatures(tape)
    found = np.zeros((3, len(firsts)))
    for s, i in enumerate(firsts.tolist()):
        op, result = OPS[tape.opcodes[i]], tape.type(i)
        if op.leaf or op.effect:
            continue
        if is_function(op):
            found[1, s] = result.size
        elif op.flops is not None:
            found[0, s] = op.flops(tape.attribute(i), [tape.type(k) for k in tape.read(i)], result)
        elif op.pointwise:
            found[0, s] = result.size
        if op.name in PRODUCTS:
            found[2, s] = found[0, s]
    return Counts(*found[:, signature])
