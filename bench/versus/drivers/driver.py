"""What the harness asks of an MTA. README.md tells how to add one."""
import time


class Driver:
    """One MTA. Methods are called in this order: install (outside the cell, with a network), then inside it

        join(group), then for each measurement: prepare, accept, release, [the receiver gets its mail], stop
        or, for the newsletter:                 prepare, ready_newsletter, newsletter, [the receiver gets its mail], stop
        or, to relay:                           prepare, ready_relay, [smtp-source, and the receiver], stop

    All processes are started with self.group.start or .run, which counts them.
    """

    name = ""          # of folders and JSON
    title = ""         # of tables and plots
    durability = ""    # what is on disk when, with its default settings
    tuning = ""        # what was set other than the default, and whose advice that is
    sessions_most = 0  # sessions it can hold here; more are not tried, because of
    sessions_why = ""
    signs = ("rsa",)   # with which of workloads/trust.py's keys it can sign
    signs_why = ""     # why with none
    fast = False       # whether it is given the larger counts; the others' rates are steady long before

    def install(self):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def join(self, group):
        self.group = group

    def prepare(self, route):
        """Empties the queue and configures delivery along the route, with its TLS and its keys."""
        raise NotImplementedError

    def accept(self, mails):
        """Takes all mails in, and holds them."""
        raise NotImplementedError

    def release(self):
        """Lets what is held go; returns at once."""
        raise NotImplementedError

    def restart(self):
        """After kill -9 of everything: as the init system would."""
        raise NotImplementedError

    def ready_newsletter(self, mails):
        """What comes before the clock of a newsletter starts: a running server, a list on disk."""
        raise NotImplementedError

    def newsletter(self, mails):
        """Takes mails in by the best way there is, and delivers at the same time."""
        raise NotImplementedError

    def ready_relay(self, sessions):
        """Starts a server that delivers what it takes in, from so many sessions at once; (host, port) of its intake."""
        raise NotImplementedError

    def stop(self):
        """Ends every process. kill -9 is good enough: the queue is emptied before the next use."""
        self.group.kill()


def until(condition, patience_s, what):
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {patience_s} s for {what}")
        time.sleep(0.05)
