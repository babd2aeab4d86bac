"""``python -m statusd``: the same as the command ``statusd``."""

import os
import sys

if not sys.flags.safe_path and sys.path[0] == os.getcwd():
    del sys.path[0]  # `-m` put it there: a json.py in this folder would become ours

from statusd.cli import main  # only now

if __name__ == "__main__":
    sys.exit(main())
