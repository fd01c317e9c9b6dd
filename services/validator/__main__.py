"""`python -m services.validator`: keeps the books of every exchange."""

import sys

from hoga.runtime.service import run_service
from services.validator.service import main

if __name__ == "__main__":
    sys.exit(run_service("validator", main, description="Keeps the authoritative books and publishes them."))
