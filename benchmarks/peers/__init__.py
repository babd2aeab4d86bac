"""Beside the peers: each in an environment of its own, through its own client, in the same run.

``python -m benchmarks.peers --help`` says how to run it. Parts of this package are run by the
peers' own environments: `client`, `child`, `celery_app` and `rq_worker` need the standard library
and the one peer, no more.
"""
