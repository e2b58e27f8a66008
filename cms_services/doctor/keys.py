"""Whether this node has the keys that sealed what is stored."""

import os
from collections import Counter
from collections.abc import Collection
from itertools import islice
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError

from cms_services.audit.models import AuditChain
from cms_services.data_folder import encryption_key_file, secret_key_file
from cms_services.doctor.connecting import is_missing, session
from cms_services.doctor.findings import Level, Seen
from cms_services.encryption import Vault
from cms_services.extensions import db
from cms_services.key_files import KeyFile
from cms_services.key_rotation import PLACES, values_of_other_keys
from cms_services.settings import Settings

# Enough to name the keys that are missing; `keys status` counts all that they sealed.
_MOST_VALUES = 1000


def keys(settings: Settings) -> Seen:
    """Whether the files of keys are whole, and every key that sealed something is known."""
    if not settings.secret_key:
        yield from _file("SECRET_KEY", secret_key_file(settings))
    known = settings.encryption_keys
    if not known:
        file = encryption_key_file(settings)
        told = list(_file("ENCRYPTION_KEY", file))
        yield from told
        if any(level is Level.FAILURE for level, _, _ in told):
            return
        known = () if told else file.keys()
    if is_missing(settings):
        return
    try:
        with session(settings):
            tables = set(inspect(db.engine).get_table_names())
            if {AuditChain.__tablename__, *(place.column.table.name for place in PLACES)} <= tables:
                yield from _used(Vault(known).key_ids if known else (), settings)
    except SQLAlchemyError as error:
        seen = f"what they sealed could not be looked at ({type(error).__name__})"
        yield Level.WARNING, seen, "Mend what is told of the database, and look again."


def _file(name: str, file: KeyFile[Any]) -> Seen:
    """What is wrong with a file of keys, which is not made here."""
    try:
        if not file.path.exists():
            seen = f"{file.path} is not there: the next start makes a new key"
            mend = f"If this is no new installation, restore it from a backup, or set {name}."
            yield Level.WARNING, seen, mend
            return
        file.keys()
    except OSError as error:
        seen = f"{file.path} can't be read ({error.strerror})"
        yield Level.FAILURE, seen, f"chown it to user {os.getuid()}, and chmod 600 {file.path}"
    except ValueError:
        mend = f"Restore it from a backup, or set {name} (docs/keys.md)."
        yield Level.FAILURE, f"{file.path} is damaged", mend


def _used(known: Collection[str], settings: Settings) -> Seen:
    where = "ENCRYPTION_KEY, after a comma"
    if not settings.encryption_keys:
        where = f"{encryption_key_file(settings).path}, as another line"
    mend = f"Put that key, from another node or a backup, into {where} (docs/keys.md)."
    values = islice(values_of_other_keys(known), _MOST_VALUES)
    missing = Counter(value.key_id for value in values)
    for key_id, count in sorted(missing.items()):
        told = f"{count} or more" if missing.total() == _MOST_VALUES else str(count)
        seen = f"stored secrets ({told}) were sealed by the key {key_id}, which is not here"
        yield Level.FAILURE, seen, mend
    # Whoever wrote last used the key that was first on its node.
    writer = db.session.scalar(select(AuditChain.key_id))
    if writer is not None and writer not in known and writer not in missing:
        seen = f"the audit trail was written last with the key {writer}, which is not here"
        yield Level.FAILURE, seen, mend
    elif not missing:
        yield Level.OK, "what is stored needs no other key than this node has", None
