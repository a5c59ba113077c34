"""All targets by their names."""

from benchmarks.fuzz.control import CONTROL
from benchmarks.fuzz.files import FILES
from benchmarks.fuzz.methods import METHODS
from benchmarks.fuzz.targets import named
from benchmarks.fuzz.transport import TRANSPORT

TARGETS = named(*TRANSPORT, *METHODS, *CONTROL, *FILES)
