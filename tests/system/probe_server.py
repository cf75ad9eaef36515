"""The ordinary command line with the probe kinds in the catalogue: `python tests/system/probe_server.py serve`."""

from __future__ import annotations

import sys

from app import bootstrap
from app.__main__ import main
from app.engine.nodes import CATALOGUE
from tests.system.probe import OPERATION, Deadly, Probe, ProbePerformer

CATALOGUE.update({kind.kind: kind for kind in (Probe, Deadly)})
bootstrap.PERFORMERS[OPERATION] = ProbePerformer()

if __name__ == "__main__":
    sys.exit(main(prog_name="python -m app"))
