"""How a score depends on simulated data."""

from simscale.study.paired import PairedGain, paired_gain

__all__ = ["PairedGain", "paired_gain"]
