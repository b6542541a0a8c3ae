"""A photograph without its noise: 262,144 parameters, its pixels. `python -m benchmarks.fits.image`.

The photograph (512 by 512, scikit-image's `camera`) gets noise of 10 % of its range. The picture that is most likely
then, if neighbouring pixels tend to be alike, makes a smoothed total variation and the squared distance from the noisy
picture small (Rudin, Osher & Fatemi, Nonlinear total variation based noise removal algorithms, 1992). It is looked for
by L-BFGS and by Adam, with gradients by tapegrad, by hand in NumPy, and by PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

import tapegrad as tg
from benchmarks.clock import format_seconds
from benchmarks.fits.report import (
    Course,
    Fitter,
    draw_courses,
    has_torch,
    heading,
    options,
    race,
    reached,
    save,
    style,
    threads,
)
from benchmarks.table import grid

Picture: TypeAlias = NDArray[np.float64]

NOISE: Final = 0.1  # standard deviation, where black is 0 and white is 1
WEIGHT: Final = 8.0  # of the total variation
EPSILON: Final = 0.01  # differences between neighbours below it count less than they would
RATE: Final = 0.02  # of Adam
CLOSE: Final = 1e-4  # the target is the least loss that anybody finds, and so much of it


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """The photograph, the same with noise, and how many steps Adam and iterations L-BFGS get."""

    clean: Picture
    noisy: Picture
    steps: int
    iterations: int


def load(*, quick: bool) -> Problem:
    """The photograph, or a corner of it."""
    from skimage import data

    clean = data.camera() / 255.0
    if quick:
        clean = clean[80:144, 190:254]
    noisy = clean + NOISE * np.random.default_rng(0).normal(size=clean.shape)
    return Problem(clean, noisy, 40 if quick else 150, 10 if quick else 40)


# --- the model


def loss(x: Any, noisy: Any) -> Any:
    """What is made small: minus the logarithm of the density of the picture, given the noisy one."""
    down, right = np.diff(x, axis=0)[:, :-1], np.diff(x, axis=1)[:-1]
    variation = np.sum(np.sqrt(down**2 + right**2 + EPSILON**2))
    return WEIGHT * variation + np.sum((x - noisy) ** 2) / (2 * NOISE**2)


def fidelity(x: Picture, clean: Picture) -> float:
    """Peak signal-to-noise ratio, in decibels."""
    return float(-10 * np.log10(np.mean((x - clean) ** 2)))


# --- who fits it


def ours_bounded(problem: Problem, course: Course) -> Picture:
    """`tapegrad.minimize` by SciPy's L-BFGS-B."""
    found = tg.minimize(
        loss,
        problem.noisy,
        (problem.noisy,),
        method="L-BFGS-B",
        options={"maxiter": problem.iterations, "ftol": 0, "gtol": 0},
        callback=lambda intermediate_result: course.see(intermediate_result.fun),
    )
    picture: Picture = found.x
    return picture


def ours_adam(problem: Problem, course: Course) -> Picture:
    """`tapegrad.fit` by Adam."""
    found = tg.fit(
        loss,
        problem.noisy,
        (problem.noisy,),
        optimizer=tg.optimizers.Adam(RATE),
        epochs=problem.steps,
        callback=lambda epoch, _: course.see(epoch.loss),
        progress=False,
    )
    picture: Picture = found.params
    return picture


def ours_lbfgs(problem: Problem, course: Course) -> Picture:
    """`tapegrad.fit` by tapegrad's L-BFGS."""
    found = tg.fit(
        loss,
        problem.noisy,
        (problem.noisy,),
        optimizer=tg.optimizers.LBFGS(memory=10),
        epochs=problem.iterations,
        callback=lambda epoch, _: course.see(epoch.loss),
        progress=False,
    )
    picture: Picture = found.params
    return picture


def gradient_by_hand(x: Picture, noisy: Picture) -> tuple[float, Picture]:
    """Value and gradient in NumPy, with no more arrays than needed."""
    down, right = x[1:, :-1] - x[:-1, :-1], x[:-1, 1:] - x[:-1, :-1]
    length = down * down
    length += right * right
    length += EPSILON**2
    np.sqrt(length, out=length)
    gradient = x - noisy
    flat = gradient.reshape(-1)
    value = WEIGHT * float(length.sum()) + float(flat @ flat) / (2 * NOISE**2)
    gradient /= NOISE**2
    np.divide(WEIGHT, length, out=length)
    down *= length
    right *= length
    gradient[1:, :-1] += down
    gradient[:-1, 1:] += right
    down += right
    gradient[:-1, :-1] -= down
    return value, gradient


def hand_bounded(problem: Problem, course: Course) -> Picture:
    """SciPy with a gradient by hand."""
    from scipy.optimize import minimize as solve

    def value_and_grad(x: Any) -> tuple[float, Any]:
        value, gradient = gradient_by_hand(x.reshape(problem.noisy.shape), problem.noisy)
        return value, gradient.reshape(-1)

    found = solve(
        value_and_grad,
        problem.noisy.reshape(-1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": problem.iterations, "ftol": 0, "gtol": 0},
        callback=lambda intermediate_result: course.see(intermediate_result.fun),
    )
    picture: Picture = found.x.reshape(problem.noisy.shape)
    return picture


def hand_adam(problem: Problem, course: Course) -> Picture:
    """Adam in NumPy, in place, with a gradient by hand."""
    x = problem.noisy.copy()
    mean, square, scratch = np.zeros_like(x), np.zeros_like(x), np.empty_like(x)
    for step in range(1, problem.steps + 1):
        value, gradient = gradient_by_hand(x, problem.noisy)
        mean *= 0.9
        mean += np.multiply(gradient, 0.1, out=scratch)
        square *= 0.999
        gradient *= gradient
        square += np.multiply(gradient, 0.001, out=gradient)
        np.sqrt(square, out=scratch)
        scratch *= 1 / np.sqrt(1 - 0.999**step)
        scratch += 1e-8
        np.divide(mean, scratch, out=scratch)
        scratch *= RATE / (1 - 0.9**step)
        x -= scratch
        course.see(value)
    return x


def torch_loss(x: Any, noisy: Any) -> Any:
    """The loss in PyTorch's functions."""
    down, right = x.diff(dim=0)[:, :-1], x.diff(dim=1)[:-1]
    variation = (down.square() + right.square() + EPSILON**2).sqrt().sum()
    return WEIGHT * variation + (x - noisy).square().sum() / (2 * NOISE**2)


def torch_lbfgs(problem: Problem, course: Course) -> Picture:
    """PyTorch's L-BFGS, with a line search that keeps the strong Wolfe conditions; it tells of evaluations."""
    import torch

    noisy = torch.from_numpy(problem.noisy)
    x = noisy.clone().requires_grad_()
    rule = torch.optim.LBFGS(
        [x],
        max_iter=problem.iterations,
        history_size=10,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    def value_and_grad() -> Any:
        rule.zero_grad()
        value = torch_loss(x, noisy)
        value.backward()
        course.see(value.item())
        return value

    rule.step(value_and_grad)
    picture: Picture = x.detach().numpy()
    return picture


def torch_adam(problem: Problem, course: Course) -> Picture:
    """PyTorch's Adam."""
    import torch

    noisy = torch.from_numpy(problem.noisy)
    x = noisy.clone().requires_grad_()
    rule = torch.optim.Adam([x], lr=RATE)
    for _ in range(problem.steps):
        rule.zero_grad()
        value = torch_loss(x, noisy)
        value.backward()
        rule.step()
        course.see(value.item())
    picture: Picture = x.detach().numpy()
    return picture


# --- all of it

ADAM, LBFGS, BOUNDED = "tapegrad.fit, Adam", "tapegrad.fit, LBFGS", "tapegrad.minimize, SciPy's L-BFGS-B"
HAND_ADAM, HAND_BOUNDED = "NumPy by hand, Adam", "NumPy by hand, SciPy's L-BFGS-B"
TORCH_ADAM, TORCH_LBFGS = "PyTorch, Adam", "PyTorch, LBFGS"
FITTERS: Final = {
    ADAM: ours_adam,
    HAND_ADAM: hand_adam,
    TORCH_ADAM: torch_adam,
    LBFGS: ours_lbfgs,
    BOUNDED: ours_bounded,
    HAND_BOUNDED: hand_bounded,
    TORCH_LBFGS: torch_lbfgs,
}
RIVALS: Final = {name: ADAM if "Adam" in name else LBFGS for name in FITTERS}  # with whom of ours each is compared
SAME: Final = ((HAND_ADAM, ADAM), (TORCH_ADAM, ADAM), (HAND_BOUNDED, BOUNDED))  # who take the same steps


def contestants(problem: Problem) -> dict[str, Fitter]:
    """Everybody who fits, by name."""
    return {name: partial(f, problem) for name, f in FITTERS.items() if has_torch() or not name.startswith("PyTorch")}


def require_same_steps(courses: Mapping[str, Sequence[Course]]) -> None:
    """Adam goes the same way everywhere, and so does SciPy's L-BFGS-B."""
    for one, other in SAME:
        if one in courses:
            np.testing.assert_allclose(courses[one][0].losses, courses[other][0].losses, rtol=1e-6, err_msg=one)


def chambolle(problem: Problem) -> tuple[Picture, float]:
    """Another algorithm for the total variation that is not smoothed: the picture, and the seconds it took."""
    from skimage.restoration import denoise_tv_chambolle

    began = perf_counter()
    found: Picture = denoise_tv_chambolle(problem.noisy, weight=WEIGHT * NOISE**2, eps=1e-5, max_num_iter=200)
    return found, perf_counter() - began


def fidelities(problem: Problem, courses: Mapping[str, Sequence[Course]]) -> str:
    """How near to the photograph everybody came."""
    other, seconds = chambolle(problem)
    pictures = {"noisy": problem.noisy, **{name: runs[0].found for name, runs in courses.items()}}
    pictures["scikit-image, denoise_tv_chambolle"] = other
    rows = [
        [name, f"{float(loss(x, problem.noisy)):,.0f}", f"{fidelity(x, problem.clean):.2f} dB"]
        for name, x in pictures.items()
    ]
    note = f"scikit-image's function took {format_seconds(seconds)}; it makes another loss small."
    return grid(["", "loss", "signal to noise"], rows, left=1) + "\n\n" + note


def draw(courses: Mapping[str, Sequence[Course]], problem: Problem, least: float, close: float, path: Path) -> None:
    """The photograph, noisy, denoised; and losses over time."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11.5, 7.8), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1))
        denoised = courses[LBFGS][0].found
        shown = {"photograph": problem.clean, "with noise": problem.noisy, "denoised": denoised}
        for axes, (title, picture) in zip(above.subplots(1, 3), shown.items(), strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
            near = "" if picture is problem.clean else f": {fidelity(picture, problem.clean):.1f} dB"
            axes.set_title(title + near)
        panels = below.subplots(1, 2, sharey=True)
        for axes, ours, title in zip(panels, (ADAM, LBFGS), ("Adam", "L-BFGS"), strict=True):
            over = {n: [above_least(c, least) for c in runs] for n, runs in courses.items() if RIVALS[n] == ours}
            draw_courses(axes, over, close)
            axes.set(title=f"{title}: loss over time, above the least found", yscale="log")
        panels[0].set_ylabel("relative")
        save(figure, path)


def above_least(course: Course, least: float) -> Course:
    """How far losses lie above the least of all, relative to it."""
    return Course(course.bar, course.seconds, [max(x / least - 1, 1e-9) for x in course.losses])


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print the tables, save the picture."""
    chosen = options("image", __doc__, ".png", arguments)
    problem = load(quick=chosen.quick)
    with threads(chosen.threads):
        courses = race(contestants(problem), chosen.rounds)
    require_same_steps(courses)
    least = min(min(c.losses) for runs in courses.values() for c in runs)
    close = 0.02 if chosen.quick else CLOSE
    target = least * (1 + close)
    text = (
        f"{problem.noisy.size:,} parameters, noise of {NOISE:g}. Target: a loss of {target:,.0f}, the least that "
        f"anybody found and {close:g} of it. Rounds: {chosen.rounds}, threads: {chosen.threads}."
    )
    print(heading("Photograph", text))
    print(reached(courses, target, RIVALS, "steps"))
    print()
    print(fidelities(problem, courses))
    draw(courses, problem, least, close, chosen.out)
    print(f"\nPicture: {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
