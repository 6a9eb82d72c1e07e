"""Istio's resources, as short as tests like to write them."""

PORTS = {"frontend": 8080, "middleware": 9090, "backend": 9090}


def resource(kind, name, **spec):
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def to(host, subset=None, weight=None):
    """One choice of a route."""
    destination = {"host": host, "port": {"number": PORTS[host]}}
    if subset:
        destination["subset"] = subset
    return {"destination": destination, **({} if weight is None else {"weight": weight})}


def virtual_service(name, *rules, **spec):
    """For the sidecars, of the service of that name."""
    return resource("VirtualService", name, hosts=[name], http=list(rules), **spec)


def at_the_gateway(*rules):
    """The virtual service of the frontend, which the real steps have, too."""
    return resource(
        "VirtualService", "frontend", hosts=["*"], gateways=["gateway"], http=list(rules)
    )


def versions(host, *names):
    """A destination rule that gives each version a subset of its name."""
    subsets = [{"name": name, "labels": {"version": name}} for name in names]
    return resource("DestinationRule", host, host=host, subsets=subsets)


def header(name, **wanted):
    """The match of one header: header("x-dev-user", exact="somebody")."""
    return {"headers": {name: wanted}}
