"""`LogText`: what a program logs is the text of its status; imported when it is asked for.

logging.getLogger().addHandler(statusd.LogText(worker))
"""

from __future__ import annotations

import logging

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from typing import Any

    from statusd.worker.api import Worker
    from statusd.worker.async_worker import AsyncWorker


class LogText(logging.Handler):
    """Makes the last record's message the text of the work, for a microsecond or two; never raises.

    As often as you like: the text is written into memory, and the daemon looks at it when it
    writes the status document. With a formatter it is what that makes of the record.

    Args:
        worker: whose text it is.
        level: of the records that count; all that the logger lets through, by default.
    """

    def __init__(
        self, worker: Worker[Any] | AsyncWorker[Any], level: int | str = logging.NOTSET
    ) -> None:
        super().__init__(level)
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """Say it; of a message that its arguments don't fit into, the message as it stands."""
        try:
            text = self.format(record) if self.formatter is not None else record.getMessage()
        except Exception:  # whoever logs has made a mistake, which is no reason for work to fail
            text = str(record.msg) if isinstance(record.msg, str) else ""
        if text:
            self._worker.text(text)
