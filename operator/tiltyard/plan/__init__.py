"""The planner: what a tournament will ever hold, and what to do next. Pure: no I/O, no clock, no Kubernetes."""
