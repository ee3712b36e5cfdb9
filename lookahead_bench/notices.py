"""The project's own notices, on stderr."""

from __future__ import annotations

import logging
import sys


def listen() -> None:
    """The project's own notices on stderr; not the root logger's, where Hydra would say everything twice."""
    notices = logging.getLogger("lookahead_bench")
    notices.setLevel(logging.INFO)
    notices.handlers = [logging.StreamHandler(sys.stderr)]
    notices.handlers[0].setFormatter(logging.Formatter("lookahead-bench: %(message)s"))
