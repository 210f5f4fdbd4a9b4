"""A policy: a namespace opens the ports of the host that the operator has given to it, and no others.

    policies = ["host-ports"]            # in /etc/cni/wharf.toml
    [policy.host-ports.namespaces]
    ingress = [[80, 80], [443, 443]]     # from, to
    games = [[30000, 30999]]
"""

import json

from wit_world import exports
from wit_world.exports.policy import Verdict, Verdict_Allow, Verdict_Deny
from wit_world.imports.calls import Call
from wit_world.imports.changes import Change, Change_NatForwardPorts
from wit_world.imports.types import NetworkResult


def port_range(first: int, last: int) -> range:
    for port in (first, last):
        # `True` is an `int`, too.
        if type(port) is not int or not 0 <= port <= 65535:
            raise ValueError(f"{port!r} is no port")
    return range(first, last + 1)


class Policy(exports.Policy):
    # Of the class, for each call is made on a new object of it.
    namespace = ""
    own: list[range] = []

    def begin(self, call: Call) -> Verdict:
        Policy.namespace = call.pod.namespace if call.pod else ""
        try:
            ranges = json.loads(call.settings)["namespaces"].get(self.namespace, [])
            Policy.own = [port_range(*ends) for ends in ranges]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return Verdict_Deny(f"the policy's settings: {error!r}")
        return Verdict_Allow()

    def review(self, guest: str, change: Change) -> Verdict:
        if isinstance(change, Change_NatForwardPorts):
            for port in change.value.ports:
                if not any(port.host_port in own for own in self.own):
                    name = json.dumps(self.namespace)
                    return Verdict_Deny(f"port {port.host_port} of the host is not the namespace {name}'s")
        return Verdict_Allow()

    def review_unknown(self, guest: str, operation: str) -> Verdict:
        return Verdict_Deny(f"{operation} is newer than this policy, which cannot judge it")

    def review_result(self, answer: NetworkResult) -> Verdict:
        return Verdict_Allow()
