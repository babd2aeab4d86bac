"""``python -m statusd``: the same as the command ``statusd``."""

import os
import sys

try:
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]  # `-m` put it there: a json.py in this folder would become ours
except FileNotFoundError:  # the folder is gone, and all that was in it
    pass

from statusd.cli import main  # only now

if __name__ == "__main__":
    sys.exit(main())
