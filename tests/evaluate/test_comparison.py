"""What counts as equal."""

import numpy as np

from simscale.evaluate.comparison import Comparison, agreements, of_names, of_states


def compared(found, expected, tolerance: float = 0.0) -> Comparison:
    return Comparison(quantity="q", found=np.array(found), expected=np.array(expected), tolerance=tolerance)


def test_infinity_and_nan_equal_themselves_and_nothing_else():
    nan, inf = np.nan, np.inf
    one = compared([inf, nan, inf, nan, 1.0, -inf], [inf, nan, 1.0, 1.0, nan, inf], 1e9)
    np.testing.assert_array_equal(one.equal, [True, True, False, False, False, False])


def test_tolerances_are_inclusive_and_flags_count_as_numbers():
    assert compared([1.0, 2.5], [1.0, 2.0], 0.5).agrees
    assert not compared([1.0, 2.5], [1.0, 2.0], 0.49).agrees
    assert not compared([True, False], [True, True]).agrees


def test_another_shape_is_never_equal():
    one = compared([1.0, 1.0, 1.0], [1.0, 1.0])
    assert not one.agrees and not one.equal.any()
    assert not compared(np.zeros((0,)), np.zeros((0, 3))).agrees
    (sum_,) = agreements([compared(np.zeros((2, 0)), np.zeros((0, 3)))]).values()
    assert sum_.equal < sum_.compared and sum_.worst == np.inf
    assert "has shape (3,), expected (2,)" in one.sentence


def test_half_a_turn_to_the_left_is_half_a_turn_to_the_right():
    found, expected = np.array([[0.0, 0.0, np.pi]]), np.array([[0.0, 0.0, -np.pi + 1e-9]])
    assert of_states("q", found, expected, tolerance=1e-8).agrees
    assert not compared(found, expected, 1e-8).agrees


def test_names_are_compared_place_by_place():
    one = of_names("q", ["a", "b", "c"], ["a", "c"])
    np.testing.assert_array_equal(one.equal, [True, False, False])
    assert of_names("q", [], []).agrees


def test_sums_keep_the_worst():
    one, other = compared([1.0, 2.0], [1.0, 2.5]), compared([3.0], [3.0])
    (sum_,) = agreements([one, other]).values()
    assert (sum_.compared, sum_.equal, sum_.worst) == (3, 2, 0.5)
    assert one.sentence == "q[1] is 2.0, expected 2.5"
