"""A steady stream of requests, and what their clients see. For scripts/load, and for tests that
need one in the background:

    with Load(url, rate=100, headers={"fail": "0.3"}) as load:
        ...
    failed = [record for record in load.records if record.outcome is not Outcome.OK]
"""

from .answer import Outcome, Reading
from .load import Load, Record
from .tally import Tally

__all__ = ["Load", "Outcome", "Reading", "Record", "Tally"]
