"""``python -m dccd.simulator``."""

from __future__ import annotations

import sys

from dccd.simulator.main import main

if __name__ == "__main__":
    sys.exit(main())
