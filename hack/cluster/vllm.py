"""KServe's runtime for vLLM, served from an environment of this machine: an image of several GB is made by nobody."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cluster import images

LIBRARIES = ("/usr/lib/x86_64-linux-gnu/libnuma.so.1",)
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "VLLM_CACHE_ROOT": "/tmp/vllm",
    "HOME": "/tmp",
    "TORCHINDUCTOR_CACHE_DIR": "/tmp/inductor",
}


def runtime(python: Path, machine: str = "") -> dict[str, Any]:
    """The ClusterServingRuntime `kserve-vllmserver` for models so small that a CPU serves them.

    Args:
        python: the interpreter of an environment with vLLM, as `hack/envs.py vllm` prints it.
        machine: the path below which nodes see this machine's folders.
    """
    home = python.parent.parent
    prefix = subprocess.run(
        [str(python), "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    paths = [str(home), prefix, *LIBRARIES]
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server"]
    small = ["--enforce-eager", "--dtype=float32", "--kv-cache-memory-bytes=134217728", "--max-num-seqs=64"]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": "kserve-vllmserver"},
        "spec": {
            "supportedModelFormats": [{"name": "vLLM", "version": "1", "autoSelect": True, "priority": 1}],
            "containers": [
                {
                    "name": "kserve-container",
                    "image": images.tag("worker"),
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "args": ["--port=8080", "--served-model-name={{.Name}}", "--model=/mnt/models", *small],
                    "env": [{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
                    "ports": [{"containerPort": 8080, "name": "http1", "protocol": "TCP"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
                    "readinessProbe": {"httpGet": {"path": "/v1/models", "port": 8080}, "periodSeconds": 2},
                    # The environment lies in a folder of the administrator's.
                    "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
                    "volumeMounts": [
                        {"name": f"host-{at}", "mountPath": path, "readOnly": True} for at, path in enumerate(paths)
                    ],
                }
            ],
            "volumes": [{"name": f"host-{at}", "hostPath": {"path": machine + path}} for at, path in enumerate(paths)],
        },
    }
