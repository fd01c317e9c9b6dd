"""For every test. A suite in the background inherits an ignored SIGINT, and so would the commands it stops by one."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
