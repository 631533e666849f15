"""Signals a process on changes, with the loop from watchdog's documentation: watchdog_loop.py DIRECTORY PID [--recursive]"""

import os
import signal
import sys

from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer


class Signal(FileSystemEventHandler):
    def on_created(self, event):
        os.kill(int(sys.argv[2]), signal.SIGHUP)

    # Not on_any_event: opening and closing a file are events as well, so the application's reads would cause signals forever.
    on_modified = on_moved = on_deleted = on_created


observer = Observer()
observer.schedule(Signal(), sys.argv[1], recursive="--recursive" in sys.argv)
observer.start()
observer.join()
