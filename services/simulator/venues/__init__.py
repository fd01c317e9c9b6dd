"""Venue emulators: how each exchange answers its clients, written from its documents. They share nothing with the
modules of `hoga.exchanges`, which the simulation tests against them."""
