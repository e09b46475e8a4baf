"""Sweeps: many runs of one task, tuned fairly, compared with intervals, resumable.

A sweep is a list of runs with labels (`plan.py`), some of them known only when the search for
hyperparameters (`tuning.py`) is over. Workers (`work.py`, `pool.py`) do them in any order, on any
number of machines; the report (`report.py`) reads nothing but their folders.
"""
