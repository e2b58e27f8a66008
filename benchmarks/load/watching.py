"""What each process of an installation takes while it is under load."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

_SECONDS_BETWEEN = 1.0
_MIB = 1024 * 1024


@dataclass
class Usage:
    """Processor time and memory of one process, or of several with one name."""

    processes: int = 0
    cpu_seconds: float = 0.0
    # MiB at each look. Of several processes the memory that they share counts once
    # (proportional set size), or PostgreSQL's would be counted a hundred times.
    memory: list[float] = field(default_factory=list)

    def cpu_percent(self, seconds: float) -> float:
        """Of one processor."""
        return 100 * self.cpu_seconds / seconds

    def memory_after(self, share: float) -> float:
        """MiB, the median of the looks around that share of the time."""
        middle = round(share * (len(self.memory) - 1))
        around = sorted(self.memory[max(0, middle - 5) : middle + 6])
        return around[len(around) // 2]


@dataclass
class Watched:
    """What was seen. Complete once the watching has ended."""

    usage: dict[str, Usage] = field(default_factory=dict)
    seconds: float = 0.0


@contextmanager
def watching(named: dict[str, int]) -> Iterator[Watched]:
    """Look at processes and all their children once a second, while the block runs.

    `named` has a name for each first process. Names may stand for more than one process: what a
    name stands for is that process and all below it that no other name stands for.
    """
    watched = Watched(usage={name: Usage() for name in named})
    ended = threading.Event()
    looks = threading.Thread(target=_look_until, args=(ended, named, watched), daemon=True)
    began = time.monotonic()
    looks.start()
    try:
        yield watched
    finally:
        ended.set()
        looks.join()
        watched.seconds = time.monotonic() - began


def _look_until(ended: threading.Event, named: dict[str, int], watched: Watched) -> None:
    # Processor time of those that have ended is kept.
    spent: dict[str, dict[tuple[int, float], float]] = {name: {} for name in named}
    first: dict[tuple[int, float], float] = {}
    while True:
        for name, pid in named.items():
            memory = 0.0
            processes = _below(pid, set(named.values()) - {pid})
            for process in processes:
                try:
                    times = process.cpu_times()
                    memory += process.memory_full_info().pss / _MIB
                    key = (process.pid, process.create_time())
                except psutil.Error:
                    continue
                now = times.user + times.system
                first.setdefault(key, now)
                spent[name][key] = now - first[key]
            usage = watched.usage[name]
            usage.processes = max(usage.processes, len(processes))
            usage.memory.append(memory)
            usage.cpu_seconds = sum(spent[name].values())
        if ended.wait(_SECONDS_BETWEEN):
            return


def _below(pid: int, others: set[int]) -> list[psutil.Process]:
    """A process and all below it, without those below others that are watched by themselves."""
    try:
        process = psutil.Process(pid)
        children = [each for each in process.children() if each.pid not in others]
    except psutil.Error:
        return []
    return [process, *(found for child in children for found in _below(child.pid, others))]
