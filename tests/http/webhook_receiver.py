"""A receiver of webhooks for tests: keeps what arrives, and answers as it is told to."""

import http.server
import json
import threading
import time

PATIENCE_S = 60


class Message:
    def __init__(self, path, headers, body):
        self.path = path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.json = json.loads(body)

    @property
    def id(self):
        return self.headers['webhook-id']

    @property
    def event(self):
        return self.json['event']

    @property
    def key(self):
        return self.json['data'].get('keyId')


class Receiver:
    """`answer` is called with each message and gives (status, headers, body); it may wait."""

    def __init__(self, answer=None, port=0):
        self.messages = []
        self.answer = answer or (lambda message: (200, {}, b'thanks'))
        self.lock = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            wbufsize = 65536  # head and body in one piece

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                message = Message(self.path, self.headers, body)
                with receiver.lock:
                    receiver.messages.append(message)
                    receiver.lock.notify_all()
                status, headers, text = receiver.answer(message)
                self.send_response(status)
                for name, value in {**headers, 'Content-Length': str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # the other side was killed

        self.server = Server(('127.0.0.1', port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path='/hook'):
        return f'http://127.0.0.1:{self.port}{path}'

    def wait(self, condition, what):
        """What the condition gives of the messages, as soon as it is true."""
        until = time.monotonic() + PATIENCE_S
        with self.lock:
            while not condition(self.messages):
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(f'{what} did not happen; there are {len(self.messages)} messages')
                self.lock.wait(left)
            return condition(self.messages)

    def of(self, event):
        with self.lock:
            return [message for message in self.messages if message.event == event]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
