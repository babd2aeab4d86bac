"""``python -m statusd``: the same as the command ``statusd``."""

import sys

from statusd.cli import main

if __name__ == "__main__":
    sys.exit(main())
