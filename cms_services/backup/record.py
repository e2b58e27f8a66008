"""When the last backup and the last drill were: a file in the data folder."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from cms_services.private_files import replace_file
from cms_services.settings import Settings


def record_file(settings: Settings) -> Path:
    """Where it is noted: an object of JSON with `backup` and `drill`, each with its time `at`."""
    return settings.data_dir / "backups.json"


def noted(settings: Settings) -> dict[str, Any]:
    """What is noted; nothing where there is no such file, or a damaged one."""
    try:
        found = orjson.loads(record_file(settings).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(settings: Settings, what: str, at: datetime, archive: Path, **more: Any) -> None:
    """Note a backup or a drill, in the place of the last one. Raises OSError."""
    path = record_file(settings)
    entry = {"at": at.isoformat(), "archive": archive.name} | more
    document = orjson.dumps(noted(settings) | {what: entry}).decode()
    replace_file(path, document)
