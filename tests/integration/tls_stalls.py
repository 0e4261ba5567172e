#!/usr/bin/env python3
"""Handshakes that stop at every octet of what a real server says: someone between lets so many octets through and then is silent, or closes; or passes all,
an octet at a time. Each session ends at its phase's deadline, what may go in clear does and nothing else, and nothing of it stays in memory."""
# timeout_s: 180
import asyncio
import json
import pathlib
import random
import re
import resource
import ssl
import subprocess
import tempfile
import threading
import urllib.request

from _relay import wait_for
from _sluice import SLUICE, free_port, log_records
from _tls_server import Authority, TlsServer
from reload import Engine, refuses

STARTTLS_S, EHLO_S = 4, 3
SILENT, CLOSED, SLOW = 20, 21, 22  # the second number of the address that is connected to; the others are the octets let through
WAVES = 2
MESSAGE = "From: a@news.example\nTo: {{email}}\nSubject: one\n\none\n"


class Between:
    """Goes between its clients and a server on `port`, in the way that the address says at which it is met. `flights`: octets of each run of the server's,
    behind STARTTLS, of a session that came to its end."""

    def __init__(self, port):
        self.server_port, self.flights, self.tasks = port, [], set()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "0.0.0.0", 0, backlog=4096))
        self.port = self.server.sockets[0].getsockname()[1]
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    @staticmethod
    def address(way, octets):
        return f"127.{way}.{octets // 250}.{octets % 250 + 1}"

    async def _serve(self, reader, writer):
        self.tasks.add(asyncio.current_task())  # nobody else keeps it from the garbage collector
        _, way, high, low = map(int, writer.get_extra_info("sockname")[0].split("."))
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        runs = []
        up = asyncio.ensure_future(self._up(reader, server_writer, runs))
        try:
            await self._down(server_reader, writer, way, 250 * high + low - 1, runs)
            if way != CLOSED:
                await up
        except OSError:
            pass
        up.cancel()
        writer.close()
        server_writer.close()
        self.flights = self.flights or runs

    @staticmethod
    async def _up(reader, server, runs):
        while octets := await reader.read(65536):
            server.write(octets)
            if runs and runs[-1]:
                runs.append(0)
        server.write_eof()

    @staticmethod
    async def _down(server, writer, way, octets_left, runs):
        has_begun = False
        while octets := await server.read(65536):
            if not has_begun:
                has_begun = octets.startswith(b"220 go ahead")
                writer.write(octets)
                if has_begun:
                    runs.append(0)
                continue
            runs[-1] += len(octets)
            if way == SLOW:
                for i in range(len(octets)):
                    writer.write(octets[i:i + 1])
                    await writer.drain()
                    await asyncio.sleep(0)
                continue
            writer.write(octets[:octets_left])
            octets_left -= min(octets_left, len(octets))
            if way == CLOSED and octets_left == 0:
                await writer.drain()
                return


def metric(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return float(re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)[1])


class Case:
    """Someone between at one address, and a domain that leads there."""

    def __init__(self, between, version, policy, way, octets):
        self.between, self.policy, self.way, self.octets = between, policy, way, octets
        self.domain = f"w{way}n{octets}.{version}.{policy}.example"
        self.hop = f'[destination."{self.domain}"]\nnext_hop = ["{between.address(way, octets)}:{between.port}"]\n'
        if way == SLOW:
            self.hop += f'[destination."{self.domain}".timeout]\nstarttls = "1m"\nehlo = "1m"\n'

    def judge(self, records, mails, flights):
        """`flights`: octets of the server's that the handshake takes."""
        record, mail = records[self.domain], mails.get(self.domain)
        context = (self.domain, record, mail)
        if self.way == SLOW or (self.policy == "opportunistic" and self.octets < flights):
            assert record["event"] == "delivered" and mail, context
            assert (record["tls"] is None) == (mail["tls"] is None) == (self.way != SLOW), context
            return
        # Where the handshake is through there is no way back into the clear, whatever the policy.
        phase, seconds = ("starttls", STARTTLS_S) if self.octets < flights else ("ehlo", EHLO_S)
        assert record["event"] == "deferred" and record["phase"] == phase and not mail, context
        if self.way == SILENT:
            assert record["reason"].startswith(f"{phase}: timed out after {seconds} s"), context
            assert 1000 * seconds <= record["phases_ms"][phase] < 1000 * seconds + 5000, context
        else:
            assert "closed by peer" in record["reason"] or "reset" in record["reason"].lower(), context
        assert phase == "ehlo" or record["reason"].endswith("; tls = required"), context


def cases_of(between, version, whole):
    """Octets all over the handshake, other ones in each run, and a little behind it."""
    found = [Case(between, version, policy, way, n) for policy in ("required", "opportunistic") for way in (SILENT, CLOSED)
             for step in (7 if (policy, way) == ("required", SILENT) else 61,)
             for n in (*range(random.randrange(step), whole, step), whole - 1, whole, whole + 1, whole + 20)]
    found += [Case(between, version, policy, SLOW, 0) for policy in ("required", "opportunistic")]
    return list({case.domain: case for case in found}.values())


def stops_at_every_octet(folder):
    authority = Authority(folder)
    certificate = authority.certificate(is_rsa=True)  # signatures of one length, so that an octet is the same in each session

    def older(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    servers = {"two": TlsServer(certificate, context=older), "three": TlsServer(certificate)}
    betweens = {version: Between(server.port) for version, server in servers.items()}
    admin = free_port()
    head = (f'[admin]\naddress = "127.0.0.1:{admin}"\n[destination."*".timeout]\nstarttls = "{STARTTLS_S}s"\nehlo = "{EHLO_S}s"\n'
            '[destination."*.required.example"]\ntls = "required"\n')
    (folder / "m.eml").write_text(MESSAGE)

    handed_off = []

    def hand_off(engine, cases):
        (folder / "l.csv").write_text("email\n" + "".join(f"u@{case.domain}\n" for case in cases))
        subprocess.run([SLUICE, "send", "--config", engine.config, "--message", folder / "m.eml", "--recipients", folder / "l.csv", "--from", "a@news.example",
                        "--quiet"], check=True, timeout=60)
        handed_off.extend(cases)
        wait_for(lambda: sum(event in ("delivered", "deferred") for event, _ in engine.events()) == len(handed_off), seconds=60)
        wait_for(lambda: metric(admin, "sluice_sessions") == 0)

    whole = [Case(between, version, "required", SLOW, 1) for version, between in betweens.items()]
    with Engine(folder, head + "".join(case.hop for case in whole)) as engine:
        wait_for(lambda: not refuses(admin))
        hand_off(engine, whole)
        flights = {version: between.flights for version, between in betweens.items()}
        # TLS 1.3 is through with one flight of the server's, TLS 1.2 with two.
        flights = {"two": sum(flights["two"][:2]), "three": flights["three"][0]}
        cases = [case for version, between in betweens.items() for case in cases_of(between, version, flights[version])]
        engine.reload(head + "".join(case.hop for case in whole + cases))
        resident = []
        for wave in range(WAVES):
            hand_off(engine, cases[wave::WAVES])
            resident.append(metric(admin, "process_resident_memory_bytes"))
    records = {r["recipient"].split("@")[1]: r for r in log_records(folder / "log") if r["event"] in ("delivered", "deferred")}
    mails = {re.search(rb"To: u@(\S+)", mail["content"])[1].decode(): mail for server in servers.values() for mail in server.mails}
    for case in cases:
        case.judge(records, mails, flights[case.domain.split(".")[1]])
    assert resident[-1] - resident[0] < 4e6, resident
    return f"{len(cases)} sessions, octets {json.dumps(flights)}, resident MB {[round(n / 1e6, 1) for n in resident]}"


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        print(f"stops_at_every_octet: passed: {stops_at_every_octet(pathlib.Path(folder))}")


if __name__ == "__main__":
    main()
