import hashlib

import numpy as np
import pytest

from simscale.render.resize import resized, taps


def picture(rows: int, columns: int) -> np.ndarray:
    n = np.arange(rows * columns * 3, dtype=np.uint64)
    return (n * np.uint64(2654435761) % np.uint64(2**32) >> np.uint64(24)).astype(np.uint8).reshape(rows, columns, 3)


@pytest.mark.parametrize(
    ("size", "wanted", "digest"),
    [
        ((1024, 4096), (512, 2048), "8000701665571bc6"),
        ((1024, 4096), (256, 1024), "ad37bc07affb524e"),
        ((1024, 4096), (64, 256), "e32c7fdc30c9d869"),
        ((1024, 4096), (384, 1536), "c96e3221b0defed4"),
        ((270, 480), (64, 120), "338eb080f56decc7"),
        ((100, 133), (77, 91), "357c08e706c58392"),
    ],
)
def test_smaller_images_are_opencvs_byte_for_byte(size, wanted, digest):
    """sha256(cv2.resize(picture(*size), wanted[::-1], interpolation=cv2.INTER_LINEAR)), OpenCV 5.0.0."""
    assert hashlib.sha256(resized(picture(*size), wanted).tobytes()).hexdigest().startswith(digest)


def test_larger_images_are_opencvs_to_one_part_in_255():
    """cv2.resize(picture(3, 4), (7, 5), interpolation=cv2.INTER_LINEAR)[..., 0], OpenCV 5.0.0."""
    expected = [
        [0, 78, 202, 199, 178, 156, 143],
        [42, 84, 150, 139, 125, 162, 186],
        [106, 93, 72, 50, 47, 172, 250],
        [170, 157, 135, 114, 100, 137, 160],
        [213, 199, 178, 156, 135, 114, 101],
    ]
    np.testing.assert_allclose(resized(picture(3, 4), (5, 7))[..., 0], expected, atol=1)


def test_one_colour_stays_and_the_same_size_changes_nothing():
    np.testing.assert_array_equal(resized(np.full((9, 7, 3), 201, np.uint8), (4, 13)), np.full((4, 13, 3), 201))
    np.testing.assert_array_equal(resized(picture(9, 7), (9, 7)), picture(9, 7))


@pytest.mark.parametrize(("length", "wanted"), [(4096, 2048), (10, 7), (3, 8), (1, 4), (5, 5)])
def test_weights_of_a_pixel_add_up_to_one_and_stay_in_the_image(length, wanted):
    index, weight = taps(length, wanted)
    assert index.shape == weight.shape == (wanted, 2)
    assert (weight.sum(axis=1) == 2048).all() and (weight >= 0).all()
    assert index.min() >= 0 and index.max() < length
