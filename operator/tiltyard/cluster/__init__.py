"""The hands on a cluster: watch, gather, plan, execute. The only part that knows of Kubernetes' API."""
