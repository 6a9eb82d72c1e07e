"""Which Envoy to run, if any."""

import os
import shutil
import subprocess
import sys

from local.settings import ROOT, TOOLS, choice, DemoError, MESHES


def find():
    """Its path, or None: the demo is to run without. One on PATH wins; else it is fetched, once."""
    wanted = choice("MESH", ("auto", *MESHES), "auto")
    if wanted == "none":
        return None
    envoy = shutil.which("envoy") or fetched()
    if not envoy and wanted == "envoy":
        raise DemoError("MESH=envoy, but there is no Envoy: see above")
    if not envoy:
        print(
            "demo: there is no Envoy, so the hops call each other without a mesh", file=sys.stderr
        )
    return envoy


def fetched():
    getting = subprocess.run([ROOT / "scripts/get", "envoy"], stdin=subprocess.DEVNULL, check=False)
    envoy = TOOLS / "envoy"
    return str(envoy) if getting.returncode == 0 and os.access(envoy, os.X_OK) else None
