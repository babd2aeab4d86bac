"""What the tests are made with: a real broker, a bad network, the real program, a history to judge.

Everything listens on 127.0.0.1, or in a network namespace of its own, waits with a limit, and
leaves nothing behind.
"""

from tests.tools.broker import Broker, available_brokers
from tests.tools.history import check
from tests.tools.journal import Heard, Journal, Said
from tests.tools.namespace import Namespace
from tests.tools.ports import free_port
from tests.tools.processes import SESSION, Process, killing, processes_with_marker
from tests.tools.program import Program, environment
from tests.tools.proxy import Proxy
from tests.tools.publisher import Publisher, Sent
from tests.tools.sentinels import Sentinels
from tests.tools.small_disk import SmallDisk
from tests.tools.terminal import Terminal
from tests.tools.toml import to_toml
from tests.tools.usage import Slope, Stopwatch, Usage, slope
from tests.tools.waiting import wait_until

__all__ = [
    "SESSION",
    "Broker",
    "Heard",
    "Journal",
    "Namespace",
    "Process",
    "Program",
    "Proxy",
    "Publisher",
    "Said",
    "Sent",
    "Sentinels",
    "Slope",
    "SmallDisk",
    "Stopwatch",
    "Terminal",
    "Usage",
    "available_brokers",
    "check",
    "environment",
    "free_port",
    "killing",
    "processes_with_marker",
    "slope",
    "to_toml",
    "wait_until",
]
