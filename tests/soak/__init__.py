"""Long runs under random faults; by hand, not by pytest: `python -m tests.soak.chaos`."""
