"""What the lesson says at each step: what to try, and what is to be seen."""

from local import steps


def texts(url):
    """By step: its title, what to try, what to see."""
    return {
        "start": (
            "nobody gets in",
            [f"curl {url}/"],
            ["The gateway has no open port: the connection is refused. The hops run, unseen."],
        ),
        "ingress": (
            "the gateway lets requests in",
            [f"curl {url}/"],
            [
                "The chain answers, but its last line says 502 Bad Gateway: the mesh lets nothing out",
                "that it does not know.",
            ],
        ),
        "egress": (
            "the clock outside may be asked",
            [f"curl {url}/"],
            [
                "The last line tells the time. Repeat it: the second line is now middleware-prod, now",
                "middleware-canary, for nobody has said who shall get which.",
            ],
        ),
        "prod": (
            "everybody gets prod",
            [f"curl {url}/", f"curl -H 'fail: 0.3' {url}/"],
            [
                "The second line is middleware-prod, however often you ask. With the fail header each hop",
                "fails three times in ten, so two requests in three fail.",
            ],
        ),
        "retry": (
            "failed calls are made again",
            [
                f"curl -H 'fail: 0.3' '{url}/?detail'",
                f"curl -H 'fail: backend=1' '{url}/?detail'",
                f"curl -H 'fail: backend=1:trailers' '{url}/?detail'",
            ],
            [
                "The first is answered 99 times in 100; its attempts and the number of calls tell the",
                "price. When the backend always fails, the retries multiply: 4 calls at the frontend, 16",
                "at the middleware, 64 at the backend, and it fails all the same. With :trailers the",
                "backend sends its headers before it fails. No proxy retries such a call: 16 at the",
                "backend, one for each of the middleware's.",
            ],
        ),
        "canary": (
            "who says the secret word gets the canary",
            [f"curl -H 'x-dev-user: super-secret' {url}/", f"curl {url}/"],
            [
                "middleware-canary for the first, middleware-prod for the second. The frontend passed the",
                "header on; its sidecar decided.",
            ],
        ),
    }


def show_step(url, step, changes, where, reach_by=()):
    """After a step was made: what changed, what to try, what to see. `where` it was made is told, too,
    and how the gateway is reached where that is not plain.
    """
    title, tries, sights = texts(url).get(step, ("", [], []))
    names = steps.names()
    number = names.index(step)
    print(f"Step {number} of {len(names) - 1}: {step}" + (f" ({title})" if title else ""))
    show("Changed", changes or ["nothing: it was made already"])
    show("Reach", reach_by)
    show("Try", tries)
    show("See", sights)
    if number + 1 < len(names):
        show("Next", [f"make {names[number + 1]}"])
    show("Where", [where])


def show(title, lines):
    for number, line in enumerate(lines):
        print(f"{title if number == 0 else '':8}{line}")


def show_place(here):
    """`here` among all steps."""
    for name in steps.names():
        title = texts("").get(name, ("",))[0]
        print(f"{'>' if name == here else ' '} {name:8} {title}".rstrip())
