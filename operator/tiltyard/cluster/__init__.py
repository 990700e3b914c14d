"""The operator: watch, observe, plan, execute, report. The only part that talks to the Kubernetes API."""
