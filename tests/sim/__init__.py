"""Deterministic simulation: the production ingest and validator under virtual time, network and bus; see `run`."""
