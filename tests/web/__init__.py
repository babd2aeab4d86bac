"""The fleet in a browser, as a process that is asked over HTTP."""
