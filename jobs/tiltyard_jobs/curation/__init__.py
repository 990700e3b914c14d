"""Curation: from mined texts to the instructions of a tournament. Pure functions, no I/O of their own."""
