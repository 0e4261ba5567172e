"""SVG plots. What they show is computed by bars() and lines(), which are pure."""
from harness import figures


def bars(measurements, measure):
    """[(MTA, median, least, most)], each at its largest case."""
    shown = []
    for (mta,), _ in figures.grouped(measurements, "mta").items():
        own = figures.figure(figures.steady(measurements, mta), measure)
        if own:
            shown.append((mta, own.median, own.values[0], own.values[-1]))
    return shown


def lines(measurements, along, measure):
    """{MTA: [(x, median)]}, x ascending."""
    shown = {}
    for (mta, x), own in figures.grouped(measurements, "mta", along).items():
        figure = figures.figure(own, measure)
        if figure:
            shown.setdefault(mta, []).append((x, figure.median))
    return {mta: sorted(points) for mta, points in shown.items()}


def _canvas(title, x_label, y_label):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "versus"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(f"{y_label} (logarithmic)")
    axes.set_yscale("log")
    axes.grid(axis="y", alpha=0.3)
    return figure, axes


def _keep(figure, path):
    from matplotlib import pyplot
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def draw_bars(path, title, y_label, shown, titles):
    if not shown:
        return
    figure, axes = _canvas(title, "", y_label)
    medians = [median for _, median, _, _ in shown]
    error = [[median - least for _, median, least, _ in shown], [most - median for _, median, _, most in shown]]
    drawn = axes.bar([titles[mta] for mta, *_ in shown], medians, yerr=error, capsize=4,
                     color=["tab:blue" if mta == figures.OURS else "tab:gray" for mta, *_ in shown])
    axes.bar_label(drawn, labels=[figures.number(median) for median in medians], padding=2)
    axes.margins(y=0.15)
    _keep(figure, path)


def draw_lines(path, title, x_label, y_label, shown, titles):
    if not shown:
        return
    figure, axes = _canvas(title, x_label, y_label)
    axes.set_xscale("log")
    for mta, points in shown.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=titles[mta])
    axes.legend()
    _keep(figure, path)
