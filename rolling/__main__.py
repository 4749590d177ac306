"""`python -m rolling`: the command `rolling`, where its script is not on the path."""

import sys

from rolling.run.cli import main

if __name__ == "__main__":
    sys.exit(main())
