"""The containers' health check: asks the service's own /healthz, says why where it is not well.

Exit code 0: healthy. 1: not, with the reasons on stdout, where `docker inspect` shows them.
"""

from __future__ import annotations

import http.client
import os
import sys

TIMEOUT_S = 4.0


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["HOGA_METRICS_PORT"]), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(65536).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"/healthz does not answer: {error or type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(f"{body}\n")
    return 0 if answer.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main())
