"""The worker: one shard of one stage of a tournament, the same code in a pod and on one machine."""
