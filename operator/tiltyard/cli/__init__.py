"""The command line."""

from tiltyard.cli.main import main

__all__ = ["main"]
