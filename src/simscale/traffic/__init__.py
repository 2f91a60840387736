"""How others react."""

from simscale.traffic.policy import POLICIES, Traffic, TrafficRollout, TrafficRules, TrafficState

__all__ = ["POLICIES", "Traffic", "TrafficRollout", "TrafficRules", "TrafficState"]
