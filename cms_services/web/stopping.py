"""Whether this process is about to stop, for answers that would go on for long."""

import threading

# Set by gunicorn's worker when it is told to stop.
stopping = threading.Event()
