"""A catalog that several people of one machine use: their group may write its folder, and so what lies in it.

Who is to share one makes its folder, with the group's right to write and the bit that hands the group on
(``install -d -g lab -m 2770 /srv/mlconsole``). What this program puts there follows the folder, whatever the umask of
the process; what lies deeper, the runs' own folders, stays as its owner's umask has it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

#: What anybody may be the first to need.
FOLDERS = ("runs", "live", "queue", "lib", "kept")
GROUP_FILE = stat.S_IRGRP | stat.S_IWGRP
GROUP_FOLDER = stat.S_IRWXG | stat.S_ISGID


def is_shared(home: Path) -> bool:
    """Whether the folder's group may write it."""
    return bool(home.stat().st_mode & stat.S_IWGRP)


def share(home: Path) -> None:
    """Give the folder's group what this user has made in a shared one."""
    if not is_shared(home):
        return
    for name in FOLDERS:
        with suppress(OSError):
            os.mkdir(home / name)
    with os.scandir(home) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            wanted = GROUP_FOLDER if stat.S_ISDIR(found.st_mode) else GROUP_FILE
            if found.st_uid == os.getuid() and found.st_mode & wanted != wanted and not entry.is_symlink():
                with suppress(OSError):
                    os.chmod(entry.path, stat.S_IMODE(found.st_mode) | wanted)
