"""How well an agent drives: splits, agents, judge, and the numbers."""

from simscale.evaluate.agents import AGENTS, Agent
from simscale.evaluate.evaluation import Evaluation, evaluated
from simscale.evaluate.intervals import Estimate, mean_with_interval, paired_difference
from simscale.evaluate.seeds import TEST_SEEDS, TRAIN_SEEDS, VALIDATION_SEEDS
from simscale.evaluate.splits import SPLITS, SplitSize, townhard_of, towntest_of
from simscale.evaluate.starts import Split, Start

__all__ = [
    "AGENTS",
    "SPLITS",
    "TEST_SEEDS",
    "TRAIN_SEEDS",
    "VALIDATION_SEEDS",
    "Agent",
    "Estimate",
    "Evaluation",
    "Split",
    "SplitSize",
    "Start",
    "evaluated",
    "mean_with_interval",
    "paired_difference",
    "townhard_of",
    "towntest_of",
]
