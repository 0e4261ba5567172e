"""From measurements to figures: medians, spread, ratios, Markdown. Pure; tests/integration/versus_figures.py tries it."""
import collections
import statistics

OURS = "sluice"


class Figure:
    """The rounds of one measure."""

    def __init__(self, values):
        self.values = sorted(value for value in values if value is not None)

    def __bool__(self):
        return bool(self.values)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self):
        """Median, and from least to most when there was more than one round."""
        if not self:
            return "-"
        if len(self.values) == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.values[0])} to {number(self.values[-1])})"


def number(value):
    """Three digits, no more; 0 stays 0."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def shown(case):
    return case if isinstance(case, str) else f"{case:,}"


def grouped(measurements, *keys):
    """{values of the keys: the measurements that have them}, in the order in which they first came."""
    groups = collections.OrderedDict()
    for measurement in measurements:
        groups.setdefault(tuple(measurement[key] for key in keys), []).append(measurement)
    return groups


def figure(measurements, measure):
    return Figure([measurement.get(measure) for measurement in measurements])


def steady(measurements, mta):
    """Of one workload: those of this MTA's largest case, where start and end weigh least."""
    own = [m for m in measurements if m["mta"] == mta and m.get("messages_per_s")]
    most = max((m["messages"] for m in own), default=0)
    return [m for m in own if m["messages"] == most]


def best_other(measurements, measure, higher_is_better):
    """(name, median) of the best MTA that is not ours, each at its largest case; None if there is none."""
    medians = {}
    for (mta,), _ in grouped(measurements, "mta").items():
        own = figure(steady(measurements, mta), measure)
        if mta != OURS and own:
            medians[mta] = own.median
    if not medians:
        return None
    best = (max if higher_is_better else min)(medians, key=medians.get)
    return best, medians[best]


def ratio(measurements, measure, higher_is_better):
    """(ours / best of the others, its name), or None where one side has no figure."""
    ours, best = figure(steady(measurements, OURS), measure), best_other(measurements, measure, higher_is_better)
    if not ours or not best or not best[1]:
        return None
    return ours.median / best[1], best[0]


def markdown_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"
