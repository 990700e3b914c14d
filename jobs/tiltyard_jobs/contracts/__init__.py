"""The contracts between planner and worker: identities, recipes, tasks, summaries, and where things lie.

The operator imports of the worker this package alone.
"""
