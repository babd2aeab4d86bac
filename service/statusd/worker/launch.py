"""The program that a worker's process runs: ``python launch.py`` with `statusd.worker.function`'s.

It is started by its path, so that it works in an interpreter where statusd isn't installed. A
program is compiled each time it is started, a module once: so this one does no more than find ours.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Make `statusd` importable by this file's own place, and by that alone; run the function."""
    here = os.path.dirname(os.path.abspath(__file__))
    if os.path.abspath(sys.path[0] or ".") == here:
        del sys.path[0]  # else our modules would be found as `api`, `board`, `notes`
    root = os.path.dirname(os.path.dirname(here))
    sys.path.insert(0, root)
    try:
        from statusd.worker.standard import WithLibraryFirst

        with WithLibraryFirst():
            import statusd.worker.spectator  # noqa: F401  # from now on found in sys.modules
            from statusd.worker import function
    finally:
        sys.path.remove(root)
    return function.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
