"""A tally in words: the live line, and the summary. Pure."""

_FAILURES_SHOWN = 8


def share_text(part, whole):
    """Per cent; 0 and 100 only where it is exactly that."""
    if whole == 0:
        return "-"
    if part in (0, whole):
        return f"{100 * part // whole} %"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f} %"


def duration_text(seconds):
    if seconds is None:
        return "-"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def rate_text(rate):
    if rate is None:
        return "-/s"
    return f"{rate:.0f}/s" if rate >= 9.95 else f"{rate:.1f}/s"


def line(tally, elapsed_s, rate, waiting, width=None):
    """What was seen in the last second. In a narrow terminal, less of it."""
    parts = [(0, f"{elapsed_s:4.0f} s"), (0, f"{rate_text(rate):>6}")]
    parts.append((0, f"ok {share_text(tally.ok, tally.ended):>6}"))
    parts += [
        (1, f"{version} {share_text(count, tally.with_tree):>6}")
        for version, count in _by_name(tally.versions)
    ]
    parts.append((5, f"p50 {duration_text(tally.latency(0.5)):>6}"))
    parts.append((4, f"p99 {duration_text(tally.latency(0.99)):>6}"))
    if tally.with_tree:
        parts.append((2, f"retried {share_text(tally.retried, tally.with_tree):>6}"))
    if tally.calls_per_request:
        parts.append((3, f"calls {tally.calls_per_request:4.1f}"))
    if waiting > max(rate, 1):
        parts.append((1, f"waiting {waiting}"))
    if tally.not_started:
        parts.append((0, f"not started {tally.not_started.total()}"))
    for worst, count in (tally.failures or tally.notes).most_common(1):
        parts.append((1, f"{count} x {worst}"))
    return fit(parts, width)


def _by_name(versions):
    """Prod first."""
    return sorted(versions.items(), key=lambda item: (item[0] != "prod", item[0]))


def fit(parts, width):
    """Joins texts, each with a number; the largest ones are left out when it gets too long."""
    kept = list(parts)
    while True:
        joined = "  ".join(text for _, text in kept)
        if width is None or len(joined) <= width:
            return joined
        least = max(number for number, _ in kept)
        if least <= 1:
            return joined[:width]
        kept = [part for part in kept if part[0] != least]


def summary(tally, elapsed_s):
    """What was seen in a whole run: lines."""
    lines = [
        f"{tally.ended:,} requests in {elapsed_s:.1f} s, {rate_text(tally.rate)}: {tally.ok:,} ok"
        f" ({share_text(tally.ok, tally.ended)}), {tally.failed:,} failed"
    ]
    if tally.versions:
        shares = (
            f"{version} {count:,} ({share_text(count, tally.with_tree)})"
            for version, count in _by_name(tally.versions)
        )
        lines.append("versions     " + ", ".join(shares))
    if tally.latencies:
        points = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))
        shown = (f"{name} {duration_text(tally.latency(share))}" for name, share in points)
        lines.append("latency      " + ", ".join(shown))
    lines += _cost_lines(tally)
    lines += _counted("failures", tally.failures)
    lines += _counted("noted", tally.notes)
    lines += _counted("not started", tally.not_started)
    if tally.abandoned:
        lines.append(f"abandoned    {tally.abandoned:,} were still waiting for their answers")
    lines.append(f"late         a request started at most {duration_text(tally.late_max_s)} late")
    return lines


def _cost_lines(tally):
    lines = []
    if tally.with_tree:
        share = share_text(tally.retried, tally.with_tree)
        lines.append(f"retried      {tally.retried:,} ({share})")
    if tally.calls_per_request:
        lines.append(f"calls        {tally.calls_per_request:.2f} per request")
    return lines


def _counted(name, counter):
    """A line for each of the most common, `name` before the first."""
    shown = counter.most_common(_FAILURES_SHOWN)
    rest = counter.total() - sum(count for _, count in shown)
    if rest:
        shown.append(("others", rest))
    names = [name] + [""] * len(shown)
    return [f"{name:12} {count:,} x {text}" for name, (text, count) in zip(names, shown)]
