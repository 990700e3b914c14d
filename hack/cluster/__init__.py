"""Clusters for tests: a control plane without a node (no root), and on top of it a real node."""
