"""Camera strips: what the cameras see from different states at one instant, one row a state."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from simscale.viz.style import INK, PAPER

Array = np.ndarray

GAP = 4
"""Pixels between cameras."""
LABEL = 20
"""Pixels above a row, for its words."""


def strip_png(rows: Sequence[tuple[str, Sequence[UInt8[Array, "h w 3"]]]]) -> bytes:
    """Images side by side with words above each row, as a PNG of 256 colours.

    Args:
        rows: Words, and the cameras' images from left to right; all of one height.
    """
    width = max(sum(image.shape[1] + GAP for image in images) - GAP for _, images in rows)
    height = sum(images[0].shape[0] + LABEL for _, images in rows)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    top = 0
    for words, images in rows:
        pen.text((2, top + 2), words, fill=INK, font=font)
        left = 0
        for image in images:
            sheet.paste(Image.fromarray(image), (left, top + LABEL))
            left += image.shape[1] + GAP
        top += images[0].shape[0] + LABEL
    stream = io.BytesIO()
    sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(stream, "PNG")
    return stream.getvalue()
