"""`hoga`: the command line.

Every command is a module with `add_parser(subparsers)` and `run(args) -> exit code`. What a user can get wrong
is a HogaError: one line on stderr and exit code 2. Ctrl-C ends every command without a word, with 130.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hoga import __version__
from hoga.cli import book, exchanges, new_exchange, replay, service, top, up, watch
from hoga.domain import books
from hoga.domain.errors import HogaError
from hoga.runtime.book_choice import choose_books

EXIT_WRONG = 2
EXIT_INTERRUPTED = 130

_COMMANDS = (up, exchanges, book, watch, top, replay, service, new_exchange)
_EXAMPLES = """\
start here:
  hoga up --simulate                      everything on this machine, against simulated exchanges
  hoga up --exchange upbit bithumb        the real ones
  hoga watch binance_future BTC-USDT      a live order book in the terminal

Settings come from ./hoga.toml (or --config FILE) and from HOGA_* variables, which win.
"""


class _Parser(argparse.ArgumentParser):
    """One line for a mistake instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(EXIT_WRONG)


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hoga",
        description="Order books of crypto exchanges that can be trusted.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hoga {__version__} ({books.in_use()} books)")
    _add_common(parser, absent=None)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    for subparser in subparsers.choices.values():
        # Also behind the command; SUPPRESS keeps what stood before it.
        _add_common(subparser, absent=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    # What the bus reports while a command runs is shown by the command, in its own words.
    logging.getLogger("hoga").addHandler(logging.NullHandler())
    logging.getLogger("nats").addHandler(logging.NullHandler())
    try:
        choose_books()
        args = make_parser().parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except HogaError as error:
        sys.stderr.write(f"hoga: {error}\n")
        return EXIT_WRONG
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`hoga book … | head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _add_common(parser: argparse.ArgumentParser, absent: object) -> None:
    group = parser.add_argument_group("for every command")
    group.add_argument(
        "--nats", metavar="URL", default=absent, help="address of NATS (default: $HOGA_NATS_URL, nats://127.0.0.1:4222)"
    )
    group.add_argument(
        "--config", metavar="FILE", type=Path, default=absent, help="settings file (default: ./hoga.toml)"
    )


if __name__ == "__main__":
    sys.exit(main())
