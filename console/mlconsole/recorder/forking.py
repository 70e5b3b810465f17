"""Imports that a fork waits for.

A child that is forked while another thread of its parent imports a module waits for ever where it wants that module
too: nobody is left to let go of the module's lock. So everything that the recorder imports at need it imports holding
:data:`importing`, and a fork takes that first.
"""

from __future__ import annotations

import os
from _thread import RLock

importing = RLock()
"""Held during an import: ``with importing: import json``."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
