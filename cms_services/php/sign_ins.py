"""Who is signed in to the PHP CMS, by the id of its session."""

import re
import time
from dataclasses import dataclass

from cms_services.php.serialized import Mapping, Unreadable
from cms_services.php.session_stores import StoredSession, session_store
from cms_services.php.sessions import read_session, user_id_in
from cms_services.settings import Settings

_ID = re.compile(r"[A-Za-z0-9,-]{22,256}\Z")
_TRIES = 3
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class PhpSignIn:
    """A session of the PHP CMS that somebody is signed in by."""

    session_id: str
    user_id: str
    # Whether it is time to renew it.
    is_due: bool


class PhpSignIns:
    """The sessions of the PHP CMS; none where PHP_SESSIONS is not set."""

    def __init__(self, settings: Settings) -> None:
        place, lifetime = settings.php_sessions, settings.php_session_lifetime
        self._store = None if place is None else session_store(place, lifetime)
        self._format = settings.php_session_format
        self._path = settings.php_session_user

    def recognise(self, session_id: str) -> PhpSignIn | None:
        """The sign-in by a session; None where there is none, or anything is not as it must be."""
        if self._store is None or _ID.match(session_id) is None:
            return None
        for _ in range(_TRIES):
            stored = self._store.read(session_id)
            if stored is None:
                return None
            variables = self._variables(stored)
            if variables or not stored.may_be_torn:
                user_id = user_id_in(variables, self._path)
                return None if user_id is None else PhpSignIn(session_id, user_id, stored.is_due)
            time.sleep(_PAUSE_SECONDS)
        return None

    def renew(self, sign_in: PhpSignIn) -> None:
        """Let the session last on, since it was used here."""
        if self._store is not None:
            self._store.renew(sign_in.session_id)

    def _variables(self, stored: StoredSession) -> Mapping:
        try:
            return read_session(stored.data, self._format)
        except Unreadable:
            return {}
