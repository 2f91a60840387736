"""How good a drive was."""

from simscale.scoring.boxes import contacts
from simscale.scoring.comfort import comfort_signals, extended_comfort, history_comfort
from simscale.scoring.epdms import score, ttc_hits
from simscale.scoring.human_filter import human_filtered
from simscale.scoring.rules import PARITY, SOUND, ScoringRules
from simscale.scoring.scores import FirstFailures, Scores
from simscale.scoring.surroundings import Surroundings, surroundings_of

__all__ = [
    "PARITY",
    "SOUND",
    "FirstFailures",
    "Scores",
    "ScoringRules",
    "Surroundings",
    "comfort_signals",
    "contacts",
    "extended_comfort",
    "history_comfort",
    "human_filtered",
    "score",
    "surroundings_of",
    "ttc_hits",
]
