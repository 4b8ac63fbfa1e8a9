# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Task arithmetic, TIES and MAGIC's scale of weights against cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from magma_ros.models.merging.methods import (
    Method,
    as_long_as_mean,
    elected_mean,
    guarded,
    on_ellipsoid,
    threshold,
    trimmed,
    with_whole_projection,
)
from magma_ros.types import MagmaError

Scale = Callable[[Tensor, Tensor], Tensor]


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)


def random_vectors(seed: int, parents: int, height: int = 4, width: int = 5) -> Tensor:
    return torch.randn(
        parents, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def test_ties_trims_elects_a_sign_and_averages_what_has_it() -> None:
    vectors = rows([4.0, -3.0, 0.5, 2.0, 0.1], [2.0, 5.0, -0.2, -2.0, 0.3])
    method = Method("ties", density=0.6)
    assert method.kept(5) == 3
    least = torch.tensor([threshold(lambda v=v: [v], 3) for v in vectors])
    assert least.tolist() == [2.0, 2.0]
    kept = trimmed(vectors, least)
    assert kept.tolist() == [[4.0, -3.0, 0.0, 2.0, 0.0], [2.0, 5.0, 0.0, -2.0, 0.0]]
    # Element 0: both positive, mean 3. Element 1: the sum is +2, so only the 5 counts. Element 3:
    # the votes cancel out.
    assert elected_mean(kept).tolist() == [3.0, 5.0, 0.0, 0.0, 0.0]
    assert method.merge(vectors, least).tolist() == [3.0, 5.0, 0.0, 0.0, 0.0]


def test_the_mean_of_ties_counts_only_those_that_moved_the_element() -> None:
    assert elected_mean(rows([6.0], [0.0], [2.0], [-1.0])).tolist() == [4.0]


def test_task_arithmetic_adds_up_and_scales_and_takes_the_mean_by_default() -> None:
    vectors, none = rows([1.0, 2.0], [3.0, -4.0]), torch.zeros(2)
    assert Method(scale=0.4).merge(vectors, none).tolist() == pytest.approx([1.6, -0.8])
    assert Method().merge(vectors, none).tolist() == [2.0, -1.0]


@given(st.integers(0, 1000), st.integers(1, 60), st.floats(0.01, 1.0))
def test_the_threshold_keeps_exactly_the_largest(seed: int, count: int, share: float) -> None:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    kept = math.ceil(share * count)
    least = threshold(lambda: values.split(7), kept)
    assert least == values.abs().sort(descending=True).values[kept - 1]


def test_a_row_that_one_parent_alone_changed_gets_that_parents_length_back() -> None:
    vectors = torch.stack([rows([3.0, 4.0]), rows([0.0, 0.0])])
    merged = 0.5 * vectors.sum(dim=0)
    # c = <m, a> / |a|^2 = 0.5 and nothing is left, so lambda = 2.
    assert on_ellipsoid(merged, vectors).tolist() == pytest.approx([2.0])


def test_rows_at_right_angles_are_shortened_to_their_mean_length() -> None:
    vectors = torch.stack([rows([2.0, 0.0]), rows([0.0, 2.0])])
    merged = vectors.sum(dim=0)
    # Both shares are 1, the rest is 0: lambda = 1 / sqrt(2), and |lambda m| = 2.
    scale = on_ellipsoid(merged, vectors)
    assert scale.tolist() == pytest.approx([1.0 / math.sqrt(2.0)])
    assert float((scale[:, None] * merged).norm()) == pytest.approx(2.0)


def test_what_points_nowhere_else_is_measured_in_mean_lengths() -> None:
    vectors = torch.stack([rows([1.0, 0.0, 0.0]), rows([0.0, 3.0, 0.0])])
    # Both shares are 0; the rest is as long as 6, the mean length 2: lambda = 1 / 3.
    assert on_ellipsoid(rows([0.0, 0.0, 6.0]), vectors).tolist() == pytest.approx([1.0 / 3.0])


def test_parents_that_agree_count_as_often_as_there_are() -> None:
    vectors = torch.stack([rows([1.0, 0.0]), rows([1.0, 0.0])])
    # Shares 1 and 1, the rest m - 2 a = -a: lambda = 1 / sqrt(1 + 1 + 1).
    scale = on_ellipsoid(rows([1.0, 0.0]), vectors)
    assert scale.tolist() == pytest.approx([1.0 / math.sqrt(3.0)])


def test_the_simpler_scale_gives_rows_the_mean_length_of_their_parents() -> None:
    vectors = torch.stack([rows([3.0, 4.0], [1.0, 0.0]), rows([0.0, 1.0], [1.0, 0.0])])
    # Lengths 5 and 1, mean 3; the merged row is 6 long. Parents that agree keep what they say.
    assert as_long_as_mean(rows([0.0, 6.0], [1.0, 0.0]), vectors).tolist() == [0.5, 1.0]
    assert as_long_as_mean(torch.zeros(1, 2), torch.zeros(2, 1, 2)).tolist() == [1.0]


def test_a_whole_projection_adds_up_what_is_at_right_angles_and_leaves_what_agrees() -> None:
    vectors = torch.stack([rows([3.0, 0.0], [1.0, 2.0]), rows([0.0, 4.0], [1.0, 2.0])])
    mean = vectors.mean(dim=0)
    # (9 + 16) / (4.5 + 8) = 2, so the sum; (5 + 5) / (5 + 5) = 1, so the mean.
    assert with_whole_projection(mean, vectors).tolist() == pytest.approx([2.0, 1.0])


def test_parents_that_oppose_one_another_become_no_longer_than_their_sum() -> None:
    vectors = torch.stack([rows([5.0, 1.0]), rows([-4.0, 1.0])])
    # (26 + 17) / |(1, 2)|^2 = 8.6 times the sum would hold the whole of both.
    assert with_whole_projection(vectors.sum(dim=0), vectors).tolist() == pytest.approx([1.0])
    assert with_whole_projection(-vectors.sum(dim=0), vectors).tolist() == [1.0]


@given(st.integers(0, 1000), st.integers(1, 4))
def test_along_its_parents_a_row_is_as_long_as_they_are(seed: int, parents: int) -> None:
    vectors = random_vectors(seed, parents)
    merged = with_whole_projection(vectors.sum(dim=0), vectors)[:, None] * vectors.sum(dim=0)
    left = ((merged - vectors) * vectors).sum(dim=(0, -1))
    summed = torch.isclose(merged, vectors.sum(dim=0)).all(dim=-1)
    assert torch.all(summed | (left.abs() < 1e-9)), "or it is the whole sum"
    assert torch.all(merged.norm(dim=-1) <= vectors.sum(dim=0).norm(dim=-1) * (1 + 1e-12))


@pytest.mark.parametrize("scale_of", [on_ellipsoid, as_long_as_mean, with_whole_projection])
def test_a_row_that_nobody_changed_keeps_its_length(scale_of: Scale) -> None:
    assert scale_of(torch.zeros(1, 3), torch.zeros(2, 1, 3)).tolist() == [1.0]


@pytest.mark.parametrize("scale_of", [on_ellipsoid, with_whole_projection])
@given(st.integers(0, 1000), st.integers(1, 4), st.floats(0.05, 20.0))
def test_the_calibrated_vector_does_not_depend_on_the_scale_of_the_merge(
    scale_of: Scale, seed: int, parents: int, scale: float
) -> None:
    vectors = random_vectors(seed, parents)
    merged = vectors.sum(dim=0)
    one, two = (scale_of(m, vectors)[:, None] * m for m in (merged, scale * merged))
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_a_sensitive_layer_only_shrinks_and_any_other_only_grows() -> None:
    scale = torch.tensor([0.5, 1.0, 2.0])
    assert guarded(scale, sensitive=True).tolist() == [0.5, 1.0, 1.0]
    assert guarded(scale, sensitive=False).tolist() == [1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"scale": 0.0}, "scale must be a number above 0, not 0"),
        ({"scale": float("nan")}, "scale must be a number above 0, not nan"),
        ({"density": 0.0}, "above 0 and at most 1, not 0"),
        ({"density": 1.5}, "above 0 and at most 1, not 1.5"),
    ],
)
def test_figures_out_of_range_are_refused(figures: dict[str, float], told: str) -> None:
    with pytest.raises(MagmaError, match=told):
        Method(**figures)  # type: ignore[arg-type]
