"""What the command line does, as functions and objects: for notebooks and programs, and for the command line itself.

`import tiltyard` has the names that are meant for users; see `docs/python.md`.
"""
