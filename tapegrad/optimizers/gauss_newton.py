"""Least squares: Levenberg-Marquardt and Gauss-Newton."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from tapegrad.errors import NonFiniteError, describe
from tapegrad.optimizers.blocks import square_sums
from tapegrad.optimizers.elimination import sparse_system
from tapegrad.optimizers.minimizer import FLAT, LEVEL, SHORT, STUCK, Minimizer, State, dot, finite, norm, stopped
from tapegrad.optimizers.residuals import Residuals
from tapegrad.optimizers.systems import DenseSystem, Solver, System

DEFICIENT: Final = "the Jacobian has not full rank"
_LARGEST: Final = 1e30  # damping
_ROUNDING: Final = 64  # units in the last place by which a value may be wrong
_WORTH: Final = 0.9  # by how much the gradient must fall where the value cannot tell
_HALVINGS: Final = 40
_FALL, _TRUE = 0.1, 0.25  # of damping after a step whose decrease was as foretold, to this share of it
_FADES: Final = 0.5  # by how much a scale may fall in one step


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LeastSquaresState(State):
    """The value is half the sum of squares, and the gradient that of it.

    Attributes:
        residuals, jacobian: at the point.
        scale: for each parameter the norm of its column of the Jacobian, of late at its largest; 1 while it was 0.
        system: how linear systems with Jacobians of this pattern are solved.
        damping: what is added to J'J, times the scale's square, in the next step; 0 for Gauss-Newton.
        growth: the factor of the damping after the next step that fails.
        jacobians: how often the Jacobian was computed.
    """

    residuals: Any
    jacobian: Any
    scale: Any
    system: System
    damping: float = 0.0
    growth: float = 2.0
    jacobians: int = 1

    @property
    def scaled(self) -> Any:
        """The gradient of the value by the parameters times their scale."""
        return self.gradient / self.scale


@dataclass(frozen=True, kw_only=True)
class _LeastSquares(Minimizer[Residuals, LeastSquaresState]):
    """What both methods have in common.

    Here no tolerance depends on the scale of parameters or residuals: the gradient's is of the cosine of the angle
    between the residuals and a column of the Jacobian, as in MINPACK; lengths of steps are of scaled parameters.
    """

    gradient_tolerance: float = 1e-12
    step_tolerance: float = 1e-12
    decrease_tolerance: float = 0.0

    def _first(self, problem: Residuals, damping: float) -> LeastSquaresState:
        """The state at a problem's start."""
        point = problem.start.copy()
        residuals = problem.residuals(point)
        jacobian = problem.jacobian(point)
        value = half_square(residuals)
        if not finite(value, _entries(jacobian)):
            problem.problem.require_finite(point)
            found, wanted = "a Jacobian that is not finite at the start", "finite derivatives"
            raise NonFiniteError(describe("least squares", found=found, wanted=wanted))
        lengths = column_norms(jacobian)
        state = LeastSquaresState(
            point=point,
            value=value,
            gradient=jacobian.T @ residuals,
            residuals=residuals,
            jacobian=jacobian,
            scale=np.where(lengths > 0, lengths, 1.0),
            system=DenseSystem() if isinstance(jacobian, np.ndarray) else sparse_system(jacobian),
            damping=damping,
        )
        return replace(state, stopped=FLAT if self._flat(state) else "")

    def _flat(self, state: LeastSquaresState) -> bool:
        """Are the residuals orthogonal to the columns, or nothing at all?"""
        if state.value == 0:
            return True
        lengths = column_norms(state.jacobian)
        cosines = np.abs(state.gradient) / np.where(lengths > 0, lengths, 1.0) / np.sqrt(2 * state.value)
        return bool(np.max(cosines, initial=0.0) <= self.gradient_tolerance)

    def _tried(self, problem: Residuals, state: LeastSquaresState, point: Any) -> LeastSquaresState | None:
        """The state at another point, if its residuals and Jacobian are finite there."""
        residuals = problem.residuals(point)
        value = half_square(residuals)
        if not np.isfinite(value) or value > state.value + noise(state):
            return None
        jacobian = problem.jacobian(point)
        if not np.isfinite(_entries(jacobian)).all():
            return None
        return replace(
            state,
            point=point,
            value=value,
            gradient=jacobian.T @ residuals,
            residuals=residuals,
            jacobian=jacobian,
            scale=np.maximum(column_norms(jacobian), _FADES * state.scale),
            jacobians=state.jacobians + 1,
        )

    def _ended(self, before: LeastSquaresState, after: LeastSquaresState, predicted: float) -> str:
        """Why to stop after a step; empty if there is no reason."""
        if self._flat(after):
            return FLAT
        if self._short(before, after.point - before.point):
            return SHORT
        small = self.decrease_tolerance * before.value
        return LEVEL if max(before.value - after.value, predicted) < small else ""

    def _short(self, state: LeastSquaresState, step: Any) -> bool:
        return norm(state.scale * step) <= self.step_tolerance * norm(state.scale * state.point)


@final
@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt(_LeastSquares):
    """Damped Gauss-Newton steps: the method for least squares, whether the start is good or not.

    A step p solves (J'J + mu D^2) p = -J'r. D holds the norms of the Jacobian's columns, which fall by half a step at
    most, so that units of parameters do not matter; mu falls after a good step and rises, faster and faster, after one
    that fails, or goes where residuals are not finite. The step is bent by the residuals' second derivative along it
    (geodesic acceleration), which is exact here: narrow curved valleys take a fraction of the steps. Dense
    Jacobians are decomposed, not squared: ill-conditioned problems keep their digits. Of sparse ones J'J is factored,
    after parameters that come in small independent blocks are eliminated.

    Args:
        damping: mu of the first step. With it small, the first step is nearly Gauss-Newton's.
        acceleration: how long the second-order part of a step may be, relative to the first-order one: a step for
            which it is longer counts as failed. None for steps of first order.

    The defaults of the tolerances ask for all digits: a decrease of 1e-6 is usual where the residuals are noise.
    Raises `SettingError` for settings that make no sense.

    Source: Marquardt, SIAM J. Appl. Math. 11 (1963); Moré, The Levenberg-Marquardt algorithm: implementation and
    theory (1978), for D (there norms never fall; that they may, slowly, helps where the start is far away); Nielsen,
    Damping parameter in Marquardt's method, report IMM-REP-1999-05, for mu (it falls faster here after steps whose
    decrease was foretold to a quarter); Transtrum & Sethna, Improvements to the
    Levenberg-Marquardt algorithm for nonlinear least-squares minimization, arXiv:1201.5885 (2012), for the bend.

    >>> import numpy as np
    >>> x = np.linspace(0.0, 3.0, 20)
    >>> y = 2.0 * np.exp(-1.5 * x)
    >>> problem = Residuals(lambda p, x, y: p["a"] * np.exp(p["b"] * x) - y, {"a": 1.0, "b": 0.0}, (x, y))
    >>> optimizer = LevenbergMarquardt()
    >>> state = optimizer.init(problem)
    >>> while not state.stopped:
    ...     state = optimizer.update(problem, state)
    >>> state.point.round(9)
    array([ 2. , -1.5])
    """

    damping: float = 1e-3
    acceleration: float | None = 0.75

    def __post_init__(self) -> None:
        self.require("damping", 0)
        if self.acceleration is not None:
            self.require("acceleration", 0)

    def init(self, problem: Residuals) -> LeastSquaresState:
        """The state at the problem's start."""
        return self._first(problem, self.damping)

    def update(self, problem: Residuals, state: LeastSquaresState) -> LeastSquaresState:
        """One step that decreases the value, at a damping that is raised until there is one."""
        if state.stopped:
            return state
        linear = state.system.at(state.jacobian, state.scale)
        damping, growth, evaluations = state.damping, state.growth, 0
        while damping < _LARGEST:
            solver = linear.damped(damping)
            step: Any = None if solver is None else solver.step(state.residuals)
            if solver is not None and np.isfinite(step).all():
                predicted = 0.5 * dot(step, damping * state.scale**2 * step - state.gradient)
                bent = self._bent(problem, state, solver, step)
                after = None if bent is None else self._tried(problem, state, _moved(state, bent))
                evaluations += bent is not None
                if after is not None and _accepted(state, after, predicted):
                    return self._settled(state, after, predicted, damping, evaluations)
                if predicted <= precision(state) * state.value:
                    return stopped(state, LEVEL, evaluations)
                if self._short(state, step):
                    return stopped(state, SHORT, evaluations)
            damping, growth = damping * growth, 2 * growth
        return stopped(state, STUCK, evaluations)

    def _bent(self, problem: Residuals, state: LeastSquaresState, solver: Solver, step: Any) -> Any:
        """A step with half the acceleration added to it; None where that is too long, or not finite."""
        if self.acceleration is None:
            return step
        with np.errstate(over="ignore", invalid="ignore"):
            second = solver.step(problem.second(state.point, step))
            if not norm(state.scale * second) <= self.acceleration * norm(state.scale * step):
                return None
        return step + 0.5 * second

    def _settled(
        self, before: LeastSquaresState, after: LeastSquaresState, predicted: float, damping: float, evaluations: int
    ) -> LeastSquaresState:
        """The state after a step. Nielsen's damping for the next one, or less where the decrease was foretold well."""
        gain = 1.0 if predicted <= noise(before) else (before.value - after.value) / predicted
        after = replace(
            after,
            damping=damping * (_FALL if abs(gain - 1) < _TRUE else max(1 / 3, 1 - (2 * gain - 1) ** 3)),
            growth=2.0,
            iterations=before.iterations + 1,
            evaluations=before.evaluations + evaluations,
        )
        return replace(after, stopped=self._ended(before, after, predicted))


@final
@dataclass(frozen=True, kw_only=True)
class GaussNewton(_LeastSquares):
    """Undamped Gauss-Newton steps, halved until the value decreases: for good starts and well-posed problems.

    Args:
        sufficient: the share of the decrease to first order that a step must bring.

    A sparse Jacobian must have full rank; of a dense one without, the shortest step is taken.
    Raises `SettingError` for settings that make no sense.

    Source: Nocedal & Wright, Numerical Optimization (2nd ed., 2006), section 10.3.

    >>> import numpy as np
    >>> problem = Residuals(lambda x: {"bend": 10 * (x[1] - x[0] ** 2), "end": 1 - x[0]}, np.array([-1.2, 1.0]))
    >>> optimizer = GaussNewton()
    >>> state = optimizer.init(problem)
    >>> while not state.stopped:
    ...     state = optimizer.update(problem, state)
    >>> state.point
    array([1., 1.])
    """

    sufficient: float = 1e-4

    def __post_init__(self) -> None:
        self.require("sufficient", 0, 1)

    def init(self, problem: Residuals) -> LeastSquaresState:
        """The state at the problem's start."""
        return self._first(problem, 0.0)

    def update(self, problem: Residuals, state: LeastSquaresState) -> LeastSquaresState:
        """One Gauss-Newton step, or a part of one."""
        if state.stopped:
            return state
        solver = state.system.at(state.jacobian, state.scale).damped(0.0)
        step = None if solver is None else solver.step(state.residuals)
        if step is None or not np.isfinite(step).all():
            return stopped(state, DEFICIENT)
        slope, length = dot(step, state.gradient), 1.0
        for evaluations in range(1, _HALVINGS + 1):
            after = self._tried(problem, state, _moved(state, length * step))
            predicted = -length * (1 - length / 2) * slope
            enough = after is not None and after.value <= state.value + self.sufficient * length * slope
            if after is not None and (enough or _level(state, after, predicted)):
                total = state.evaluations + evaluations
                ended = self._ended(state, after, predicted)
                return replace(after, iterations=state.iterations + 1, evaluations=total, stopped=ended)
            if predicted <= precision(state) * state.value:
                return stopped(state, LEVEL, evaluations)
            length /= 2
        return stopped(state, STUCK, _HALVINGS)


def half_square(residuals: Any) -> float:
    """Half the sum of squares, in float64; infinite where it overflows, nan where a residual is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return 0.5 * dot(residuals, residuals)


def column_norms(jacobian: Any) -> Any:
    """The Euclidean length of each column, of an array or a `csr_array`."""
    if isinstance(jacobian, np.ndarray):
        return np.sqrt(np.einsum("ij,ij->j", jacobian, jacobian, dtype=np.float64))
    squares = np.zeros(jacobian.shape[1])
    square_sums(jacobian.indices, jacobian.data, squares)
    return np.sqrt(squares)


def noise(state: LeastSquaresState) -> float:
    """How large a change of the value may be rounding: of its sum, and of parameters, which moves the residuals."""
    moved = norm(state.scale * state.point)
    return precision(state) * (_ROUNDING * state.value + 4 * float(np.sqrt(2 * state.value)) * moved)


def precision(state: LeastSquaresState) -> float:
    """The rounding unit of residuals and parameters, the larger one."""
    return float(max(np.finfo(v.dtype).eps for v in (state.residuals, state.point)))


def _accepted(before: LeastSquaresState, after: LeastSquaresState, predicted: float) -> bool:
    """Is a step worth taking?"""
    if predicted <= noise(before):
        return _level(before, after, predicted)
    return after.value < before.value


def _level(before: LeastSquaresState, after: LeastSquaresState, predicted: float) -> bool:
    """Is a step worth taking whose decrease drowns in rounding? Then the gradient must tell."""
    if predicted > noise(before):
        return False
    return norm(after.gradient / before.scale) < _WORTH * norm(before.scaled)


def _moved(state: LeastSquaresState, step: Any) -> Any:
    """The point after a step, in the parameters' dtype."""
    return state.point + step.astype(state.point.dtype, copy=False)


def _entries(jacobian: Any) -> Any:
    return jacobian if isinstance(jacobian, np.ndarray) else jacobian.data
