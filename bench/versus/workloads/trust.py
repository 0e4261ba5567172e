import pathlib
import tempfile

from harness import figures, trust
from harness.mail import Mails
from harness.receiver import Receiver
from workloads import workload

TITLE = "TLS and DKIM"
HOW = "The newsletter again: in clear and unsigned; under TLS, which the receiver offers (STARTTLS) and the MTA demands; signed (DKIM, relaxed/relaxed, whole body) " \
      "by RSA of 2048 bits, by Ed25519, by both. The receiver counts what came under TLS and what has a signature; before each signed run three mails are sent " \
      "the same way and verified by python3-dkim."
CASES = ("plain", "tls", "rsa", "ed25519", "both")
WITNESSES = 3
KEYS = {"rsa": ("rsa",), "ed25519": ("ed25519",), "both": ("rsa", "ed25519")}
# Signatures take so long that fewer mails do, of an MTA that is given many.
SHARE = {"rsa": 20, "ed25519": 2, "both": 20}
HEAD = ["MTA", "mails", "messages/s", "of its plain", "CPU ms a mail", "handshakes", "of them resumed", "seen by the receiver", "remark"]


def cases(bench, driver):
    return ["plain", "tls", *driver.signs]


def measure(bench, driver, case):
    route = workload.one_next_hop(bench)
    route.tls = case == "tls"
    route.keys = trust.signing_keys(bench.sluice, KEYS.get(case, ()))
    if route.keys:
        verify(bench, driver, route)
    count = bench.count(driver, bench.sizes.messages, max(bench.sizes.messages, bench.sizes.messages_fast // SHARE.get(case, 1)))
    measures, _ = send(bench, driver, route, Mails(count))
    counted = measures.get("messages_tls" if route.tls else "messages_signed", 0)
    if case != "plain" and counted < count and "remark" not in measures:
        measures["remark"] = f"{count - counted:,} came without"
    return measures | {"verified": WITNESSES if route.keys else 0}


def verify(bench, driver, route):
    """A few mails, of which every signature has to be good."""
    with tempfile.TemporaryDirectory() as folder:
        measures, saved = send(bench, driver, route, Mails(WITNESSES), pathlib.Path(folder))
        good = [trust.good_signatures(message, route.keys) for message in saved]
    if good != [len(route.keys)] * WITNESSES:
        raise RuntimeError(f"signatures that verify: {good} of {len(route.keys)} each; {measures.get('remark', '')}")


def send(bench, driver, route, mails, save=None):
    """The measures, and the messages if they are saved to a folder."""
    driver.prepare(route)
    driver.ready_newsletter(mails)
    receiver = Receiver(bench.sluice, mails.count, certificate=trust.certificate() if route.tls else None, save=save)
    try:
        measures = workload.deliver(bench, driver, mails, receiver, lambda: driver.newsletter(mails))
    finally:
        driver.stop()
        receiver.stop()
    # Behind the two lines of its envelope.
    return measures, [path.read_bytes().split(b"\r\n", 2)[2] for path in save.iterdir()] if save else []


def table(measurements, drivers):
    rows = []
    for driver in drivers:
        own = [m for m in measurements if m["mta"] == driver.name]
        plain = figures.figure([m for m in own if m["case"] == "plain"], "messages_per_s")
        for (case,), rounds in figures.grouped(own, "case").items():
            rate = figures.figure(rounds, "messages_per_s")
            share = f"{rate.median / plain.median:.2f}" if rate and plain else "-"
            shown = [figures.figure(rounds, measure).text() for measure in ("cpu_ms_per_message", "tls_handshakes", "tls_resumed")]
            remarks = "; ".join(dict.fromkeys(m["remark"] for m in rounds if "remark" in m))
            rows.append([f"{driver.title}, {case}", f"{rounds[0]['messages']:,}", rate.text(), share, *shown, seen(case, rounds), remarks])
        if not driver.signs:
            rows.append([f"{driver.title}, signed", *["-"] * 7, driver.signs_why])
    return figures.markdown_table(HEAD, rows)


def seen(case, rounds):
    least = min(rounds, key=lambda m: m.get("messages_tls", 0) + m.get("messages_signed", 0))
    if case == "plain" or "messages_tls" not in least:
        return "-"
    if case == "tls":
        return f"{least['messages_tls']:,} under TLS"
    return f"{least['messages_signed']:,} signed; {sum(m.get('verified', 0) for m in rounds)} verified"
