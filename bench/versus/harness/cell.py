"""Where everything that is measured runs: namespaces that end with it, and a control group that counts.

The cell has a network of its own that holds loopback and nothing else, so no MTA can reach anybody; mounts of its own, so none is left behind; and
process ids of its own, so whatever an MTA started ends with the run, however that ends.
"""
import ctypes
import math
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time

MARK = "SLUICE_VERSUS_GROUP"
PR_SET_PDEATHSIG = 1


def unified_hierarchy():
    """The root of cgroup v2. A group there counts CPU time without any controller."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(place)
    raise SystemExit("versus: no cgroup v2 is mounted; CPU time of an MTA's processes is counted there")


def enter(arguments):
    """Runs this program again, inside a cell; its exit code. The cell ends when this process does, whatever ends it."""
    hierarchy = unified_hierarchy()
    for left in hierarchy.glob("sluice-versus-*"):
        remove_empty(left)  # of a run that was killed
    group = hierarchy / f"sluice-versus-{os.getpid()}"
    group.mkdir()
    libc = ctypes.CDLL(None)
    inner = subprocess.Popen(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *arguments],
                             env=os.environ | {MARK: str(group)}, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    try:
        while True:
            try:
                return inner.wait()
            except KeyboardInterrupt:
                pass  # the one inside heard it too, and tidies up
    finally:
        inner.kill()
        inner.wait()
        (group / "cgroup.kill").write_text("1")
        for _ in range(100):
            if remove_empty(group):
                break
            time.sleep(0.05)


def remove_empty(group):
    """Whether the group is gone, with those of the MTAs in it."""
    try:
        for part in [*(child for child in group.iterdir() if child.is_dir()), group]:
            part.rmdir()
        return True
    except OSError:
        return False


def inside():
    """The control group of the cell we are in, or None."""
    return pathlib.Path(os.environ[MARK]) if MARK in os.environ else None


def settle_in():
    """As the first process of a cell: leaves a child to go on, and reaps what MTAs orphan. Returns in the child only."""
    child = os.fork()
    if child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            pid, status = os.wait()
            if pid == child:
                os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    net = pathlib.Path("/proc/sys/net")
    (net / "ipv4/ip_local_port_range").write_text("1024 65535")
    (net / "core/somaxconn").write_text("65535")


def loopback_bytes():
    """Octets that went over loopback so far: how far a delivery is, without asking anybody."""
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        name, _, fields = line.partition(":")
        if name.strip() == "lo":
            return int(fields.split()[0])
    raise AssertionError("a cell has loopback")


def rings_for(sessions):
    """Threads of `sluice` that can hold so many: the ring of each has the process's limit of descriptors for itself, and leaves a third of
    them to the first sessions of others."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, math.ceil(1.55 * sessions / limit))


class Group:
    """The processes of one MTA, from first to last: a control group, what ran in it, what that said, its CPU seconds and its peak of memory."""

    def __init__(self, parent, name, log):
        self.path = parent / name
        self.path.mkdir(exist_ok=True)
        self.log = log
        log.write_bytes(b"")
        self.commands = []
        self.tracer = []
        self.peak_bytes = 0
        self._sampling = threading.Event()

    def start(self, command, root=None, traced=True, **options):
        """Popen of the command inside the group, and inside a root if one is given. Its output goes to the log."""
        self.commands.append(" ".join(map(str, command)))
        entered = f'echo 0 >{self.path}/cgroup.procs && exec "$@"'
        into_root = ["chroot", str(root)] if root else []
        with open(self.log, "ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | options
            return subprocess.Popen(["sh", "-c", entered, "sh", *(self.tracer if traced else []), *into_root, *map(str, command)], **options)

    def run(self, command, root=None, check=True, traced=True, **options):
        code = self.start(command, root, traced, **options).wait()
        if check and code:
            raise RuntimeError(f"exit code {code}: {' '.join(map(str, command))}; see {self.log}")
        return code

    def processes(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def cpu_s(self):
        first = (self.path / "cpu.stat").read_text().split("\n", 1)[0]
        return int(first.split()[1]) / 1e6

    def settled_cpu_s(self, patience_s=3.0):
        """CPU seconds once the work that follows a delivery is over, or patience is."""
        now, end = self.cpu_s(), time.monotonic() + patience_s
        while time.monotonic() < end:
            before = now
            time.sleep(0.25)
            now = self.cpu_s()
            if now - before < 0.005:
                break
        return now

    def kill(self):
        (self.path / "cgroup.kill").write_text("1")
        for _ in range(400):
            if not self.processes():
                return
            time.sleep(0.025)
        raise RuntimeError(f"{self.path.name}: processes survive SIGKILL: {self.processes()}")

    def remove(self):
        self.kill()
        for _ in range(400):  # what was killed is in the group until it is reaped
            if remove_empty(self.path):
                return
            time.sleep(0.025)
        raise RuntimeError(f"{self.path.name}: the group is not empty 10 s after its processes were killed")

    def watch_memory(self):
        """Samples the sum of the proportional set sizes, which counts shared pages once, from now until forget_memory()."""
        self.peak_bytes = 0
        self._sampling = threading.Event()
        threading.Thread(target=self._sample, args=(self._sampling,), daemon=True).start()

    def forget_memory(self):
        """The peak; None if everything was over before a sample was taken."""
        self._sampling.set()
        return self.peak_bytes or None

    def _sample(self, ended):
        pause_s = 0.02
        while not ended.wait(pause_s):
            begin = time.thread_time()
            self.peak_bytes = max(self.peak_bytes, sum(map(proportional_bytes, self.processes())))
            pause_s = max(0.02, 30 * (time.thread_time() - begin))  # at most 3 % of a core


def proportional_bytes(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except (OSError, ProcessLookupError):
        pass  # it ended meanwhile
    return 0
