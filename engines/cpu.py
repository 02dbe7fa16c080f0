"""What the CPU can do, read from the kernel's own text files."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")  # 8-bit dot products: x86 VNNI and AMX, Arm
_PROC = Path("/proc/cpuinfo")
_TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Name, instruction flags and the number of physical cores that this process may use."""

    name: str
    flags: frozenset[str]
    cores: int

    @property
    def int8_flag(self) -> str | None:
        """The instruction set that makes int8 faster than fp32, or None."""
        return next((flag for flag in INT8_FLAGS if flag in self.flags), None)


def read_cpu() -> Cpu:
    """Return this machine's CPU; where the kernel does not tell, no flags and all logical cores."""
    try:
        text = _PROC.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name, flags = parse_cpuinfo(text)
    return Cpu(name or platform.machine(), flags, physical_cores(_TOPOLOGY, usable_cpus()))


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Return name and flags from the text of ``/proc/cpuinfo`` (x86: flags, Arm: Features)."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name", ""), frozenset(flags.split())


def usable_cpus() -> tuple[int, ...]:
    """Return the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def physical_cores(topology: Path, cpus: tuple[int, ...]) -> int:
    """Count the physical cores behind logical CPUs; a CPU of unknown siblings counts as one."""
    siblings = set()
    for cpu in cpus:
        try:
            siblings.add((topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip())
        except OSError:
            siblings.add(str(cpu))
    return max(1, len(siblings))
