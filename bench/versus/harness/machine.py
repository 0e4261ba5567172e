"""Facts about the machine and the run, as they stand beside the figures."""
import datetime
import os
import pathlib
import platform
import subprocess


def _field(path, key):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def facts(folder):
    shown = subprocess.run(["findmnt", "--noheadings", "--output", "FSTYPE,OPTIONS", "--target", str(folder)], capture_output=True, text=True).stdout.split()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "file system": " ".join(shown) or "unknown",
        "load before": " ".join(pathlib.Path("/proc/loadavg").read_text().split()[:3]),
    }
