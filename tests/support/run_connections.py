"""Which connections a tournament makes between the pods that a cluster has, and which must not be possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from support.network_policy import End, Policy, connects
from tiltyard.render.names import COMPONENT
from tiltyard_jobs.contracts.progress import PORT

METADATA = End("169.254.169.254")
S3, HTTPS, DNS_PORT = 7070, 443, 53


class Connection(NamedTuple):
    """One that a run makes, or must not be able to make."""

    source: str
    target: str
    port: int
    protocol: str = "TCP"


class Scene(NamedTuple):
    """Who connects to whom.

    Attributes:
        ends: by names.
        ports: those at which models are asked, by names.
    """

    ends: Mapping[str, End]
    ports: Mapping[str, int]

    def wanted(self) -> Iterator[Connection]:
        """The connections that a run makes."""
        for worker in self._of("worker"):
            yield from (Connection(worker, model, port) for model, port in self.ports.items())
            yield Connection("operator", worker, PORT)
        for pod in (*self._of("worker"), *self.ports):
            yield Connection(pod, "bucket", S3)
            yield from (Connection(pod, "dns", DNS_PORT, protocol) for protocol in ("UDP", "TCP"))

    def unwanted(self) -> Iterator[Connection]:
        """Those that must not be possible."""
        for model, port in self.ports.items():
            yield from (Connection(one, model, port) for one in ("stranger", "outside", "operator"))
            yield from (Connection(other, model, port) for other in self.ports if other != model)
            yield from (Connection(model, worker, PORT) for worker in self._of("worker"))
        for worker in self._of("worker"):
            yield from (Connection(one, worker, PORT) for one in ("stranger", "outside"))
            yield Connection("operator", worker, 22)
        for pod in (*self._of("worker"), *self.ports):
            yield Connection(pod, "metadata", HTTPS)
            yield Connection(pod, "stranger", HTTPS)

    def mistakes(self, policies: Iterable[Policy]) -> list[str]:
        """What policies let through and should not, or the other way round; the scene must have both kinds of pods."""
        policies = list(policies)
        assert self._of("worker"), "there is no worker"
        assert self.ports, "there is no model"
        return [
            f"{one.source} {'does not reach' if is_wanted else 'reaches'} {one.target} at {one.port}/{one.protocol}"
            for is_wanted, found in ((True, self.wanted()), (False, self.unwanted()))
            for one in found
            if connects(policies, self.ends[one.source], self.ends[one.target], one.port, one.protocol) is not is_wanted
        ]

    def _of(self, component: str) -> list[str]:
        return [name for name, end in self.ends.items() if end.labels.get(COMPONENT) == component]


def scene_of(pods: Iterable[Mapping[str, Any]], *, operator: End, dns: End, bucket: End) -> Scene:
    """The pods of a tournament as a cluster has them, with all others that they are to reach, or not.

    Args:
        pods: as the API server gives them; one without an address gets one.
        operator: its pod.
        dns: a pod of the cluster's DNS.
        bucket: where artifacts are stored.
    """
    ends, ports, namespace = dict[str, End](), dict[str, int](), ""
    for place, pod in enumerate(pods, start=1):
        meta, named = pod["metadata"], [port for one in pod["spec"]["containers"] for port in one.get("ports", ())]
        name, namespace = meta["name"], meta["namespace"]
        ip = pod.get("status", {}).get("podIP") or f"10.0.1.{place}"
        numbers = {(port.get("name", ""), port.get("protocol", "TCP")): port["containerPort"] for port in named}
        ends[name] = End(ip, namespace, meta.get("labels", {}), ports=numbers)
        if meta.get("labels", {}).get(COMPONENT) == "model":
            ports[name] = named[0]["containerPort"]
    others = {
        "operator": operator,
        "dns": dns,
        "bucket": bucket,
        "metadata": METADATA,
        "stranger": End("10.0.3.1", namespace, {"app": "other"}),
        "outside": End("93.184.216.34"),
    }
    return Scene({**ends, **others}, ports)
