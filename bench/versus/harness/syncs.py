"""Counts what an MTA asks the disk to make durable: system calls by strace, and the same requests made through io_uring by the kernel's tracer."""
import pathlib
import re
import subprocess

CALLS = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"
CALL = re.compile(rf"\b({CALLS.replace(',', '|')})\(")
TRACING = pathlib.Path("/sys/kernel/tracing")
RING_EVENT = "io_uring/io_uring_submit_req"


class SyncTracer:
    """From made to close(): every process that the group starts is traced. `program`: the name of the process whose ring is watched."""

    def __init__(self, group, folder, program):
        self.folder = pathlib.Path(folder)
        self.group = group
        # A file for each process (-ff); beside the process, not as its parent (-D), which would wait for daemons too.
        group.tracer = ["strace", "-D", "-ff", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-o", str(self.folder / "trace")]
        self._instance = None
        if not (TRACING / "events").exists():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], check=False, stderr=subprocess.DEVNULL)
        if (TRACING / "events" / RING_EVENT).exists():
            self._instance = TRACING / "instances" / "sluice-versus"
            self._instance.mkdir(exist_ok=True)
            self._event("filter", f'comm == "{program}"')
            self._event("enable", "1")

    def _event(self, key, value):
        (self._instance / "events" / RING_EVENT / key).write_text(value)

    def count(self):
        """So far."""
        calls = sum(len(CALL.findall(file.read_text(errors="replace"))) for file in self.folder.iterdir())
        return calls + (self._ring_count() if self._instance else 0)

    def _ring_count(self):
        lines = (self._instance / "trace").read_text().splitlines()
        return sum(not line.startswith("#") and "opcode FSYNC" in line for line in lines)

    def close(self):
        self.group.tracer = []
        if self._instance:
            self._event("enable", "0")
            self._instance.rmdir()
