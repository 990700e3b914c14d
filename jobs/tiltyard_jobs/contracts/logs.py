"""How processes of ours write their log: the operator and the workers alike."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping

import structlog

LOG_LEVEL_VARIABLE = "TILTYARD_LOG_LEVEL"
NAMESPACE_VARIABLE = "TILTYARD_NAMESPACE"
"""On a cluster: the namespace of a worker's pod, which stands on each line of its log, as on the operator's."""


def configure_logging(package: str, level_name: str, bound: Mapping[str, object]) -> None:
    """Log to stderr: JSON lines, or for people where stderr is a terminal.

    Libraries' own lines take the same way, from WARNING up.

    Args:
        package: whose lines are written from the level up.
        level_name: a level's name; INFO where it is none.
        bound: what stands on each line.
    """
    level = logging.getLevelNamesMapping().get(level_name.upper(), logging.INFO)
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
    logging.getLogger(package).setLevel(level)
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


def frames_of(error: BaseException) -> list[str]:
    """Where it was raised, outermost call first, without its message: that could quote a prompt or a pod."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
