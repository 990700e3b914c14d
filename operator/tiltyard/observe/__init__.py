"""From the objects of a cluster to what the planner reads. Pure: no client, no clock."""
