"""Lifecycles of the user: loaded, judged, drawn."""
