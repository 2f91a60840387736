"""How others react."""

from simscale.traffic.policy import POLICIES, Traffic, TrafficRollout, TrafficRules, TrafficState, policy_of

__all__ = ["POLICIES", "Traffic", "TrafficRollout", "TrafficRules", "TrafficState", "policy_of"]
