"""A model's weights, brought from the Hugging Face hub to a folder once: `python -m tiltyard_jobs.weights`."""
