"""Peak signal over noise: how alike two images are."""

import math

LEAST_ERROR = 1e-10
"""Equal images have 100 dB."""


def psnr_of(error: float) -> float:
    """PSNR, dB, from the mean squared error of colours from 0 to 1."""
    return -10 * math.log10(max(error, LEAST_ERROR))
