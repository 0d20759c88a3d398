"""Medians, paired ratios and tables. Knows nothing of processes: samples in, text out."""

from dataclasses import asdict
from statistics import median

from . import scenarios
from .measure import NOISY_FOREIGN

COLUMNS = {
    scenarios.CLOSED: (("requests_per_s", "req/s", 0), ("cpu_us", "CPU µs/req", 2),
                       ("user_us", "user", 2), ("system_us", "sys", 2), ("p50_us", "p50 µs", 0),
                       ("p99_us", "p99 µs", 0), ("busy", "CPU busy", 2)),
    scenarios.MEMORY: (("bytes_per_connection", "B/conn", 0),),
    scenarios.SYSCALLS: (("calls_per_request", "syscalls/req", 2),),
    scenarios.SLOW: (("quiet_p99_us", "quiet p99 µs", 0),
                     ("elsewhere_p99_us", "p99 elsewhere µs", 0), ("p99_us", "p99 µs", 0),
                     ("p99_ratio", "ratio", 2)),
}
COLUMNS[scenarios.RATE] = COLUMNS[scenarios.CLOSED]
# h2load knows no percentiles.
COLUMNS[scenarios.H2LOAD] = tuple(column for column in COLUMNS[scenarios.CLOSED]
                                  if column[0] not in ("p50_us", "p99_us"))

REFERENCES = ("nginx", "haproxy", "relay", "responder")


def valid(samples):
    return [sample for sample in samples if not sample.void]


def is_void(samples):
    """A row counts when most of its rounds do."""
    return 2 * len(valid(samples)) <= len(samples)


def is_noisy(samples):
    return (median_of(samples, "foreign") or 0) > NOISY_FOREIGN


def median_of(samples, field):
    values = [getattr(sample, field) for sample in valid(samples)]
    values = [value for value in values if value is not None]
    return median(values) if values else None


def paired_ratios(ours, theirs, field):
    """One ratio per round in which both sides count: what slows a round slows both."""
    return [getattr(a, field) / getattr(b, field) for a, b in zip(ours, theirs)
            if not a.void and not b.void and getattr(b, field)]


def best_of(rows, field):
    """Round by round the better of nginx and haproxy; () unless both took part.

    A round in which one of them is void stays void: the other alone may be the worse one.
    """
    if not {"nginx", "haproxy"} <= rows.keys():
        return ()
    return [max(pair, key=lambda sample: (bool(sample.void), -(getattr(sample, field) or 0)))
            for pair in zip(rows["nginx"], rows["haproxy"])]


def ratio_columns(scenario, rows):
    """[(title, {label: ratios})]"""
    field = scenario.metric.field
    if scenario.variants is not None:
        return [(f"/ {scenario.variants.title}", {
            label: paired_ratios(samples, rows[scenario.variants.base_of(label)], field)
            for label, samples in rows.items()})]
    columns = [(f"/ {name}", {label: paired_ratios(samples, rows[name], field)
                              for label, samples in rows.items()})
               for name in REFERENCES if name in rows]
    best = best_of(rows, field)
    if best:
        columns.append(("/ better", {label: paired_ratios(samples, best, field)
                                     for label, samples in rows.items()}))
    return columns


def cells(scenario, rows):
    """Header and body of the table as strings."""
    plain = COLUMNS[scenario.kind]
    ratios = ratio_columns(scenario, rows)
    header = ["peer", *(title for _, title, _ in plain), *(title for title, _ in ratios), "notes"]
    body = []
    for label, samples in rows.items():
        if is_void(samples):
            reason = next(sample.void for sample in samples if sample.void)
            body.append([label, *("void" for _ in plain), *("" for _ in ratios), reason])
            continue
        line = [label]
        for field, _, digits in plain:
            value = median_of(samples, field)
            line.append("" if value is None else f"{value:.{digits}f}")
        for _, by_label in ratios:
            line.append(f"{median(by_label[label]):.2f}" if by_label[label] else "")
        body.append([*line, notes(samples)])
    return header, body


def notes(samples):
    said = []
    void = len(samples) - len(valid(samples))
    if void:
        said.append(f"{void} of {len(samples)} rounds void")
    if is_noisy(samples):
        said.append(f"others took {median_of(samples, 'foreign'):.0%} of the CPU")
    if samples[0].detail:
        said.append(samples[0].detail)
    return "; ".join(said)


def verdicts(scenario, rows):
    """A line per target of weir's, with the spread over the rounds."""
    lines = []
    ours = [label for label in rows if label.split()[0] == "weir" and not is_void(rows[label])]
    for target in scenario.targets:
        for label in ours:
            others, versus = reference(scenario, rows, target)
            if versus is None or label in others:
                continue
            field = scenario.metric.field
            values = (paired_ratios(rows[label], versus, field) if others else
                      [getattr(sample, field) for sample in valid(rows[label])])
            if values:
                lines.append(verdict(scenario, target, label, others, values)
                             + doubt([rows[name] for name in (label, *others)]))
    return lines


def reference(scenario, rows, target):
    """(labels that a target compares with, their samples per round); (…, None) when absent."""
    if target.versus == scenarios.OWN:
        return (), ()
    if target.versus == scenarios.BEST:
        return ("nginx", "haproxy"), best_of(rows, scenario.metric.field) or None
    name = (scenario.variants.base_of("weir") if target.versus == scenarios.BASE
            else target.versus)
    return (name,), rows.get(name)


def verdict(scenario, target, label, others, values):
    middle = median(values)
    versus = scenario.variants.title if target.versus == scenarios.BASE else target.versus
    unit = f"× {versus}" if others else scenario.metric.title
    word = "met" if middle <= target.limit else "MISSED"
    return (f"{label}: {middle:.2f} {unit} (rounds {min(values):.2f} to {max(values):.2f}), "
            f"target ≤ {target.limit:g}: {word}")


def doubt(rows):
    return ("; no finding, the proxy's CPU was not left alone"
            if any(is_noisy(samples) for samples in rows) else "")


def as_text(scenario, rows):
    header, body = cells(scenario, rows)
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [f"{scenario.name}: {scenario.title}"]
    for line in [header, *body]:
        # Names and notes read from the left, numbers from the right.
        shown = [cell.ljust(width) if i in (0, len(header) - 1) else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        lines.append("  " + "  ".join(shown).rstrip())
    return "\n".join([*lines, *(f"  {line}" for line in verdicts(scenario, rows)), ""])


def as_markdown(scenario, rows):
    header, body = cells(scenario, rows)
    rule = ["---", *("---:" for _ in header[1:-1]), "---"]
    lines = [f"### {scenario.name}: {scenario.title}", ""]
    lines += ["| " + " | ".join(line) + " |" for line in [header, rule, *body]]
    lines += ["", *(f"- {line}" for line in verdicts(scenario, rows)), ""]
    return "\n".join(lines)


def as_data(scenario, rows):
    """For --json: every sample, so that other questions can be asked later."""
    return {"scenario": scenario.name, "title": scenario.title, "metric": scenario.metric.field,
            "samples": {label: [asdict(sample) for sample in samples]
                        for label, samples in rows.items()}}
