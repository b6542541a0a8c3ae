"""Bundle adjustment in small: the scene, its derivatives, and a fit to the end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import tapegrad as tg
from benchmarks.fits import bundle, bundle_by_hand, bundle_scene
from tapegrad.drivers import compressed
from tapegrad.optimizers import Residuals
from tapegrad.optimizers.elimination import EliminatedSystem, sparse_system
from tapegrad.sparse.recovery import plan_jacobian


@pytest.fixture(scope="module")
def scene():
    return bundle_scene.make(10, 60, 4, 1)


def test_rotations_are_scipys(rng):
    vectors, points = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    vectors[:5] *= 1e-6
    np.testing.assert_allclose(
        bundle_scene.rotated(vectors, points), Rotation.from_rotvec(vectors).apply(points), rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-5, 1e-3, 1.0])
def test_rotations_have_derivatives_everywhere(size):
    """Near 0, too, where the formula divides 0 by 0; central differences step over that."""
    vector, point = size * np.array([[0.6, -0.64, 0.48]]), np.array([[1.0, 2.0, -3.0]])
    found = tg.jacobian(bundle_scene.rotated)(vector, point)[0, :, 0]
    step = 1e-4
    for k in range(3):
        moved = step * np.eye(3)[k]
        up, down = (Rotation.from_rotvec(v).apply(point)[0] for v in (vector + moved, vector - moved))
        np.testing.assert_allclose(found[:, k], (up - down) / (2 * step), atol=1e-6)


def test_a_scene_is_what_it_says(scene):
    assert len(scene.camera) == len(scene.point) == len(scene.seen) == 240
    pairs = set(zip(scene.camera.tolist(), scene.point.tolist(), strict=True))
    assert len(pairs) == 240
    noise = bundle_scene.residuals(scene.truth, *scene.data)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(bundle_scene.NOISE, rel=0.1)
    cameras = scene.truth["cameras"][scene.camera]
    inside = bundle_scene.rotated(cameras[:, :3], scene.truth["points"][scene.point]) + cameras[:, 3:6]
    assert (inside[:, 2] < -2).all()  # in front
    again = bundle_scene.make(10, 60, 4, 1)
    np.testing.assert_array_equal(again.seen, scene.seen)
    assert not np.array_equal(bundle_scene.make(10, 60, 4, 2).seen, scene.seen)


def test_the_jacobian_is_right_and_takes_two_sweeps(scene, monkeypatch):
    seen = []
    renamed = compressed.renamed
    monkeypatch.setattr(compressed, "renamed", lambda r, *rest: seen.append((r.mode, r.count)) or renamed(r, *rest))
    problem = Residuals(bundle_scene.residuals, scene.start, scene.data, sparse=True)
    found = problem.jacobian(problem.start)
    dense = Residuals(bundle_scene.residuals, scene.start, scene.data, sparse=False).jacobian(problem.start)
    np.testing.assert_allclose(found.toarray(), dense, rtol=1e-12, atol=1e-12)
    assert found.nnz == 12 * found.shape[0]
    by_hand = bundle_by_hand.jacobian(scene.start, *scene.data[:2])
    assert bundle.difference(found, by_hand) < 1e-13
    mode, recovery = plan_jacobian(found.astype(bool))
    assert (mode, recovery.count) == ("forward", 12)  # of the parameters; from the gathered ones on it takes less
    assert seen == [("reverse", 2)]
    rng = np.random.default_rng(0)
    direction = rng.normal(size=found.shape[1])
    step = 1e-6
    up, down = (problem.residuals(problem.start + s * step * direction) for s in (1, -1))
    np.testing.assert_allclose(found @ direction, (up - down) / (2 * step), rtol=1e-5, atol=1e-3)


def test_points_are_what_is_eliminated(scene):
    problem = Residuals(bundle_scene.residuals, scene.start, scene.data, sparse=True)
    system = sparse_system(problem.jacobian(problem.start))
    assert isinstance(system, EliminatedSystem)
    np.testing.assert_array_equal(system.blocks.kept, np.arange(90))
    np.testing.assert_array_equal(system.blocks.sizes, 3)


def test_alignment_undoes_what_pictures_cannot_tell(scene):
    turn = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    true = scene.truth
    moved = {"cameras": true["cameras"].copy(), "points": 2.5 * true["points"] @ turn.T + [1.0, 2.0, 3.0]}
    turns = Rotation.from_rotvec(true["cameras"][:, :3]).as_matrix() @ turn.T
    middles = 2.5 * bundle.centres(true) @ turn.T + [1.0, 2.0, 3.0]
    moved["cameras"][:, :3] = Rotation.from_matrix(turns).as_rotvec()
    moved["cameras"][:, 3:6] = -np.einsum("kij,kj->ki", turns, middles)
    same = bundle_scene.residuals(moved, *scene.data)
    np.testing.assert_allclose(same, bundle_scene.residuals(true, *scene.data), atol=1e-9)
    assert bundle.off(moved, true) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(bundle.aligned(moved, true)["cameras"], bundle.centres(true), atol=1e-10)


def test_the_small_fit_goes_down_to_the_noise(tmp_path, capsys):
    report = bundle.main(["--small", "--out", str(tmp_path), "--budget", "60"])
    scene, costs = report.scene, report.ours.costs
    assert bundle.pixels(costs[0], scene) > 20
    assert bundle.pixels(costs[-1], scene) == pytest.approx(scene.floor, rel=0.05)
    assert all(after < before for before, after in pairwise(costs))
    assert bundle.off(report.fitted, scene.truth) < 0.05 * bundle.off(scene.start, scene.truth)
    assert report.theirs is not None
    assert report.theirs.costs[-1] == pytest.approx(costs[-1], rel=bundle.SAME)
    assert report.difference < 1e-12
    text = (tmp_path / "bundle.md").read_text()
    assert text == capsys.readouterr().out[: len(text)]
    assert "400 blocks of 3 eliminated, 108 columns left" in text
    assert (tmp_path / "bundle.png").stat().st_size > 10_000
