"""The operator: watch, observe, plan, execute, tell. The only part that talks to the Kubernetes API."""
