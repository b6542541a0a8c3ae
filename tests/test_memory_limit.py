"""`memory_limit=`: the same numbers to the bit in less memory, by computing again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
import tapegrad.schedule.within as searching
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.gradient import _Gradient, _Options
from tapegrad.drivers.limits import bytes_of, readable, within
from tapegrad.drivers.recorded import trace
from tapegrad.errors import MemoryLimitError, NonFiniteError, SettingError, TapegradError, UnsupportedError
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.passes.share import share
from tapegrad.schedule.draft import Draft, drafted
from tapegrad.schedule.program import Program, schedule
from tapegrad.schedule.within import Over, schedule_within
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape
from tests.helpers import bits, record
from tests.random_programs import RandomChooser, write
from tests.row_cases import CASES
from tests.row_programs import write_rows
from tests.scheduled import row_case
from tests.test_programs import checking, seeds_of
from tests.test_schedule import digest

RNG: Final = np.random.default_rng(7)
MODES: Final = ("", "poison,bounds")


def full_tape(f: Callable[..., Any], *args: Any) -> tuple[Tape, list[Any]]:
    """The tape of value and gradient, as a driver makes it, and its inputs."""
    arguments = bind(args, (0,))
    simple = optimize(trace(f, arguments, scalar=True).tape)
    return optimize(optimize(adjoint(simple)), drop_stops=True), list(arguments.inputs)


def run(program: Program, inputs: Sequence[Any], threads: int = 1) -> list[bytes]:
    """The bits of its results."""
    shared = [not loop.history for loop in program.plan.loops] if threads > 1 else []
    results: Any = Runner(program, threads=threads, shared=shared)(inputs)
    return [bits(r) for r in results]


def limited(tape: Tape, limit: int) -> Program:
    """A program within a limit, or within the least that can be reached."""
    found = schedule_within(tape, limit)
    if isinstance(found, Over):
        assert found.least > limit
        limit, found = found.least, schedule_within(tape, found.least)
    assert not isinstance(found, Over), "what is said to be the least is not reached"
    assert found.workspace <= limit
    return found


def check(tape: Tape, inputs: Sequence[Any], share_of: float) -> Program:
    """Within a share of the usual workspace, with threads and checks, everything is the same to the bit."""
    usual = schedule(tape)
    found = limited(tape, int(usual.workspace * share_of))
    for threads in (1, 2):
        wanted = run(usual, inputs, threads)
        assert run(found, inputs, threads) == wanted
        with checking("poison,bounds"):
            checked = limited(tape, int(usual.workspace * share_of))
        assert (checked.workspace, checked.recomputed) == (found.workspace, found.recomputed)
        assert run(checked, inputs, threads) == wanted
    return found


# --- what a limit may be written as


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, None),
        (1, 1),
        (np.int64(4096), 4096),
        ("500 MB", 500_000_000),
        ("500MB", 500_000_000),
        (" 1 GiB ", 1 << 30),
        ("1.5 gib", 3 << 29),
        ("2kB", 2000),
        ("2KiB", 2048),
        ("10 b", 10),
        ("0.5 TB", 500_000_000_000),
        ("1 TiB", 1 << 40),
        (".5 kB", 500),
    ],
)
def test_limits_are_ints_or_text(given: Any, wanted: int | None) -> None:
    assert bytes_of(given, "grad") == wanted


@pytest.mark.parametrize(
    "given",
    [
        0,
        -1,
        True,
        1.5,
        "",
        "MB",
        "5",
        "5 XB",
        "5 MB MB",
        "1e3 MB",
        "-5 MB",
        "0 MB",
        "0.1 B",
        b"5 MB",
        (5,),
        "\u0665 MB",
    ],
)
def test_other_limits_are_refused(given: Any) -> None:
    for make, name in ((tg.value_and_grad, "value_and_grad"), (tg.grad, "grad")):
        with pytest.raises(SettingError) as caught:
            make(np.sum, memory_limit=given)
        text = str(caught.value)
        assert f"{name}: found memory_limit={given!r}; wanted a positive number of bytes" in text
        assert "test_memory_limit.py" in text


def test_bytes_are_written_short() -> None:
    assert [readable(n) for n in (0, 999, 1000, 999_499, 999_500, 10**9, 10**12, 1234 * 10**12)] == [
        "0 bytes", "999 bytes", "1 kB", "999 kB", "1 MB", "1 GB", "1 TB", "1.23e+03 TB",
    ]  # fmt: skip


# --- models


def layers(n: int = 24, width: int = 8, batch: int = 5) -> tuple[Any, ...]:
    """A chain of layers; too small to be cut into tiles."""

    def loss(weights: Any, x: Any) -> Any:
        for w in weights:
            x = np.tanh(x @ w)
        return np.sum(x * x)

    weights = [RNG.normal(size=(width, width)) / math.sqrt(width) for _ in range(n)]
    return loss, weights, RNG.normal(size=(batch, width))


def recurrent(steps: int = 60, hidden: int = 6) -> tuple[Any, ...]:
    def loss(p: Any, xs: Any) -> Any:
        h = np.zeros(hidden)
        for t in range(steps):
            h = np.tanh(h @ p["w"] + xs[t] @ p["u"] + p["b"])
        return np.sum(h * h)

    p = {"w": RNG.normal(size=(hidden, hidden)), "u": RNG.normal(size=(3, hidden)), "b": np.zeros(hidden)}
    return loss, p, RNG.normal(size=(steps, 3))


def scalars(steps: int = 200) -> tuple[Any, ...]:
    def loss(x: Any) -> Any:
        a, b = x[0], x[1]
        for _ in range(steps):
            a, b = a + 0.01 * np.sin(b), b - 0.01 * a * b
        return a * b

    return loss, np.array([0.3, 0.4])


def attention(blocks: int = 3, rows: int = 12, width: int = 6) -> tuple[Any, ...]:
    def loss(params: Any, x: Any) -> Any:
        for p in params:
            scores = (x @ p["q"]) @ np.transpose(x @ p["k"])
            e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
            x = x + (e / np.sum(e, axis=-1, keepdims=True)) @ (x @ p["v"])
            x = (x - np.mean(x, axis=-1, keepdims=True)) / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-3)
        return np.mean(x**4)

    params = [{name: RNG.normal(size=(width, width)) for name in "qkv"} for _ in range(blocks)]
    return loss, params, RNG.normal(size=(rows, width))


def masked(n: int = 40) -> tuple[Any, ...]:
    """Logarithms of negative numbers that are not taken: masked adjoints, infinite partials."""

    def loss(x: Any) -> Any:
        y = x
        for k in range(6):
            y = np.where(y > 0.1 * k, np.log(y), np.sqrt(1.0 + y * y))
        return np.sum(y)

    x = RNG.normal(size=n)
    x[3] = 0.0
    return loss, x


def assigned(n: int = 12) -> tuple[Any, ...]:
    """Items and rows that are written over while older ones are needed."""

    def loss(x: Any) -> Any:
        table = tnp.zeros((n, 5)) + x[:5]
        for k in range(1, n):
            table[k] = np.sin(table[k - 1]) * x[k % 5]
            table[k, 2] += table[k - 1, 1] ** 2
        return np.sum(table * np.cos(table))

    return loss, RNG.normal(size=6)


def gathered(n: int = 30) -> tuple[Any, ...]:
    index = RNG.integers(0, 20, (6, n))

    def loss(table: Any) -> Any:
        x = table[index[0]]
        for k in range(1, 6):
            x = np.tanh(x) + np.exp(-(table[index[k]] ** 2))
        return np.sum(np.bincount(index[0], x, 20) * table)

    return loss, RNG.normal(size=20)


def decomposed(n: int = 4) -> tuple[Any, ...]:
    """Eager instructions: the sweep stops for them, and they are allowed again."""

    def loss(a: Any) -> Any:
        x = a
        for _ in range(5):
            x = np.linalg.inv(np.eye(n) * 3.0 + np.tanh(x))
        return np.sum(x * x) + np.linalg.slogdet(np.eye(n) * 5 + x)[1]

    return loss, RNG.normal(size=(n, n))


MODELS: Final[dict[str, Callable[[], tuple[Any, ...]]]] = {
    f.__name__: f for f in (layers, recurrent, scalars, attention, masked, assigned, gathered, decomposed)
}


@pytest.mark.parametrize("share_of", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("name", MODELS)
def test_less_memory_gives_the_same_bits(name: str, share_of: float) -> None:
    f, *args = MODELS[name]()
    found = check(*full_tape(f, *args), share_of)
    assert found.recomputed or name in {"assigned", "gathered"}


@pytest.mark.parametrize("name", ["layers", "recurrent", "scalars", "attention"])
def test_float32_too(name: str) -> None:
    f, *args = MODELS[name]()
    tape, inputs = full_tape(f, *_single(args))
    assert tape.dtype == np.float32
    assert check(tape, inputs, 0.5).recomputed


def _single(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_single(v) for v in value]
    if isinstance(value, dict):
        return {k: _single(v) for k, v in value.items()}
    return np.asarray(value, np.float32)


@pytest.mark.parametrize(
    ("name", "least"), [("layers", 0.45), ("recurrent", 0.15), ("scalars", 0.1), ("attention", 0.6)]
)
def test_how_little_memory_is_enough(name: str, least: float) -> None:
    """Of the usual workspace; a chain of n steps needs a share that goes to 0 with n."""
    f, *args = MODELS[name]()
    tape, inputs = full_tape(f, *args)
    usual = schedule(tape)
    found = schedule_within(tape, int(least * usual.workspace))
    assert isinstance(found, Program)
    assert run(found, inputs) == run(usual, inputs)


def test_memory_of_a_chain_grows_with_the_root_of_its_length_or_less() -> None:
    least = []
    for steps in (100, 400, 1600):
        over = schedule_within(full_tape(*scalars(steps))[0], 64)
        assert isinstance(over, Over)
        least.append(over.least)
    assert least[2] < 2.2 * least[1] < 5 * least[0]


def test_one_more_forward_part_is_enough_for_the_root() -> None:
    """One level of segments computes nothing more than once again."""
    tape, _ = full_tape(*scalars(1600))
    usual = schedule(tape)
    found = schedule_within(tape, usual.workspace // 10)
    assert isinstance(found, Program)
    assert 0 < found.recomputed < (tape.dependents[0] + 1)


def test_a_looser_limit_computes_less_again() -> None:
    tape, _ = full_tape(*layers())
    usual = schedule(tape)
    counts = [limited(tape, int(usual.workspace * s)).recomputed for s in (0.98, 0.8, 0.6, 0.4)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


# --- what must not change


@pytest.mark.parametrize("name", MODELS)
def test_what_fits_is_left_alone(name: str) -> None:
    f, *args = MODELS[name]()
    tape, _ = full_tape(f, *args)
    usual = schedule(tape)
    for limit in (usual.workspace, 10**12):
        tape_, program = within(tape, limit)
        assert program.recomputed == 0
        assert digest(program) == digest(usual)
        assert len(tape_) == len(usual.tape)


def test_it_is_the_last_of_all_passes() -> None:
    """Sharing undoes it: that shows that it had done something."""
    tape, _ = full_tape(*layers())
    program = limited(tape, schedule(tape).workspace // 2)
    assert len(program.tape) > len(tape)
    assert len(optimize(share(program.tape))) <= len(tape)


def test_guards_and_users_functions_run_once() -> None:
    calls = []

    @tg.primitive
    def cube(x: Any) -> Any:
        calls.append(0)
        return x**3

    @cube.defvjp
    def _(g: Any, y: Any, x: Any) -> Any:
        return (3.0 * g * x * x,)

    def loss(x: Any) -> Any:
        for _ in range(8):
            x = np.tanh(cube(np.sin(x)) + x)
            if x[0] > 5.0:
                return np.sum(x)
        return np.sum(x * x)

    tape, inputs = full_tape(loss, RNG.normal(size=9))
    usual = schedule(tape)
    program = limited(tape, int(usual.workspace * 0.6))
    assert program.recomputed
    for name in ("primitive", *{op.name for op in OPS if op.effect}):
        codes = [code for code, op in enumerate(OPS) if op.name == name]
        assert np.isin(program.tape.opcodes, codes).sum() == np.isin(tape.opcodes, codes).sum()
    del calls[:]
    assert run(program, inputs) == run(usual, inputs)
    assert len(calls) == 16


def test_a_failing_guard_records_anew() -> None:
    def loss(x: Any) -> Any:
        for k in range(12):
            x = np.sin(x) * 1.1 if x[0] > 0 else np.cos(x) - 0.1 * k
        return np.sum(x)

    usual = tg.value_and_grad(loss)
    limit = tg.value_and_grad(loss, memory_limit=1600)
    for start in (0.5, -0.5, 0.7, -0.9, 0.5):
        x = np.linspace(start, 1.0, 30)
        (v, g), (w, h) = usual(x), limit(x)
        assert v == w
        np.testing.assert_array_equal(g, h)


# --- loops over rows


@pytest.mark.parametrize("share_of", [0.7, 0.4])
@pytest.mark.parametrize("name", [name for name, c in CASES.items() if c.tiled])
def test_losses_in_tiles(name: str, share_of: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tape, inputs = row_case(name, 33)
    monkeypatch.setattr(searching, "drafted", lambda t: drafted(t, 5))
    usual = schedule(tape, height=5)
    program = limited(tape, int(usual.workspace * share_of))
    assert [loop.height for loop in program.plan.loops] == [loop.height for loop in usual.plan.loops]
    for threads in (1, 2):
        assert run(program, inputs, threads) == run(usual, inputs, threads)


def test_what_two_loops_read_is_computed_in_both() -> None:
    """A normalisation over rows takes two loops; what the second one reads of the first is not kept in full."""

    def loss(p: Any, x: Any) -> Any:
        y = np.tanh(np.tanh(x * p["a"]) + p["b"])
        z = np.exp((y - np.mean(y, axis=0)) / np.std(y, axis=0))
        return np.mean(np.sin(z * p["c"])) / np.mean(z)

    p = {name: RNG.normal(size=4) for name in "abc"}
    tape, inputs = full_tape(loss, p, RNG.normal(size=(20_000, 4)))
    usual = schedule(tape)
    assert len(usual.plan.loops) > 1
    program = check(tape, inputs, 0.75)
    assert program.recomputed
    assert len(program.plan.loops) == len(usual.plan.loops)


# --- drivers


def test_drivers_with_all_their_options() -> None:
    loss, weights, x = layers()
    usual = tg.value_and_grad(loss)(weights, x)
    tape, _ = full_tape(loss, weights, x)
    limit = f"{schedule(tape).workspace // 2} B"
    for options in ({}, {"debug": True}):
        for _ in range(2):  # the long way, then the short one
            found = tg.value_and_grad(loss, memory_limit=limit, **options)(weights, x)
            assert found[0] == usual[0]
            for g, w in zip(found[1], usual[1], strict=True):
                np.testing.assert_array_equal(g, w)
    with_aux = tg.grad(lambda w, x: (loss(w, x), {"first": np.tanh(x @ w[0])}), has_aux=True, memory_limit=limit)
    gradient, aux = with_aux(weights, x)
    np.testing.assert_allclose(aux["first"], np.tanh(x @ weights[0]), rtol=1e-14)
    for g, w in zip(gradient, usual[1], strict=True):
        np.testing.assert_array_equal(g, w)


def test_the_limit_holds_for_what_runs() -> None:
    loss, weights, x = layers()
    workspace = schedule(full_tape(loss, weights, x)[0]).workspace
    made = _Gradient(loss, 0, _Options(aux=False, debug=False, touched=False, limit=workspace // 2))
    made((weights, x))
    (recordings,) = made.recorded.recordings.values()
    program = recordings[0].runner.program
    assert program.workspace <= workspace // 2
    assert program.recomputed > 0
    assert len(program.code.records) > 0


def test_debug_names_the_line_within_a_limit() -> None:
    def loss(x: Any) -> Any:
        for _ in range(10):
            x = np.sin(x)
        return np.sum(np.log(x - 2.0))

    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="log"):
        tg.value_and_grad(loss, memory_limit=1500, debug=True)(np.linspace(0, 1, 30))


def test_touched_rows_within_a_limit() -> None:
    index = RNG.integers(0, 50, 20)

    def loss(table: Any) -> Any:
        x = table[index]
        for _ in range(12):
            x = np.tanh(x * 1.5) + 0.1
        return np.sum(x)

    table = RNG.normal(size=(50, 4))
    usual = tg.grad(loss, touched_rows=True)(table)
    found = tg.grad(loss, touched_rows=True, memory_limit="6 kB")(table)
    np.testing.assert_array_equal(found.rows, usual.rows)
    np.testing.assert_array_equal(found.values, usual.values)


def test_second_derivatives_take_a_limit_at_the_outermost_call() -> None:
    def inner(x: Any) -> Any:
        return np.sum(np.sin(x) * x)

    def outer(x: Any) -> Any:
        for _ in range(8):
            x = np.tanh(tg.grad(inner)(x))
        return np.sum(x**2)

    x = RNG.normal(size=40)
    workspace = schedule(full_tape(outer, x)[0]).workspace
    found = tg.grad(outer, memory_limit=int(workspace * 0.6))(x)
    np.testing.assert_array_equal(found, tg.grad(outer)(x))
    with pytest.raises(UnsupportedError, match="memory_limit=4096 within a recorded function; wanted a limit at the"):
        tg.grad(lambda x: np.sum(tg.grad(inner, memory_limit=4096)(x)))(x)


def test_fit_and_minimize() -> None:
    def loss(p: Any, x: Any, y: Any) -> Any:
        for w in p["w"]:
            x = np.tanh(x @ w)
        return np.mean((x[:, 0] - y) ** 2)

    start = {"w": [RNG.normal(size=(6, 6)) for _ in range(10)]}
    x, y = RNG.normal(size=(40, 6)), RNG.normal(size=40) * 0.1
    usual, found = (tg.fit(loss, start, (x, y), batch_size=20, epochs=3, memory_limit=m) for m in (None, "9 kB"))
    for a, b in zip(usual.params["w"], found.params["w"], strict=True):
        np.testing.assert_array_equal(a, b)
    usual, found = (tg.minimize(loss, start, (x, y), options={"maxiter": 5}, memory_limit=m) for m in (None, "14 kB"))
    assert usual.fun == found.fun
    with pytest.raises(MemoryLimitError):
        tg.fit(loss, start, (x, y), memory_limit="1 kB")
    with pytest.raises(SettingError, match="memory_limit='1 MB' with LBFGS"):
        tg.fit(loss, start, (x, y), optimizer=tg.optimizers.LBFGS(), memory_limit="1 MB")
    with pytest.raises(UnsupportedError, match="memory_limit with method='Newton-CG'"):
        tg.minimize(loss, start, (x, y), method="newton-cg", memory_limit="1 MB")
    with pytest.raises(SettingError, match="fit: found memory_limit='much'"):
        tg.fit(loss, start, (x, y), memory_limit="much")


# --- what is too little


def test_too_small_a_limit_says_the_least_and_the_line() -> None:
    def loss(x: Any) -> Any:
        small = np.sin(x)
        wide = np.outer(small, small)  # the line that holds most
        return np.sum(np.exp(wide) * np.cos(wide))

    x = np.linspace(0, 1, 100)
    with pytest.raises(MemoryLimitError) as caught:
        tg.value_and_grad(loss, memory_limit="500 B")(x)
    text = str(caught.value)
    assert isinstance(caught.value, (TapegradError, MemoryError))
    assert text.startswith("memory_limit: found a limit of 500 bytes for a sweep that needs at least ")
    assert "test_memory_limit.py" in text
    least = int(text.partition("wanted a limit of at least ")[2].split()[0])
    value, gradient = tg.value_and_grad(loss, memory_limit=least)(x)
    wanted = tg.value_and_grad(loss)(x)
    assert value == wanted[0]
    np.testing.assert_array_equal(gradient, wanted[1])
    with pytest.raises(MemoryLimitError):
        tg.value_and_grad(loss, memory_limit=least - 1)(x)


def test_a_tape_without_a_reverse_part_has_nothing_to_compute_again() -> None:
    tape = tg.record(lambda x: np.sum(np.sin(x) * np.cos(x)), np.ones(5)).tape
    with pytest.raises(MemoryLimitError):
        within(tape, 8)
    assert within(tape, None)[1].recomputed == 0


# --- random programs


def check_program(program: Any, seed: int, height: int | None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Half and a quarter of the usual workspace, or the least that there is; was anything computed again?"""
    args = program.draw(seed)
    simple = optimize(record(program.record, args, program.independent, program.dtype))
    tape = optimize(optimize(adjoint(simple, seed_inputs=not program.scalar)), drop_stops=True)
    seeds = [] if program.scalar else seeds_of(program, simple, np.random.default_rng(seed))
    monkeypatch.setattr(searching, "drafted", lambda t: drafted(t, height))
    usual = schedule(tape, height=height)
    again = False
    for part in (2, 4):
        for modes in MODES:
            with checking(modes):
                found = limited(tape, max(usual.workspace // part, 1)) if usual.workspace else usual
            again |= found.recomputed > 0
            for threads in (1, 2):
                assert run(found, args + seeds, threads) == run(usual, args + seeds, threads), (part, modes, threads)
    return again


def test_random_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [
        check_program(write(RandomChooser(np.random.default_rng(seed))), seed, None, monkeypatch)
        for seed in range(4000, 4060)
    ]
    assert sum(again) >= 10


def test_random_programs_with_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [
        check_program(write_rows(RandomChooser(np.random.default_rng(seed))), seed, (None, 0, 3)[seed % 3], monkeypatch)
        for seed in range(4000, 4060)
    ]
    assert sum(again) >= 10


def test_a_copy_of_other_values_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: one instruction that is there again reads another slot."""
    tape, inputs = full_tape(*layers())
    usual = schedule(tape)

    def spoilt(draft: Draft, longer: Tape, origin: Any, late: Any) -> Any:
        operands = longer.operands.copy()
        i = int(np.flatnonzero(late & (origin == origin[late].max()))[0])
        earlier = np.flatnonzero((longer.type_ids == longer.type_ids[i]) & (np.arange(len(longer)) < i))
        at = longer.starts[i]
        operands[at] = next(s for s in earlier if s != operands[at])
        return original(draft, replace(longer, operands=operands), origin, late)

    original = searching.repeated
    monkeypatch.setattr(searching, "repeated", spoilt)
    assert run(limited(tape, int(usual.workspace * 0.7)), inputs) != run(usual, inputs)
