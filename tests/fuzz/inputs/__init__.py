"""Inputs: seeds in the exchanges' own shapes, and mutations that know the shape."""
