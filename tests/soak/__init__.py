"""Long runs under random faults, with a report; by hand, not by pytest: `make soak MINUTES=60`."""
