"""Small disks, which a test can fill."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import need_server
from tests.faults.engines import for_all


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """The folder of a disk of this size, until the block ends."""
    if os.geteuid() != 0:
        need_server("only root mounts disks")
    # Not pytest's folder, which servers that run as another user can't enter.
    with tempfile.TemporaryDirectory(prefix="faults-disk-") as made:
        folder = Path(made)
        options = f"size={mebibytes}m,mode=0755"
        try:
            subprocess.run(("mount", "-t", "tmpfs", "-o", options, "cms", folder), check=True)
        except (OSError, subprocess.CalledProcessError):
            need_server("this system mounts no disks")
        try:
            yield for_all(folder)
        finally:
            # Lazily, should something that was killed still be there.
            subprocess.run(("umount", "-l", folder), check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk, but for what goes when this file does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler
