"""ZIP archives, made in memory and equal byte for byte for equal files."""

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

# The earliest time that the format knows: a real one would make equal bundles differ.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_PERMISSIONS = (stat.S_IFREG | 0o644) << 16
_LEVEL = 6


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files, by relative POSIX path.

    Raises ValueError for a path that would leave the folder it is unpacked in.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path in sorted(files):
            _refuse_escape(path)
            entry = zipfile.ZipInfo(path, _TIMESTAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Otherwise it names the system that made the archive.
            entry.create_system = _UNIX
            entry.external_attr = _PERMISSIONS
            archive.writestr(entry, files[path])
    return target.getvalue()


def _refuse_escape(path: str) -> None:
    parts = PurePosixPath(path).parts
    plain = path.isascii() and path.isprintable() and not set(path) & set('\\:*?"<>|')
    if not plain or not parts or "/".join(parts) != path or ".." in parts or parts[0] == "/":
        raise ValueError(f"{path!r} is no safe path in an archive")
