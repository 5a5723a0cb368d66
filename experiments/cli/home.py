"""A home for the processes of users who have none, as in containers: many libraries ask for it."""

import atexit
import getpass
import logging
import os
import shutil
import tempfile
from pathlib import Path

_log = logging.getLogger(__name__)


def ensure_home() -> None:
    """Where there is no home, make one that goes with this process, and say so; workers share it."""
    try:
        Path.home()
    except RuntimeError:
        home = tempfile.mkdtemp(prefix="rope-dit-home-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ["HOME"] = home
        text = "there is no home folder; caches lie in %s until this process ends. Set HOME or ROPE_DIT_CACHE"
        _log.warning(text, home)
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the user has no name either, which torch and MLflow ask for
        os.environ["USER"] = str(os.getuid())
