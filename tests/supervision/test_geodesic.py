"""Geodesic distance against Dijkstra, on explicit graphs and step by step."""

import heapq
from itertools import product
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from voxseed.errors import ShapeError
from voxseed.supervision.geodesic import geodesic_distance

OFFSETS = [offset for offset in product((-1, 0, 1), repeat=3) if offset != (0, 0, 0)]


def step_cost(image, a, b, spacing, gradient_weight, length_scale_mm, scale, combine):
    length = np.linalg.norm((np.array(a) - b) * spacing)
    contrast = np.linalg.norm((image[(slice(None), *a)].astype(float) - image[(slice(None), *b)]) / scale)
    terms = (1 - gradient_weight) * length / length_scale_mm, gradient_weight * contrast
    return sum(terms) if combine == "sum" else np.hypot(*terms)


def neighbours(voxel, shape):
    for offset in OFFSETS:
        other = tuple(int(v) for v in np.add(voxel, offset))
        if all(0 <= index < size for index, size in zip(other, shape, strict=True)):
            yield other


def slow_distance(image, seeds, valid, *cost_arguments):
    """Dijkstra as in a textbook."""
    distance = np.full(seeds.shape, np.inf)
    queue = [(0.0, tuple(int(v) for v in seed)) for seed in np.argwhere(seeds & valid)]
    for _, seed in queue:
        distance[seed] = 0
    heapq.heapify(queue)
    while queue:
        here, voxel = heapq.heappop(queue)
        if here > distance[voxel]:
            continue
        for other in neighbours(voxel, seeds.shape):
            there = here + step_cost(image, voxel, other, *cost_arguments)
            if valid[other] and there < distance[other]:
                distance[other] = there
                heapq.heappush(queue, (there, other))
    return distance


def graph_distance(image, seeds, valid, spacing, gradient_weight, length_scale_mm, scale, combine):
    """scipy's Dijkstra on all edges between valid voxels."""
    numbers = np.arange(seeds.size).reshape(seeds.shape)
    values = image.astype(float) / np.reshape(scale, (-1, 1, 1, 1))
    rows, columns, costs = [], [], []
    for offset in OFFSETS:
        here = tuple(slice(max(-o, 0), size - max(o, 0)) for o, size in zip(offset, seeds.shape, strict=True))
        there = tuple(slice(max(o, 0), size - max(-o, 0)) for o, size in zip(offset, seeds.shape, strict=True))
        length = (1 - gradient_weight) * np.linalg.norm(np.multiply(offset, spacing)) / length_scale_mm
        contrast = gradient_weight * np.linalg.norm(
            values[(slice(None), *here)] - values[(slice(None), *there)], axis=0
        )
        cost = length + contrast if combine == "sum" else np.hypot(length, contrast)
        both = valid[here] & valid[there]
        rows.append(numbers[here][both])
        columns.append(numbers[there][both])
        costs.append(np.maximum(cost[both], 1e-30))  # scipy takes 0 for no edge
    graph = coo_array(
        (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), shape=(seeds.size, seeds.size)
    )
    return dijkstra(graph.tocsr(), indices=numbers[seeds & valid], min_only=True).reshape(seeds.shape)


def assert_same(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    reached = np.isfinite(expected)
    np.testing.assert_allclose(found[reached], expected[reached], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("combine", ["sum", "quadrature"])
@pytest.mark.parametrize("gradient_weight", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_scipy_on_a_noisy_anisotropic_volume_with_holes(combine, gradient_weight, channels):
    rng = np.random.default_rng(7)
    shape = (17, 9, 12)
    image = rng.normal(size=(channels, *shape)).astype(np.float32)
    image[:, 5:9] += 4
    seeds = rng.random(shape) < 0.003
    seeds[3, 4, 5] = True
    valid = rng.random(shape) < 0.9
    arguments = ((0.7, 1.3, 3.0), gradient_weight, 2.5, np.linspace(0.5, 2.0, channels), combine)
    assert_same(
        geodesic_distance(
            image,
            seeds,
            valid,
            arguments[0],
            gradient_weight=gradient_weight,
            length_scale_mm=2.5,
            intensity_scale=arguments[3],
            combine=combine,
        ),
        graph_distance(image, seeds, valid, *arguments),
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    gradient_weight=st.floats(0, 1),
    combine=st.sampled_from(["sum", "quadrature"]),
    step=st.sampled_from([0.0, 1.0, 1000.0]),
)
def test_equals_the_textbook_on_small_volumes_of_few_values(seed, shape, gradient_weight, combine, step):
    rng = np.random.default_rng(seed)
    image = (rng.integers(0, 3, size=(1, *shape)) * step).astype(np.float32)
    seeds, valid = rng.random(shape) < 0.2, rng.random(shape) < 0.8
    spacing = tuple(rng.uniform(0.5, 4, size=3))
    found = geodesic_distance(
        image, seeds, valid, spacing, gradient_weight=gradient_weight, length_scale_mm=3.0, combine=combine
    )
    assert_same(found, slow_distance(image, seeds, valid, spacing, gradient_weight, 3.0, 1.0, combine))


@pytest.mark.parametrize(
    ("row", "gradient_weight", "combine", "expected"),
    [
        ([0, 0, 0, 0], 0.0, "sum", [0, 1, 2, 3]),  # 2 mm steps, a length scale of 2 mm
        ([0, 0, 4, 4], 1.0, "sum", [0, 0, 4, 4]),
        ([0, 3, 3, 3], 0.5, "sum", [0, 2, 2.5, 3]),
        ([0, 8 / 3, 0, 0], 0.6, "quadrature", [0, 1.6492423, 3.2984845, 3.6984845]),  # hypot(0.4, 1.6), 0.4
    ],
)
def test_a_row_of_four_voxels(row, gradient_weight, combine, expected):
    image = np.array(row, np.float32).reshape(1, 4, 1, 1)
    seeds = np.zeros((4, 1, 1), bool)
    seeds[0] = True
    found = geodesic_distance(
        image,
        seeds,
        np.ones_like(seeds),
        (2.0, 9.0, 9.0),
        gradient_weight=gradient_weight,
        length_scale_mm=2.0,
        combine=combine,
    )
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)


def test_goes_round_a_wall_that_is_not_valid_and_never_beyond_it_where_it_is_closed():
    image = np.zeros((1, 5, 5, 1), np.float32)
    seeds, valid = np.zeros((5, 5, 1), bool), np.ones((5, 5, 1), bool)
    seeds[0, 0] = True
    valid[2, :4] = False
    arguments = {"gradient_weight": 0.0, "length_scale_mm": 1.0}
    open_wall = geodesic_distance(image, seeds, valid, (1, 1, 1), **arguments)
    assert open_wall[4, 0, 0] == pytest.approx(4 * np.sqrt(2) + 4)  # 0,0 → 2,4 by (0,0)(0,1)(0,2)(1,3)(2,4), and back
    assert np.isinf(open_wall[2, 0, 0])
    valid[2, 4] = False
    assert np.isinf(geodesic_distance(image, seeds, valid, (1, 1, 1), **arguments)[3:]).all()


def test_without_a_valid_seed_nothing_is_reached():
    seeds, valid = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    seeds[1, 1, 1], valid[1, 1, 1] = True, False
    found = geodesic_distance(
        np.zeros((1, 3, 3, 3), np.float32), seeds, valid, (1, 1, 1), gradient_weight=0.5, length_scale_mm=1
    )
    assert np.isinf(found).all()


def test_one_voxel_of_enormous_contrast_costs_no_exactness():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 7, 7, 7)).astype(np.float32)
    image[0, 3, 3, 3] = 1e9
    seeds = np.zeros((7, 7, 7), bool)
    seeds[0, 0, 0] = True
    valid = np.ones_like(seeds)
    found = geodesic_distance(image, seeds, valid, (1, 1, 1), gradient_weight=0.8, length_scale_mm=1)
    assert_same(found, graph_distance(image, seeds, valid, (1, 1, 1), 0.8, 1.0, 1.0, "sum"))


def test_two_threads_at_once_do_not_disturb_each_other():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(1, 24, 24, 24)).astype(np.float32)
    valid = np.ones(image.shape[1:], bool)
    found = {}

    def run(name, corner):
        seeds = np.zeros_like(valid)
        seeds[corner, corner, corner] = True
        found[name] = geodesic_distance(image, seeds, valid, (1, 1, 1), gradient_weight=0.8, length_scale_mm=4)

    threads = [Thread(target=run, args=(name, corner)) for name, corner in (("first", 0), ("last", -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = dict(found)
    run("first", 0)
    run("last", -1)
    np.testing.assert_array_equal(together["first"], found["first"])
    np.testing.assert_array_equal(together["last"], found["last"])
    assert found["first"][-1, -1, -1] == pytest.approx(found["last"][0, 0, 0], rel=1e-5)


def test_another_grid_is_an_error():
    with pytest.raises(ShapeError, match=r"found \(1, 3, 3, 3\), \(3, 3, 2\)"):
        geodesic_distance(
            np.zeros((1, 3, 3, 3), np.float32),
            np.zeros((3, 3, 2), bool),
            np.ones((3, 3, 3), bool),
            (1, 1, 1),
            gradient_weight=0.5,
            length_scale_mm=1,
        )
