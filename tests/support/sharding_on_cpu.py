"""To be copied as `sitecustomize.py`: accelerate shards a model over GPUs alone, PyTorch's FSDP over CPUs too."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
from typing import Any

if os.environ.get("LOCAL_RANK"):
    from accelerate import state

    _init = state.AcceleratorState.__init__

    def _init_and_shard(self: Any, *args: Any, fsdp_plugin: Any = None, **more: Any) -> None:
        _init(self, *args, fsdp_plugin=fsdp_plugin, **more)
        if fsdp_plugin is not None and self.distributed_type == state.DistributedType.MULTI_CPU:
            self.distributed_type, self.fsdp_plugin = state.DistributedType.FSDP, fsdp_plugin
            state.PartialState._shared_state["distributed_type"] = self.distributed_type

    state.AcceleratorState.__init__ = _init_and_shard
