"""hoga: order books of crypto exchanges that can be trusted."""

__version__ = "0.1.0"
