"""What random programs are compared with: JAX; or NumPy's values and finite differences of the sweep's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.ops.table import OPS, find
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import Runner
from tests.helpers import F64, directional, record
from tests.random_programs import Program
from tests.references import REFERENCES as ROWS

# An index of random programs is in range.
JAX: Final = {**ROWS, "wrap_index": lambda _, index, length: jnp.where(index < 0, index + length, index)}
# Rounding must not decide a branch: programs that come closer to a kink than this are set aside.
MARGIN: Final = {"d": 1e-8, "f": 1e-3}
COMPARISONS: Final = frozenset({"less", "less_equal", "greater", "greater_equal"})
# A random program is compiled to be run twice: what the compiler leaves out is gained.
# (Its optimization level 0 has been seen to lose a term of a gradient: what disagrees is compiled once more, with
# "careful".)
HASTY: Final = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class NearKinkError(Exception):
    """The program comes so near to a kink that rounding decides the branch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Outputs, and one gradient an independent."""

    values: list[Any]
    gradients: list[Any]


Reference = Callable[[Program], Callable[[Sequence[Any], Sequence[Any]], Wanted]]


def wide(value: Any) -> Any:
    """Floats as float64."""
    return np.asarray(value, F64) if value.dtype.kind == "f" else value


def by_jax(program: Program, options: Mapping[str, Any] = HASTY) -> Callable[[Sequence[Any], Sequence[Any]], Wanted]:
    """The program in jax.numpy and its vector-Jacobian product, in float64 whatever the program's dtype is."""
    places = program.independent

    def evaluate(inputs: Sequence[Any], seeds: Sequence[Any]) -> tuple[Any, Any, Any]:
        def outputs(*active: Any) -> tuple[Any, Any]:
            given = dict(zip(places, active, strict=True))
            values = [given.get(k, v) for k, v in enumerate(inputs)]
            values += [jnp.asarray(wide(c)) for c in program.constants]
            for step in program.steps:
                values.append(JAX[step.name](step.attribute, *[values[k] for k in step.operands]))
            results = [values[k] for k in program.outputs]
            return ([sum(jnp.sum(r) for r in results)] if program.scalar else results), values

        results, back, values = jax.vjp(outputs, *[inputs[k] for k in places], has_aux=True)
        return results, back(list(seeds)), values

    compiled = jax.jit(evaluate, compiler_options=dict(options))

    def run(inputs: Sequence[Any], seeds: Sequence[Any]) -> Wanted:
        with jax.enable_x64(True):
            results, gradients, values = compiled([wide(v) for v in inputs], [wide(s) for s in seeds])
        check_margins(program, [np.asarray(v) for v in values], MARGIN[program.dtype.char])
        return Wanted([np.asarray(r) for r in results], [np.asarray(g) for g in gradients])

    return run


def evaluate(program: Program, inputs: Sequence[Any]) -> list[Any]:
    """Every value by the rows' own NumPy functions, in float64."""
    kinds = {"f": FLOAT, "i": INT, "b": BOOL}
    values = [np.asarray(wide(v)) for v in [*inputs, *program.constants]]
    for step in program.steps:
        operands = [values[k] for k in step.operands]
        op = OPS[find(step.name, "".join(kinds[v.dtype.kind] for v in operands))]
        values.append(np.asarray(op.evaluate(step.attribute, *operands)))
    return values


def by_values(program: Program) -> Callable[[Sequence[Any], Sequence[Any]], Wanted]:
    """Values alone."""

    def run(inputs: Sequence[Any], _: Sequence[Any]) -> Wanted:
        values = evaluate(program, inputs)
        check_margins(program, values, 10 * STEP + MARGIN[program.dtype.char])
        results = [values[k] for k in program.outputs]
        return Wanted([np.asarray(sum(r.sum() for r in results))] if program.scalar else results, [])

    return run


STEP: Final = 1e-3


def by_differences(program: Program) -> Callable[[Sequence[Any], Sequence[Any]], Wanted]:
    """Values by NumPy; gradients by differences of the sweep's values, one entry after another, in float64."""
    values_of, places = by_values(program), program.independent
    runner: list[Runner] = []

    def run(inputs: Sequence[Any], seeds: Sequence[Any]) -> Wanted:
        wanted = values_of(inputs, seeds)
        point = [np.array(wide(v)) for v in inputs]
        if not runner:
            double = replace(program, dtype=F64)
            runner.append(Runner(schedule(optimize(record(double.record, point, places), drop_stops=True))))

        def moved(k: int, place: int, t: float) -> list[Any]:
            changed = list(point)
            changed[k] = point[k].copy()
            changed[k].reshape(-1)[place] += t
            results = runner[0](changed)
            return [sum((s * r).sum() for s, r in zip(seeds, results, strict=True))]

        gradients = []
        for k in places:
            entries = [directional(lambda t, k=k, j=j: moved(k, j, t), STEP)[0] for j in range(point[k].size)]
            gradients.append(np.array(entries, F64).reshape(point[k].shape))
        return Wanted(wanted.values, gradients)

    return run


def check_margins(program: Program, values: list[Any], least: float) -> None:
    """Raise where an operand is near a kink. Right at it is good where any code computes the same numbers."""
    for step, result in zip(program.steps, values[len(values) - len(program.steps) :], strict=True):
        x = values[step.operands[0]]
        exact = all(program.exact[k] for k in step.operands) or len(set(step.operands)) < len(step.operands)
        if step.name in COMPARISONS:
            gap = np.abs(x - values[step.operands[1]])
        elif step.name in ("maximum", "minimum"):
            gap, exact = np.abs(x - values[step.operands[1]]), True
        elif step.name in ("absolute", "sign"):
            gap = np.abs(x)
        elif step.name == "floor":
            gap = np.abs(x - np.rint(x))
        elif step.name in ("max", "min"):
            gap, exact = np.abs(x - np.expand_dims(result, step.attribute)), True
        else:
            continue
        if ((gap < least) & ((gap > 0) | (not exact))).any():
            raise NearKinkError


REFERENCES: Final[dict[str, Reference]] = {
    "jax": by_jax,
    "careful": lambda program: by_jax(program, {}),
    "differences": by_differences,
    "values": by_values,
}
