"""Whether the file of SQLite is on a disk that it can be on."""

import re
from pathlib import Path

from cms_services.doctor.findings import Level, Seen

# Processes that use the write-ahead log share memory, which those of two machines can't, and locks
# of such file systems are often none: https://www.sqlite.org/wal.html, howtocorrupt.html.
_OF_A_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "lustre"),
        *("gpfs", "beegfs", "glusterfs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph"),
        *("fuse.davfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.blobfuse2"),
    }
)
# A folder of the machine that runs this one. Locks and shared memory work on some of them.
_OF_THE_HOST = frozenset(
    {"9p", "virtiofs", "vboxsf", "prl_fs", "fuse.vmhgfs-fuse", "fuse.grpcfuse", "fakeowner"}
)
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_ELSEWHERE = "Move it to a disk of this machine, or set DATABASE_URL to PostgreSQL or MariaDB."


def place_of_sqlite(file: Path, mounts: str) -> Seen:
    """What is wrong with the file system that a file is on; nothing where all is well.

    `mounts` is what /proc/self/mountinfo holds (proc_pid_mountinfo(5)).
    """
    kind = file_system_of(file, mounts)
    if kind in _OF_A_NETWORK:
        seen = f"{file} is on {kind}, a file system of a network: it can be damaged there"
        yield Level.FAILURE, seen, _ELSEWHERE
    elif kind in _OF_THE_HOST:
        seen = f"{file} is on {kind}, a folder of the host, whose locks may not hold"
        yield Level.WARNING, seen, _ELSEWHERE
    elif kind in _IN_MEMORY:
        seen = f"{file} is on {kind}, in memory: it is gone after a restart"
        yield Level.WARNING, seen, _ELSEWHERE


def file_system_of(file: Path, mounts: str) -> str | None:
    """The kind of the file system that a file is on; None where that can't be told."""
    file = file.resolve()
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        # Blanks and the like stand there as octal numbers.
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two at one point the later one lies above.
        if file.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), after.split()[0])
    return found[1] if found else None
