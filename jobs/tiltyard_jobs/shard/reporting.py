"""How a shard speaks: its log on stderr, and its summary at the end."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from tiltyard_jobs.contracts.summary import Summary

LOG_LEVEL_VARIABLE = "TILTYARD_LOG_LEVEL"

log = structlog.get_logger(__name__)


def configure_logging(environment: Mapping[str, str], bound: Mapping[str, object]) -> None:
    """Log to stderr: JSON lines, or for people where stderr is a terminal.

    Libraries' own lines take the same way, from WARNING up.

    Args:
        environment: `TILTYARD_LOG_LEVEL` is a level's name; INFO by default.
        bound: what stands on each line.
    """
    level = logging.getLevelNamesMapping().get(environment.get(LOG_LEVEL_VARIABLE, "INFO").upper(), logging.INFO)
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tiltyard_jobs").setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**bound)


def write_summary(summary: Summary, path: Path) -> None:
    """Write the summary in place, not by a rename: a pod's termination message is a mounted file.

    Never raises: the exit code says what matters most.
    """
    try:
        path.write_text(summary.to_message(), encoding="utf-8")
    except OSError as error:
        log.warning("summary not written", path=str(path), error=error.strerror)
