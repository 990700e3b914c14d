"""Which connections NetworkPolicies (networking.k8s.io/v1) let through, as the API's documentation defines it.

A pod that no policy selects for a direction is open in that direction. One that some select has what any rule of them
allows. A connection needs both ends' consent; answers on it need none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or without a namespace an address outside of the cluster.

    Attributes:
        ip: its address.
        namespace: of a pod.
        labels: of a pod.
        namespace_labels: of its namespace; its name is one of them by itself.
        ports: numbers of a pod's ports by (name, protocol).
    """

    ip: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def its_namespace(self) -> dict[str, str]:
        return {**self.namespace_labels, "kubernetes.io/metadata.name": self.namespace or ""}


def connects(policies: Iterable[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection can be made."""
    policies = list(policies)
    return _allowed(policies, "Egress", source, target, target, port, protocol) and _allowed(
        policies, "Ingress", target, source, target, port, protocol
    )


def _allowed(
    policies: list[Policy], direction: str, pod: End, other: End, target: End, port: int, protocol: str
) -> bool:
    if pod.namespace is None:
        return True
    selecting = [policy for policy in policies if _selects(policy, pod) and direction in _types(policy["spec"])]
    if not selecting:
        return True
    key, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return any(
        _peers(rule.get(peers) or [], policy, other) and _ports(rule.get("ports") or [], target, port, protocol)
        for policy in selecting
        for rule in policy["spec"].get(key) or []
    )


def _selects(policy: Policy, pod: End) -> bool:
    selector = policy["spec"].get("podSelector") or {}
    return _namespace(policy) == pod.namespace and matches(selector, pod.labels)


def _namespace(policy: Policy) -> str:
    return str(policy["metadata"].get("namespace", "default"))


def _types(spec: Mapping[str, Any]) -> list[str]:
    """Without the field: Ingress, and Egress where there is an egress rule."""
    return spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]


def _peers(peers: list[Mapping[str, Any]], policy: Policy, other: End) -> bool:
    """No peer means everybody."""
    return not peers or any(_peer(peer, policy, other) for peer in peers)


def _peer(peer: Mapping[str, Any], policy: Policy, other: End) -> bool:
    if (block := peer.get("ipBlock")) is not None:
        inside = [_inside(other.ip, cidr) for cidr in (block["cidr"], *block.get("except", []))]
        return inside[0] and not any(inside[1:])
    if other.namespace is None:
        return False
    if (namespaces := peer.get("namespaceSelector")) is not None:
        here = matches(namespaces, other.its_namespace)
    else:
        here = other.namespace == _namespace(policy)
    return here and matches(peer.get("podSelector") or {}, other.labels)


def _inside(ip: str, cidr: str) -> bool:
    """Whether an address lies in a network; of another version it does not."""
    address, network = ip_address(ip), ip_network(cidr, strict=False)
    return address.version == network.version and address in network


def _ports(ports: list[Mapping[str, Any]], target: End, port: int, protocol: str) -> bool:
    """No port means each, of every protocol."""
    return not ports or any(_port(one, target, port, protocol) for one in ports)


def _port(one: Mapping[str, Any], target: End, port: int, protocol: str) -> bool:
    if one.get("protocol", "TCP") != protocol:
        return False
    wanted = one.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return target.ports.get((wanted, protocol)) == port
    return bool(wanted <= port <= one.get("endPort", wanted))


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A label selector: all of its requirements; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions") or [])


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = one["key"], one.get("values") or []
    match one["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":  # a label that is not there is in no list
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(other)
