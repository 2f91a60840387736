"""Resizing of photographs, byte for byte as OpenCV's INTER_LINEAR does it.

A pixel of the result looks at one place of the image and mixes the two rows and two columns around it; an image that
becomes much smaller is therefore sampled, not averaged. Weights are whole numbers of 1/2048, and the sums are cut to
bytes in the order in which OpenCV does.
"""

import numpy as np
from jaxtyping import Int32, Int64, UInt8

Array = np.ndarray

BITS = 11
"""Of a weight (`INTER_RESIZE_COEF_BITS`)."""


def taps(length: int, wanted: int) -> tuple[Int64[Array, "n 2"], Int32[Array, "n 2"]]:
    """Which two of `length` pixels each of `wanted` ones mixes, and their weights in 1/2048."""
    place = ((np.arange(wanted) + 0.5) * (length / wanted) - 0.5).astype(np.float32)
    first = np.floor(place)
    share = place - first
    beyond = (first < 0) | (first >= length - 1)  # the outermost pixels stand alone
    first = np.clip(first, 0, length - 1).astype(np.int64)
    share = np.where(beyond, np.float32(0), share)
    index = np.stack([first, np.minimum(first + 1, length - 1)], axis=-1)
    weight = np.stack([np.float32(1) - share, share], axis=-1)
    return index, np.rint(weight * (1 << BITS)).astype(np.int32)


def mixed(
    tapped: UInt8[Array, "h 2 w 2 c"], row_weight: Int32[Array, "h 2"], column_weight: Int32[Array, "w 2"]
) -> UInt8[Array, "h w c"]:
    """Mixes the four pixels that each pixel of the result looks at."""
    left, right = column_weight[:, 0, None], column_weight[:, 1, None]
    across = tapped[:, :, :, 0].astype(np.int32) * left + tapped[:, :, :, 1].astype(np.int32) * right
    across >>= 4
    up, down = row_weight[:, 0, None, None], row_weight[:, 1, None, None]
    total = ((up * across[:, 0]) >> 16) + ((down * across[:, 1]) >> 16)
    return ((total + 2) >> 2).astype(np.uint8)


def resized(image: UInt8[Array, "h w c"], size: tuple[int, int]) -> UInt8[Array, "i j c"]:
    """An image with `size` = (rows, columns), as `cv2.resize` with INTER_LINEAR."""
    rows, row_weight = taps(image.shape[0], size[0])
    columns, column_weight = taps(image.shape[1], size[1])
    return mixed(image[rows][:, :, columns], row_weight, column_weight)
