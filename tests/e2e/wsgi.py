"""What gunicorn and uwsgi serve: `/` answers what the configuration says, `/slow` when its backend does."""

import os
import socket


def application(environ, start_response):
    body = os.environ["ANSWER"].encode()
    if environ["PATH_INFO"] == "/slow":
        with socket.create_connection(("127.0.0.1", int(os.environ["BACKEND"]))) as backend:
            body = backend.recv(100)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
