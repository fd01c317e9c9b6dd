"""`python -m services.aggregator`: chooses the symbols worth collecting by their 24 h turnover."""

import sys

from hoga.runtime.service import run_service
from services.aggregator.service import main

if __name__ == "__main__":
    sys.exit(run_service("aggregator", main, description=__doc__))
