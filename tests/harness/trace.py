"""What a trace should look like."""


def tree(spans, ends_early=lambda span: False):
    """The root of the one connected tree that `spans` make, and the children by span id.
    Fails on a second root, an orphan, or a span that lies outside its parent's time. `ends_early`
    tells the spans that say less than how long they took.
    """
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if span.parent_id not in by_id]
    assert len(roots) == 1, f"not one tree: {roots}, of {spans}"
    children = {span.span_id: [] for span in spans}
    for span in spans:
        if span is not roots[0]:
            parent = by_id[span.parent_id]
            children[parent.span_id].append(span)
            end_ns = span.end_ns if ends_early(parent) else parent.end_ns
            assert parent.start_ns <= span.start_ns <= span.end_ns <= end_ns, (
                f"outside its parent's time: {span} {span.start_ns - parent.start_ns} ns after its"
                f" start, {parent.end_ns - span.end_ns} ns before its end: {parent}"
            )
            assert span.trace_id == parent.trace_id, f"{span} and {parent}: not of one trace"
    return roots[0], children


def outline(spans):
    """The tree as nested (service, kind, name, [children in order of start])."""
    root, children = tree(spans)

    def describe(span):
        below = sorted(children[span.span_id], key=lambda child: child.start_ns)
        return (span.service, span.kind, span.name, [describe(child) for child in below])

    return describe(root)
