"""The hands on one machine: processes instead of pods, the same plan, the same worker, the same artifacts."""
