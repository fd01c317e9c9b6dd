"""Fuzzing of everything that reads bytes from outside: frames, REST bodies, addresses, messages of the bus, files.

    make fuzz                            a minute over all targets
    make fuzz MINUTES=20 TARGET=kraken   longer, and only targets whose name holds that
    make fuzz REPLAY=FILE TARGET=NAME    one input again, with its traceback

`inputs/` makes inputs (seeds, and mutations of them), `targets/` says what is done with them and what is promised,
`engine` runs them, `tests/fuzz/cases/` keeps what once failed.
"""
