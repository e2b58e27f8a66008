"""What the doctor looks at of the old CMS: PHP's sessions, and the PHP that still answers."""

import os
from pathlib import Path

from redis import RedisError

from cms_services.doctor.asking import NoAnswer, asked
from cms_services.doctor.findings import Level, Seen
from cms_services.doctor.shared import brief_redis
from cms_services.setting_types import SessionFiles
from cms_services.settings import Settings

_MOST_LOOKED_AT = 20


def php_sessions(settings: Settings) -> Seen:
    """Whether PHP's sessions can be read where PHP_SESSIONS says that they are."""
    place = settings.php_sessions
    if place is None:
        return
    if isinstance(place, SessionFiles):
        yield from _files(place)
        return
    try:
        with brief_redis(place.url) as client:
            client.ping()
    except RedisError as error:
        seen = f"their Redis does not answer ({type(error).__name__})"
        yield Level.FAILURE, seen, "Start it, or correct PHP_SESSIONS (docs/php-sessions.md)."
    else:
        yield Level.OK, "their Redis answers", None


def _files(place: SessionFiles) -> Seen:
    if not place.folder.is_dir():
        mend = "Correct PHP_SESSIONS: PHP's session.save_path (docs/php-sessions.md)."
        yield Level.FAILURE, f"{place.folder} is no folder", mend
        return
    mend = "Run the application as PHP's user (docs/php-sessions.md)."
    if not os.access(place.folder, os.X_OK):
        yield Level.FAILURE, f"{place.folder} can't be passed through", mend
        return
    files = _some_files(place)
    if files and not any(_can_be_read(file) for file in files):
        yield Level.FAILURE, f"no session in {place.folder} can be read", mend
        return
    yield Level.OK, f"{place.folder} can be passed through", None


def _some_files(place: SessionFiles) -> list[Path]:
    """Some files of sessions; none where the folders may not be listed, which is no fault."""
    found: list[Path] = []
    try:
        for file in place.folder.glob("*/" * place.depth + "sess_*"):
            found.append(file)
            if len(found) == _MOST_LOOKED_AT:
                break
    except OSError:
        return []
    return found


def _can_be_read(file: Path) -> bool:
    try:
        os.close(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError:
        # PHP has cleared it away meanwhile.
        return True
    except OSError:
        return False
    return True


def php(settings: Settings) -> Seen:
    """Whether the PHP answers that LEGACY_ROUTES names, and the files of LEGACY_* can be used."""
    if settings.legacy_profile is None and settings.legacy_routes is None:
        return
    # All of services.php comes with them, which others need not wait for.
    from cms_services.legacy.profile import ProfileError, load_profile
    from cms_services.legacy.routes import RouteTableError, read_table

    if settings.legacy_profile is not None:
        try:
            load_profile(settings.legacy_profile)
        except ProfileError as error:
            yield Level.FAILURE, str(error), "Correct LEGACY_PROFILE (docs/parity.md)."
        else:
            yield Level.OK, "the file of LEGACY_PROFILE can be used", None
    if settings.legacy_routes is None:
        return
    try:
        table = read_table(settings.legacy_routes)
    except RouteTableError as error:
        mend = "Correct the table: cms-services cutover (docs/cutover.md)."
        yield Level.FAILURE, str(error), mend
        return
    try:
        # That it answers at all; what it says to this is of no interest.
        asked(f"http://{table.php}", "/", method="HEAD")
    except NoAnswer as error:
        seen = f"PHP at {table.php} does not answer ({error})"
        yield Level.FAILURE, seen, "Start its web server, or correct php in LEGACY_ROUTES."
    else:
        yield Level.OK, f"PHP at {table.php} answers", None
