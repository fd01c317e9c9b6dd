"""`python -m hoga`: the command line."""

import sys

from hoga.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
