"""From the plan to the documents and objects that carry it out. Pure, like the planner."""
