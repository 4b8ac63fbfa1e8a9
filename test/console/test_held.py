# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator holds lasts no longer than it may, and means the frame that was chosen."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from magma_ros.console.held import BODY_FROM_OPTICAL, Held, turned
from magma_ros.console.robot import JOG_LIFETIME, PRESENCE, Jog, JogFrame

UP = np.array([0, 0, 0.1, 0, 0, 0])


@pytest.mark.parametrize(
    ("lifetime", "lasts"), [(JOG_LIFETIME, JOG_LIFETIME), (0.05, 0.05), (60.0, JOG_LIFETIME)]
)
def test_jog_lasts_as_long_as_it_is_good_for_and_never_longer_than_its_lifetime(lifetime, lasts):
    held = Held()
    held.hold(Jog(JogFrame.BASE, UP, lifetime=lifetime), 100.0)
    assert held.at(100.0 + lasts - 0.01) is not None
    assert held.at(100.0 + lasts + 0.01) is None


def test_release_ends_it_and_tells_that_the_operator_is_there():
    held = Held()
    assert not held.present(100.0)
    held.hold(Jog(JogFrame.BASE, UP), 100.0)
    held.release(100.1)
    assert held.at(100.1) is None
    assert held.present(100.1 + PRESENCE - 0.01)
    assert not held.present(100.1 + PRESENCE + 0.01)
    held.release(102.0)
    held.leave()
    assert not held.present(102.0)


def test_optical_axes_are_those_of_rep_103():
    axes = BODY_FROM_OPTICAL.apply(np.eye(3))
    np.testing.assert_allclose(axes, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-12)


def test_twist_is_turned_in_both_of_its_halves():
    quarter = Rotation.from_euler("z", 90, degrees=True)
    twist = turned(np.array([1.0, 0, 0, 0, 1.0, 0]), quarter)
    np.testing.assert_allclose(twist, [0, 1, 0, -1, 0, 0], atol=1e-12)
