"""The benchmarks of programming tasks, a module for each family."""
