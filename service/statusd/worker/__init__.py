"""The worker's side: standard library only, for it runs in the user's own process.

Nothing here may import anything from the rest of statusd; the daemon takes the formats from here.
"""
