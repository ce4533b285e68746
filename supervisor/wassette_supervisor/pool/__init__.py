"""Processes: which calls run, in which worker, and how each of them ends."""
