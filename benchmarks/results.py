"""RESULTS.md: the rows of a full run, and what it takes to make them again."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template

from benchmarks.harness import Measured, Skipped

_PAGE = Template("""\
# Results

Made by `python -m benchmarks run --json > rows.json`, then `python -m benchmarks results rows.json
> benchmarks/RESULTS.md`, with nothing else running.

- Commit: $commit
- Machine: $machine
- Software: $software

| row | subject | floor | ratio | 95 % interval | of the subject | of the floor | target | |
|---|---|---|---|---|---|---|---|---|
$rows

How to read it: subject and floor take turns in one run, and the ratio is the median of the rounds'
ratios; its interval lies between two of them (order statistics), chosen by the binomial
distribution to hold the true median with at least 95 % confidence. What subject and floor took
are medians, too. The target is the largest ratio that is right; where a time is promised (`python
-m benchmarks list`), it is that time over the floor's. A row is undecided where its interval holds
the target, and skipped where its floor was not on the machine.

- `pick`, `classify`, `tokens`, `plan`: time of one call in one process.
- `publish`: the longest time that a worker's event loop stood still while ten plans of 10,000 cells
  came over WatchPlan, one after the other.
- `route`, `infer`: a real `turnout serve` as it comes, beside the floors as processes, all at one
  rate, in an open loop; what stands after the slash is the floor. `1x64` and the like are bursts of
  64 calls, connections x calls of each, 1,000 calls a second (`at_70%`: of what grpc.aio could do
  by its CPU time a call at half that rate). `fixed` metadata is the same for each call, `fresh` has
  a new traceparent and timeout each time, `huffman` the same in Huffman code. `cpu` is CPU time of
  the worker process for each call; `p50`, `p99` and `p999` are latencies from when a call was due.
  `at_50%` and `at_80%` of the same are bursts of four calls, one on each of four connections, as
  `100kb` (200 calls a second) and `1mb` (40) are; `alone` is one call at a time, 200 a second.
- `chat`, `stream`: the door of a real `turnout serve` for OpenAI clients, beside proxies that pass
  the same requests of 1 KB to the same endpoint, which answers at once, in an open loop. `chat` is
  100 a second, each answered with 1 KB; `stream` is eight at a time, each of 200 events that come
  one by one. `cpu` is CPU time of the proxy for each answer or, of `stream`, each event: a million
  over it is how many events a second a core passes on. `added` is by how much later the answer, or
  the first event of a stream, came than straight from the endpoint: `first.N` while N streams are
  open and 100 more begin a second (1: 25 a second, one at a time). `stream.2000` opens 2,000, and
  if one loses an event the run fails; `held` is the memory that each of them added to the proxy
  (unique set size, measured once).
- `route_batch`: CPU time of the worker for each decision of batches of 1,000, 50 a second, beside
  `Route` asked in bursts of 64. The requests are alike, vary in tokens and 20 tenants, or have a
  user each as well.
- `workers`: `cpu` is CPU time of all workers for each `Route`, two of them beside one, 1,000 calls
  a second in bursts of 64 on 16 connections. The others are of four workers. `imbalance.N`, of N
  connections, is what the busiest worker decided over the mean of those that could have had any, as
  many as there are connections: one connection is even by itself. `rest` is the memory of a worker
  with a plan and no load, `connection` what each of 10,000 idle connections added to its worker's
  once it had had a call; both are unique set sizes, without what the kernel holds for a socket.
  Their floor is four stock servers, each with as many connections as a worker, and their interval
  is the range of the four.
- `overload`: two workers before an endpoint that serves 80 requests a second, 8 at one time, and
  whose model states 72 and that 16 may be there. `1.5x`, `3x`, `25x` of the 72 come in open loops,
  21.6 a second of a high class. `in_time` is the time from one answer within the SLO, 400 ms, to
  the next, beside that of what fits and beside the same service without a stated capacity; `high`
  the same of the high class, beside what was sent; `refused` what metrics counted beside what
  callers were told; `refusal` CPU time of the workers for each call, nearly all of them refused,
  beside as many that are answered, 1,000 a second in bursts of 64.
""")


def page(rows: Sequence[Measured]) -> str:
    """The whole page; its commit and machine are those it is made on."""
    return _PAGE.substitute(
        commit=_commit(), machine=_machine(), software=_software(), rows="\n".join(map(_line, rows))
    )


def _line(row: Measured) -> str:
    if isinstance(row, Skipped):
        return f"| `{row.name}` | {row.subject} | {row.floor} | | | | | | skipped: {row.skipped} |"
    return " | ".join(
        (
            f"| `{row.name}`",
            row.subject,
            row.floor,
            f"{row.ratio:.2f}",
            f"{row.ratio_low:.2f} to {row.ratio_high:.2f}",
            f"{row.subject_us:,.2f} {row.unit}",
            f"{row.floor_us:,.2f} {row.unit}",
            f"{row.target:.2f}",
            f"{row.verdict} |",
        )
    )


def _commit() -> str:
    """With "-dirty" where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    ).stdout.strip()


def _machine() -> str:
    model = next(_cpu_models(), platform.processor())
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def _cpu_models() -> Iterator[str]:
    """What Linux says of each core."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            yield value.strip()


def _software() -> str:
    packages = ("grpcio", "uvloop", "protobuf", "numpy", "scipy", "pyahocorasick")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}, {versions}"
