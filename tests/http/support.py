"""What the tests of the built server share: starting and stopping it, a raw client, and TAP on standard output.

KEYWARD_TEST_SERVER is the command that serves, for example `build/keyward serve --data {folder}`; `{folder}` becomes a
fresh one. Where it is the echo server of tests/unit/server, tests that need its routes run too.

    @case
    def answers_come_in_order():
        with Server() as server, server.connect() as client:
            ...

    if __name__ == '__main__':
        main()
"""

import contextlib
import os
import pathlib
import re
import resource
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

# Long enough for a sanitizer on a busy machine; nothing waits for it to pass.
PATIENCE_S = 60
STEP_S = 0.01


class Skip(Exception):
    """The program under test has not what the case is about."""


_cases = []


def case(function):
    _cases.append(function)
    return function


def main():
    """Runs the cases whose names contain the first argument, if there is one."""
    only = sys.argv[1] if len(sys.argv) > 1 else ''
    chosen = [function for function in _cases if only in function.__name__]
    failures = 0
    for number, function in enumerate(chosen, 1):
        try:
            function()
            print(f'ok {number} - {function.__name__}', flush=True)
        except Skip as reason:
            print(f'ok {number} - {function.__name__} # SKIP {reason}', flush=True)
        except Exception:  # whatever it is, the case failed
            failures += 1
            for line in traceback.format_exc().splitlines():
                print(f'# {line}')
            print(f'not ok {number} - {function.__name__}', flush=True)
    print(f'1..{len(chosen)}')
    sys.exit(1 if failures else 0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def check_equal(actual, expected, what=''):
    if actual != expected:
        raise AssertionError(f'{what}: {actual!r}, expected {expected!r}')


def wait_until(condition, what, patience_s=PATIENCE_S):
    """The condition's value, as soon as it is true."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'waited {patience_s} s in vain: {what}')
        time.sleep(STEP_S)


def raise_file_limit(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise Skip(f'this process may open {hard} files, {wanted} are needed')
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Answer:
    """One answer as it came."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def __repr__(self):
        return f'<{self.status} {self.headers} {self.body[:200]!r}>'


class Closed(Exception):
    """The server closed the connection where an answer was expected."""


class Client:
    """A raw connection: bytes out, answers in."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(PATIENCE_S)
        self.buffer = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes without leaving a port behind that has to wait."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """False when the server has closed already."""
        try:
            self.socket.sendall(data)
            return True
        except (ConnectionError, OSError):
            return False

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b''
        self.buffer += data
        return bool(data)

    def _line(self):
        while b'\r\n' not in self.buffer:
            if not self._more():
                raise Closed(f'after {self.buffer!r}')
        line, _, self.buffer = self.buffer.partition(b'\r\n')
        return line.decode('latin-1')

    def _chunks(self):
        """A body in pieces, up to its end."""
        pieces = []
        while size := int(self._line(), 16):
            while len(self.buffer) < size + 2:
                if not self._more():
                    raise Closed(f'{len(self.buffer)} of {size} bytes of a chunk')
            pieces.append(self.buffer[:size])
            check_equal(self.buffer[size:size + 2], b'\r\n', 'what ends a chunk')
            self.buffer = self.buffer[size + 2:]
        check_equal(self._line(), '', 'what ends the chunks')
        return b''.join(pieces)

    def read_answer(self, to_head=False):
        """The next answer; to a HEAD request it has no body."""
        version, status, _ = (self._line() + ' ').split(' ', 2)
        check_equal(version, 'HTTP/1.1', 'version')
        headers = {}
        while line := self._line():
            name, _, value = line.partition(':')
            check(name.lower() not in headers, f'{name} stands twice')
            headers[name.lower()] = value.strip()
        if headers.get('transfer-encoding') == 'chunked' and not to_head:
            return Answer(int(status), headers, self._chunks())
        size = 0 if to_head or status[0] == '1' else int(headers.get('content-length', 0))
        while len(self.buffer) < size:
            if not self._more():
                raise Closed(f'{len(self.buffer)} of {size} bytes of a body')
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return Answer(int(status), headers, body)

    def read_to_end(self):
        """Everything until the server closes."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b''
        return data

    def read_answers_to_end(self):
        answers = []
        while self.buffer or self._more():
            answers.append(self.read_answer())
        return answers

    def ask(self, data, to_head=False):
        self.send(data)
        return self.read_answer(to_head)


def command():
    text = os.environ.get('KEYWARD_TEST_SERVER')
    if not text:
        raise SystemExit('KEYWARD_TEST_SERVER is not set: the command that serves')
    return shlex.split(text)


def is_echo():
    return any(part.endswith('echo_server') for part in command())


def need_echo():
    if not is_echo():
        raise Skip('needs the routes of the echo server')


# How keyward and the echo server say where they listen.
PORT_SAID = re.compile(r'^Keyward \S+ listens on \S+:(\d+)\b|^listening on port (\d+)$', re.MULTILINE)


class Server:
    """The program under test, on a free port of 127.0.0.1, which it chooses; `options` as on its command line."""

    def __init__(self, *options, listen=None, tls=None):
        self.port = None  # once it listens
        self.tls = tls  # an ssl.SSLContext for clients
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix='keyward-test-'))
        self.log_path = pathlib.Path(folder) / 'log'
        data = pathlib.Path(folder) / 'data'
        self.command = [part.replace('{folder}', str(data)) for part in command()]
        self.command += ['--listen', '127.0.0.1:0' if listen is None else listen, *options]
        self.process = None

    def __enter__(self):
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, kind, *_):
        status = self.stop()
        if kind is None:
            check(status == 0, f'exit code {status}: {self.log()[-4000:]}')
        elif kind is not Skip:
            for line in self.log().splitlines()[-20:]:
                print(f'# log: {line}')
        self._stack.close()

    def folder(self):
        """For `with` where the server is started by hand: its folder goes with it."""
        return self._stack

    def start(self):
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        return self.log_path.read_text(errors='replace')

    def is_running(self):
        return self.process.poll() is None

    def wait_ready(self):
        """Asks the log, never the port: a connection to a port that nobody listens on can meet itself."""
        def said():
            check(self.is_running(), f'it ended with {self.process.returncode}: {self.log()}')
            return PORT_SAID.search(self.log())
        self.port = int(next(filter(None, wait_until(said, 'the server listens').groups())))

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait_end(self):
        return self.process.wait(PATIENCE_S)

    def stop(self):
        """Ends it, unless it has ended; its exit code."""
        if self.is_running():
            self.signal()
        try:
            return self.wait_end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return 'killed: it did not stop'

    def connect(self, source='127.0.0.1'):
        sock = socket.create_connection(('127.0.0.1', self.port), timeout=PATIENCE_S, source_address=(source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_hostname='localhost')
        return Client(sock)

    def ask(self, data):
        """One request on a connection of its own."""
        with self.connect() as client:
            return client.ask(data)


def request(path='/healthz', method='GET', headers=(), body=b'', version='1.1'):
    """A well-formed request. A body brings its length."""
    lines = [f'{method} {path} HTTP/{version}', 'Host: localhost', *headers]
    if body:
        lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n' + body
