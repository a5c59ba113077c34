"""The most memory that the process had at once, above what it had before.

The kernel's own mark (VmHWM of /proc), set anew for each input: it sees Python's objects,
protobuf's arenas and zlib's buffers alike, also those that are gone when the input has been
handled, in some 0.1 ms. It does not see memory that is allocated and not touched, nor what is put
where an earlier input left room in pages that Python keeps (glibc's free pages are given back
first): in a process of its own an input may take more than it seems to here.
"""

import ctypes
import os
import re

_MARK = re.compile(rb"VmHWM:\s+(\d+) kB")
_RESET_MARK = b"5"  # proc(5), clear_refs
_STATUS_BYTES = 4_096


class PeakMemory:
    """Raises OSError where there is no /proc that can do it, as on macOS."""

    def __init__(self) -> None:
        self._status = os.open("/proc/self/status", os.O_RDONLY)
        self._reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        self._trim = ctypes.CDLL(None).malloc_trim
        self._before_bytes = 0

    def begin(self) -> None:
        self._trim(0)
        os.write(self._reset, _RESET_MARK)
        self._before_bytes = self._marked_bytes()

    def peak_bytes(self) -> int:
        """Since `begin`."""
        return max(0, self._marked_bytes() - self._before_bytes)

    def close(self) -> None:
        os.close(self._status)
        os.close(self._reset)

    def _marked_bytes(self) -> int:
        found = _MARK.search(os.pread(self._status, _STATUS_BYTES, 0))
        return 0 if found is None else int(found[1]) * 1_024
