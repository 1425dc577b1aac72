"""Entry of `python -m scoring`."""

import sys

from scoring.command import main

if __name__ == "__main__":
    sys.exit(main())
