"""The loop of watchdog's own documentation, with a signal as its action: watchdog_loop.py DIRECTORY PID [--recursive]"""

import os
import signal
import sys

from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer


class Signal(FileSystemEventHandler):
    def on_created(self, event):
        os.kill(int(sys.argv[2]), signal.SIGHUP)

    # That a file is opened or closed is an event as well: whoever signals on any event signals for ever.
    on_modified = on_moved = on_deleted = on_created


observer = Observer()
observer.schedule(Signal(), sys.argv[1], recursive="--recursive" in sys.argv)
observer.start()
observer.join()
