"""What a good driver does from a state: PDM-Closed (exploratory) and recovery (conservative)."""

from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.rules import PARITY, SOUND, PdmClosedRules

__all__ = ["PARITY", "SOUND", "PdmClosedRules", "RankedProposals", "plan_pdm_closed"]
