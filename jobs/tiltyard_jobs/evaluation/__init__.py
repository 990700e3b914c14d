"""Programming benchmarks: their tasks, what is asked of a model, the program made of its reply, and the score."""
