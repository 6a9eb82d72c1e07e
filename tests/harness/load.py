"""scripts/tracehop_load for tests: requests in the background while something happens to those who
answer them.
"""

import sys

from harness import build

sys.path.insert(0, str(build.ROOT / "scripts"))

from tracehop_load import Load, Outcome, Record  # noqa: E402  (found through the path above)

__all__ = ["Load", "Outcome", "Record", "failed"]


def failed(records):
    """Those whose client did not get what it wanted, whatever the reason."""
    return [record for record in records if record.outcome is not Outcome.OK]
