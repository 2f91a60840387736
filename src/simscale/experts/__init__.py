"""What a good driver does from a state: PDM-Closed (exploratory) and recovery (conservative)."""

from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.route_search import ReferenceRoute, reference_route
from simscale.experts.rules import PARITY, SOUND, PdmClosedRules

__all__ = [
    "PARITY",
    "SOUND",
    "PdmClosedRules",
    "RankedProposals",
    "ReferenceRoute",
    "plan_pdm_closed",
    "reference_route",
]
