"""Samples on disk."""

from simscale.dataset.files import WrittenFile
from simscale.dataset.shards import UnitFiles, digest_of, read_rejections, read_samples, write_unit

__all__ = ["UnitFiles", "WrittenFile", "digest_of", "read_rejections", "read_samples", "write_unit"]
