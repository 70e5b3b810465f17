"""What a training process uses: the append-only run log, and the capture of code and environment.

Standard library only, Python 3.9 and later: this package runs in other people's environments, copied on its
own beside ``mlconsole/__init__.py``. It imports nothing else of mlconsole.
"""
