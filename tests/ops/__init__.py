"""The real systemd and the real container engine: `make ops-check`."""
