"""Fine-tuning a base model on a tournament's data: rows and settings in files, TRL in a process of its own.

`order.py` is what the two sides agree on; `trainer.py` runs where TRL is installed and knows nothing of Tiltyard but
that; `supervise.py` starts it, watches it, and says how it ended.
"""
