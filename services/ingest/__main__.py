"""`python -m services.ingest --exchange CODE`: collects one exchange."""

import sys

from hoga.runtime.service import run_service
from services.ingest.service import DESCRIPTION, add_arguments, main, service_name

if __name__ == "__main__":
    sys.exit(run_service(service_name, main, description=DESCRIPTION, add_arguments=add_arguments))
