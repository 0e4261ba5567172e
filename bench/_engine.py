"""An engine under measurement: its spool filled, its CPU time, its memory and its log read from outside."""
import os
import pathlib
import re
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "tests" / "integration"))
from _sluice import SLUICE, Sink, free_port  # noqa: E402, F401

LINE = "Sixty-five characters of newsletter that say nothing new at all.\n"


class Engine:
    """`sluice serve` on a spool of its own in `folder`, which waits for start()."""

    def __init__(self, folder, next_hops, shards=0, timeouts=None, **policy):
        """`next_hops`: of all mail, or by destination. The rest is configuration, of all destinations."""
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "log" / "transactions.jsonl"
        if not isinstance(next_hops, dict):
            next_hops = {"*": next_hops}
        (self.folder / "c.toml").write_text(
            f'[engine]\nhostname = "mta.sender.example"\nspool = "{folder}/spool"\nlog = "{folder}/log"\nshards = {shards}\n'
            + "".join(f'[destination."{name}"]\nnext_hop = ["{hop}"]\n' + "".join(f"{key} = {value}\n" for key, value in policy.items())
                      for name, hop in next_hops.items())
            + '[destination."*".timeout]\n' + "".join(f'{key} = "{value}"\n' for key, value in (timeouts or {}).items()))

    def hand_off(self, recipients, domains=100, first_domain=0, lines=155):
        """A newsletter of `lines` lines to so many at d0.example, d1.example ..., each with a name and a token of its own."""
        (self.folder / "m.eml").write_text("From: News <news@sender.example>\nTo: {{name}} <{{email}}>\nSubject: Hello {{name}}\n\n"
                                           "Dear {{name}}, your token is {{token}}.\n" + LINE * lines)
        with open(self.folder / "l.csv", "w") as f:
            f.write("email,name,token\n")
            f.writelines(f"user{i}@d{first_domain + i % domains}.example,Name {i},tok{i:08}\n" for i in range(recipients))
        subprocess.run([SLUICE, "send", "--config", self.folder / "c.toml", "--message", self.folder / "m.eml", "--recipients",
                        self.folder / "l.csv", "--from", "bounce+{{token}}@sender.example", "--quiet"], check=True, stdout=subprocess.DEVNULL)
        (self.folder / "l.csv").unlink()

    def start(self):
        self.process = subprocess.Popen([SLUICE, "serve", "--config", self.folder / "c.toml", "--quiet"])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def shard_threads(self):
        """The threads of its shards, by number; not those that the kernel runs for their rings."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        return sorted(int(task.name) for task in tasks.iterdir() if (task / "comm").read_text() == "sluice\n")

    def cpu_s(self):
        """Of all its threads, those of the kernel that work for its rings too. A thread that ended is in the process's sum alone."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kb(self, what="VmRSS"):
        return int(re.search(what + r":\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1])

    def delivered(self):
        return self.counted("delivered")

    def counted(self, event):
        """Yields how many `event` the log has whenever there are more, looking each millisecond."""
        sought = f'"event":"{event}"'.encode()
        count, rest = 0, b""
        while not self.log.exists():
            time.sleep(0.001)
        log = open(self.log, "rb")
        while self.process.poll() is None:
            was_renamed = self.is_renamed(log)
            octets = log.read(1 << 20)
            if not octets and was_renamed:
                log.close()
                log = open(self.log, "rb")
            elif not octets:
                time.sleep(0.001)
            else:
                whole, _, rest = (rest + octets).rpartition(b"\n")
                new = whole.count(sought)
                if new:
                    count += new
                    yield count
        log.close()

    def is_renamed(self, log):
        """The engine puts a log aside that has grown long."""
        try:
            return os.stat(self.log).st_ino != os.fstat(log.fileno()).st_ino
        except FileNotFoundError:
            return False  # between the rename and the new one

    def remove_logs(self):
        for log in self.log.parent.glob("*.jsonl"):
            log.unlink()
