"""What the doctor looks at on this machine: the data folder, the disk and the limits."""

import os
import resource
import shutil
import stat

from cms_services.doctor.findings import Level, Seen
from cms_services.settings import Settings

_LOW_SPACE = 0.1
_FEW_FILES = 1024


def data_folder(settings: Settings) -> Seen:
    folder = settings.data_dir
    if not folder.is_dir():
        yield Level.FAILURE, f"{folder} is no folder", "Start once, or correct CMS_DATA_DIR."
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Level.FAILURE, f"{folder} can't be written", f"chown it to user {os.getuid()}."
        return
    private = [folder, *folder.glob("*.key"), *folder.glob("*.sqlite3")]
    is_well = True
    for path in private:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            is_well = False
            proper = "700" if path == folder else "600"
            yield Level.FAILURE, f"{path} has mode {mode:o}", f"chmod {proper} {path}"
    if is_well:
        yield Level.OK, f"{folder} and what it holds are private", None


def disk(settings: Settings) -> Seen:
    if not settings.data_dir.is_dir():
        return
    usage = shutil.disk_usage(settings.data_dir)
    nodes = os.statvfs(settings.data_dir)
    mend = "Free space, or move the data folder."
    free = usage.free / usage.total
    is_low = free < _LOW_SPACE
    level = Level.WARNING if is_low else Level.OK
    yield level, f"{free:.0%} of the space is free", mend if is_low else None
    # File systems without a fixed number of inodes tell none.
    if nodes.f_files and nodes.f_favail / nodes.f_files < _LOW_SPACE:
        yield Level.WARNING, f"{nodes.f_favail} inodes are free", mend


def limits(settings: Settings) -> Seen:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_few = files != resource.RLIM_INFINITY and files < _FEW_FILES
    level = Level.WARNING if is_few else Level.OK
    mend = f"Raise it to {_FEW_FILES} or more (LimitNOFILE= of the unit, ulimit -n)."
    yield level, f"a process may open {files} files", mend if is_few else None
