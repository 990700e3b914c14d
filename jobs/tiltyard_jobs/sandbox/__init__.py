"""Where code that models wrote runs: a process that can compute, and nothing else.

`host.py` starts one process for each program and judges how it ended; `guest.py` is that process; `confine.py` is what
the kernel is asked to refuse it. See docs/design/0013-evaluation.md.
"""
