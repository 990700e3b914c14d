"""What a pod of the player finds on this machine: its environment, and its volumes and addresses as folders and ports.

Mount paths in commands and variables are rewritten. What a cluster's network would do is done by rewriting too: each
Service of a model has a port on 127.0.0.1 that it keeps over restarts, and the addresses
`http://NAME.NAMESPACE.svc.cluster.local` in ConfigMaps (`:8080` of a headless one, `:8000` of an LLMInferenceService)
become those.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cluster.processes import free_port
from support.documents import ROOT
from tiltyard.cluster.client import ApiError, Client
from tiltyard.observe.kinds import CONFIG_MAPS, Kind
from tiltyard.render.tasks import CA_FOLDERS

SECRETS = Kind("v1", "Secret", "secrets")
SERVICE = re.compile(r"http://([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local(:80(80|00)?)?")
MODEL_LABEL = "serving.kserve.io/inferenceservice"
LLM_LABEL = "kserve.io/component"
SHARED_ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'jobs'}"}
"""What every container has in its environment beside its own."""

Pod = Mapping[str, Any]


@dataclass
class PodFolders:
    """The folders of the pods of one namespace, and the ports of its Services.

    Attributes:
        kube: the connection.
        namespace: whose pods.
        folder: has one for each pod, with its files and logs, and `claims` for what outlives them.
    """

    kube: Client
    namespace: str
    folder: Path
    _ports: dict[str, int] = field(default_factory=dict)

    def of(self, pod: Pod) -> Path:
        """A pod's folder."""
        return self.folder / str(pod["metadata"]["name"])

    def ip_of(self, pod: Pod) -> str:
        """A pod's address: 127.0.0.1 of a model's, which has a port of its own; one of its own of a worker's."""
        if {MODEL_LABEL, LLM_LABEL} & {*pod["metadata"]["labels"]}:
            return "127.0.0.1"
        first, second, third = sha256(pod["metadata"]["uid"].encode()).digest()[:3]
        return f"127.{64 + first % 128}.{second}.{1 + third % 254}"

    def port_of(self, service: str) -> int:
        """The port that stands for a Service."""
        return self._ports.setdefault(service, free_port())

    async def prepare(
        self, pod: Pod, container: Mapping[str, Any], instead: list[str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The process's command and environment, its volumes made.

        Args:
            pod: the pod.
            container: which of its containers.
            instead: the command, if it is not the container's own.
        """
        place = self.of(pod)
        places = {"/dev/termination-log": str(place / "termination-log")}
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        mounted = []
        for mount in container.get("volumeMounts", ()):
            volume = volumes[mount["name"]]
            folder = place / "volumes" / mount["name"]
            if claim := volume.get("persistentVolumeClaim"):  # it stays when the pod goes
                folder = self.folder / "claims" / claim["claimName"]
            folder.mkdir(parents=True, exist_ok=True)
            places[mount["mountPath"]] = str(folder)
            mounted.append((volume, folder))
        # Tasks name the files with certificates.
        certificates = {path: there for path, there in places.items() if path.startswith(f"{CA_FOLDERS}/")}
        for volume, folder in mounted:
            await self._fill(volume, folder, certificates)

        def here(text: str) -> str:
            for path in sorted(places, key=len, reverse=True):
                if text == path or text.startswith(f"{path}/"):
                    return places[path] + text[len(path) :]
            return text

        environment = {**SHARED_ENVIRONMENT, "HOME": str(place), "TMPDIR": str(place)}
        for entry in container.get("env", ()):
            value = entry.get("value") or await self._value(pod, entry.get("valueFrom", {}))
            if value is not None:
                environment[entry["name"]] = here(value)
        command = [*container.get("command", ()), *container.get("args", ())] if instead is None else instead
        port = str(self.port_of(service_of(pod))) if {MODEL_LABEL, LLM_LABEL} & {*pod["metadata"]["labels"]} else ""
        words = {"python": sys.executable, "0.0.0.0": "127.0.0.1", "{port}": port}
        command = [words.get(word, here(word)) for word in command]
        if port and "--port" in command:
            command[command.index("--port") + 1] = port
        return command, environment

    async def _value(self, pod: Pod, source: Mapping[str, Any]) -> str | None:
        if "fieldRef" in source:
            if source["fieldRef"]["fieldPath"] == "status.podIP":
                return self.ip_of(pod)
            if source["fieldRef"]["fieldPath"] == "metadata.namespace":
                return self.namespace
            found = re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", source["fieldRef"]["fieldPath"])
            return pod["metadata"].get(found[1], {}).get(found[2]) if found else None
        for name, kind in (("secretKeyRef", SECRETS), ("configMapKeyRef", CONFIG_MAPS)):
            if reference := source.get(name):
                try:
                    found_object = await self.kube.get(kind, self.namespace, reference["name"])
                    value: str = found_object["data"][reference["key"]]
                except (ApiError, KeyError):
                    if reference.get("optional"):
                        return None
                    raise
                return base64.b64decode(value).decode() if kind is SECRETS else value
        return None

    async def _fill(self, volume: Mapping[str, Any], folder: Path, certificates: Mapping[str, str]) -> None:
        if reference := volume.get("configMap"):
            config_map = await self.kube.get(CONFIG_MAPS, self.namespace, reference["name"])
            for key, text in config_map.get("data", {}).items():
                here = SERVICE.sub(lambda m: f"http://127.0.0.1:{self.port_of(m[1])}", text)
                for path, there in certificates.items():
                    here = here.replace(f"{path}/", f"{there}/")
                (folder / key).write_text(here)
        if reference := volume.get("secret"):
            secret = await self.kube.get(SECRETS, self.namespace, reference["secretName"])
            every = [{"key": key, "path": key} for key in secret.get("data", {})]
            for item in reference.get("items", every):
                (folder / item["path"]).write_bytes(base64.b64decode(secret["data"][item["key"]]))


def service_of(pod: Pod) -> str:
    """The Service of a model's pod, as KServe names it."""
    its_labels = pod["metadata"]["labels"]
    if LLM_LABEL in its_labels:
        return f"{its_labels['app.kubernetes.io/name']}-kserve-workload-svc"
    return f"{its_labels[MODEL_LABEL]}-predictor"
