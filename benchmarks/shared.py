"""What several benchmarks need: all parts of the reference solutions, a line about the machine, room for a table."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch
from rich.console import Console

from autograder.in_process import load_module
from autograder.manifest import Course
from autograder.minigpt.assemble import assemble_parts, provenance
from autograder.minigpt.parts import SLOTS, Parts

CPUINFO = Path("/proc/cpuinfo")


def reference_parts(without: str | None = None) -> Parts:
    """The reference solutions as if they were a student's own, in every slot but `without`, which is the library's."""
    symbols: dict[str, object] = {}
    for assignment in Course.find(Path(__file__).parent).assignments():
        module = load_module(assignment.reference)
        slots = {task.part for task in assignment.manifest.tasks if task.part is not None}
        symbols |= {name: getattr(module, name) for slot in slots for name in SLOTS[slot]}
    assert not provenance(symbols).library
    return assemble_parts({name: symbols[name] for name in symbols if name not in SLOTS.get(without or "", ())})


def machine(device: str = "cpu") -> str:
    """Processor or GPU, cores, threads, versions, and how busy it is besides."""
    busy = f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "load unknown"
    where = f"{torch.cuda.get_device_name(device)}, " if device.startswith("cuda") else ""
    return (
        f"{where}{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch, {busy}; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def wide_console() -> Console:
    """For tables of many columns, also where the output goes into a file."""
    return Console(width=max(Console().width, 112))


def _processor() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
