"""A module that ends with who started it, even by SIGKILL, which says nothing to children.

`python -m benchmarks.demo.tethered FOLDER MODULE [ARGUMENT...]`: at the end of standard input we
send ourselves SIGTERM, and remove the folder, for nobody else is left to do it.
"""

import os
import runpy
import shutil
import signal
import sys
import threading


class _Tether:
    def __init__(self) -> None:
        self.is_cut = False

    def follow(self) -> None:
        """Nothing is ever written to it: it is readable when the other end is closed."""
        os.read(sys.stdin.fileno(), 1)
        self.is_cut = True
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    _, folder, module, *arguments = sys.argv
    tether = _Tether()
    # Until the module has a handler of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=tether.follow, daemon=True).start()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        if tether.is_cut:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
