"""Tiltyard: tournaments between language models, from one manifest to a leaderboard, training data and a report."""
