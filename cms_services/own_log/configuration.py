"""Sending every log line of the process, ours and the libraries', where the settings say."""

import logging
import sys

import structlog

from cms_services.own_log.external import ExternalLog
from cms_services.own_log.files import RotatedFile
from cms_services.own_log.lines import PREPARING, console_form, json_form, text_form
from cms_services.own_log.senders import sender_for
from cms_services.settings import SettingError, Settings


def configure_logging(settings: Settings) -> None:
    """Log as LOG_LEVEL, LOG_FORMAT and LOG_OUTPUTS say, instead of as before.

    Raises SettingError where the log file can't be written.
    """
    structlog.configure(
        processors=[*PREPARING, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    outputs = [_OUTPUTS[name](settings) for name in settings.log_outputs]
    for handler in root.handlers:
        if isinstance(handler, RotatedFile | ExternalLog):
            handler.close()
    root.handlers[:] = outputs
    root.setLevel(settings.log_level.upper())
    # Its lines at INFO describe each migration step; one line of ours says what happened.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _console(settings: Settings) -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    for_people = settings.log_format == "console"
    handler.setFormatter(console_form(colours=sys.stdout.isatty()) if for_people else json_form())
    return handler


def _file(settings: Settings) -> logging.Handler:
    path = settings.log_path or settings.data_dir / "logs" / "cms-services.log"
    try:
        handler = RotatedFile(path, settings.log_file_size * 1024 * 1024, settings.log_file_count)
    except OSError as error:
        raise SettingError(f"LOG_PATH: {path} can't be written ({error.strerror}).") from error
    handler.setFormatter(text_form() if settings.log_format == "console" else json_form())
    return handler


def _external(settings: Settings) -> logging.Handler:
    handler = ExternalLog(sender_for(settings.log_external_url or ""))
    # It is programs that read these.
    handler.setFormatter(json_form())
    return handler


_OUTPUTS = {"console": _console, "file": _file, "external": _external}
