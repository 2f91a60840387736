"""Trains planners."""

from simscale.train.config import TrainConfig, read_config

__all__ = ["TrainConfig", "read_config"]
