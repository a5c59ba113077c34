"""A child that says it is ready and then hangs, whatever it is told."""

import os
import signal
import sys
import threading

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.write(sys.stdout.fileno(), b"ready\n")
threading.Event().wait()
