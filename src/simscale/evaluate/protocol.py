"""Protocol: everything that makes two scores comparable, as one noun and one name."""

from dataclasses import dataclass
from typing import Literal

from simscale.scene import BadInput

EPDMS, PDMS_V1 = "epdms", "pdms-v1"
VERSION = {EPDMS: "epdms-v2.2", PDMS_V1: "pdms-v1.1"}
"""The branches of NAVSIM whose numbers ours are."""
TRAFFIC = {"log-replay": "log-replay", "reactive": "idm-navsim"}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How drives are judged."""

    score: Literal["epdms", "pdms-v1"] = "epdms"
    stages: Literal[1, 2] = 1
    traffic: Literal["log-replay", "reactive"] = "log-replay"
    human_filter: Literal["fixed", "legacy", "none"] = "fixed"  # of the first stage
    exact: bool = False  # the geometry library everywhere: the slow twin of the kernels, no other protocol

    @property
    def name(self) -> str:
        """What stands beside every score."""
        stages = "one-stage" if self.stages == 1 else "two-stage"
        return f"{VERSION[self.score]}/{stages}/{TRAFFIC[self.traffic]}/human-filter-{self.human_filter}"


def protocol_of(
    score: str = "epdms",
    *,
    stages: Literal[1, 2] = 1,
    traffic: str = "auto",
    human_filter: str = "fixed",
    exact: bool = False,
) -> Protocol:
    """The protocol that is asked for, with the reference's own traffic where none is named.

    Raises:
        BadInput: Something that v1 does not have.
    """
    if traffic == "auto":
        traffic = "log-replay" if stages == 1 else "reactive"
    if score == PDMS_V1:
        if stages != 1:
            raise BadInput("command line", "--stages", "two", "one: PDMS of v1 has one stage")
        if traffic != "log-replay":
            raise BadInput("command line", "--traffic", traffic, "log-replay: PDMS of v1 has no other")
        human_filter = "none"
    return Protocol(score=score, stages=stages, traffic=traffic, human_filter=human_filter, exact=exact)  # type: ignore[arg-type]
