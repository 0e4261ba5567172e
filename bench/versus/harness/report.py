"""table.md, results.json and the plots, from the measurements."""
import json

from harness import figures, plots

EXPECTED = [  # workload, measure, words, whether higher is better, expected ratio
    ("drain", "messages_per_s", "drain to one next hop, messages/s", True, 15),
    ("drain", "cpu_ms_per_message", "drain to one next hop, CPU a message", False, 1 / 15),
    ("destinations", "messages_per_s", "drain to many destinations, messages/s", True, None),
    ("newsletter", "messages_per_s", "newsletter, messages/s", True, 30),
    ("relay", "messages_per_s", "relaying, messages/s", True, 15),
    ("relay", "cpu_ms_per_message", "relaying, CPU a message", False, None),
]
HEAD = ["MTA", "mails", "messages/s", "CPU ms a mail", "peak memory, MB", "sessions held", "lost", "duplicated", "remark"]


def write(folder, run, measurements, workloads, drivers):
    """`run`: facts to keep beside the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(run | {"measurements": measurements}, indent=1) + "\n")
    (folder / "table.md").write_text(text(run, measurements, workloads, drivers))
    draw(folder, measurements, {driver.name: driver.title for driver in drivers})


def text(run, measurements, workloads, drivers):
    parts = ["# Sluice beside other MTAs\n", f"Made by `{run['command']}`. Median of the rounds (least to most). Each MTA alone, all on loopback, same disk.\n",
             figures.markdown_table(["fact", "value"], run["machine"].items()), "\n## The MTAs\n", mtas(run, measurements, drivers)]
    shown = expectations(measurements)
    if shown:
        parts += ["\n## Ratios\n", "Sluice / best of the others, each at its largest queue.\n",
                  figures.markdown_table(["measure", "ratio", "best of the others", "expected"], shown)]
    for name, workload in workloads.items():
        own = [m for m in measurements if m["workload"] == name]
        if own and name != "syncs":
            parts += [f"\n## {workload.TITLE}\n", workload.HOW.format(**run["sizes"]) + "\n", getattr(workload, "table", table)(own, drivers)]
    return "\n".join(parts)


def mtas(run, measurements, drivers):
    rows = []
    for driver in drivers:
        traced = [m for m in measurements if m["workload"] == "syncs" and m["mta"] == driver.name]
        syncs = [figures.figure(traced, measure).text() for measure in ("syncs_accepting", "syncs_delivering")]
        rows.append([driver.title, run["versions"][driver.name], driver.durability, *syncs, driver.tuning])
    return figures.markdown_table(["MTA", "version", "durability (default)", "syncs a mail, accepting", "syncs a mail, delivering", "tuning"], rows)


def expectations(measurements):
    rows = []
    for workload, measure, words, higher_is_better, expected in EXPECTED:
        found = figures.ratio([m for m in measurements if m["workload"] == workload], measure, higher_is_better)
        if found:
            limit = "" if expected is None else f"at least {expected}" if higher_is_better else f"at most 1/{round(1 / expected)}"
            shown = f"{found[0]:.1f}" if higher_is_better else f"1/{1 / found[0]:.1f}"
            rows.append([words, shown, found[1], limit])
    return rows


def table(measurements, drivers):
    titles = {driver.name: driver.title for driver in drivers}
    rows = []
    for (case, mta), own in sorted(figures.grouped(measurements, "case", "mta").items(), key=lambda item: item[0][0]):
        shown = [figures.figure(own, measure).text() for measure in ("messages_per_s", "cpu_ms_per_message", "peak_mb", "connections_peak")]
        worst = [max((m[measure] for m in own if measure in m), default="-") for measure in ("lost", "duplicated")]
        held = f" ({case:,} asked)" if "sessions" in own[0] else ""
        remarks = "; ".join(dict.fromkeys(m["remark"] for m in own if "remark" in m))
        rows.append([titles[mta] + held, f"{own[0]['messages']:,}", *shown, *worst, remarks])
    return figures.markdown_table(HEAD, rows)


def draw(folder, measurements, titles):
    for workload, name in (("drain", "one next hop"), ("destinations", "many destinations"), ("newsletter", "newsletter")):
        own = [m for m in measurements if m["workload"] == workload]
        for measure, file, label in (("messages_per_s", "throughput", "messages/s"), ("cpu_ms_per_message", "cpu", "CPU ms a message"),
                                     ("peak_mb", "memory", "peak memory, MB")):
            plots.draw_bars(folder / f"{workload}_{file}.svg", f"{name}: {label}", label, plots.bars(own, measure), titles)
    drain = [m for m in measurements if m["workload"] == "drain"]
    plots.draw_lines(folder / "throughput_over_depth.svg", "drain to one next hop", "messages waiting", "messages/s",
                     plots.lines(drain, "case", "messages_per_s"), titles)
    slow = [m for m in measurements if m["workload"] == "slow"]
    plots.draw_lines(folder / "throughput_over_sessions.svg", "slow receivers: 1 s at the final dot", "sessions", "messages/s",
                     plots.lines(slow, "case", "messages_per_s"), titles)
