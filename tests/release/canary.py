"""The server of the canary test: everything that leaves it is kept, to be searched."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

import secrecy

PATIENCE_S = 120  # for a sanitizer on a busy machine; nothing waits for it to pass
MEMORY_PATIENCE_S = 5  # an answer can arrive before its sender has wiped what it was made of
STEP_S = 0.02


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def request(path, method='POST', key=None, headers=(), body=b''):
    """The bytes of one request; `key` stands in Authorization, `body` is bytes or what becomes JSON."""
    lines = [f'{method} {path} HTTP/1.1', 'Host: localhost', *headers]
    if key is not None:
        lines.append(f'Authorization: Bearer {key}')
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body:
        lines += ['Content-Type: application/json', f'Content-Length: {len(body)}']
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + body


class Client:
    """A raw connection whose answers are kept by the server's `transcript`."""

    def __init__(self, server):
        self.server = server
        self.socket = socket.create_connection(('127.0.0.1', server.port), timeout=PATIENCE_S)
        if server.tls is not None:
            self.socket = server.tls.wrap_socket(self.socket, server_hostname='localhost')
        self.buffer = b''

    def send(self, data):
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def more(self):
        try:
            data = self.socket.recv(1 << 20)
        except (ConnectionError, ssl.SSLError):
            data = b''
        self.buffer += data
        return bool(data)

    def take(self, end):
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def receive(self):
        """One answer: (status, all of its bytes). (0, …) when the server closed without."""
        while b'\r\n\r\n' not in self.buffer:
            if not self.more():
                return 0, self.take(len(self.buffer))
        head = self.buffer.partition(b'\r\n\r\n')[0].decode('latin-1').lower()
        length = re.search(r'content-length: (\d+)', head)
        size = len(head) + 4 + (int(length.group(1)) if length else 0)
        while len(self.buffer) < size and self.more():
            pass
        return int(head.split()[1]), self.take(size)

    def ask(self, data):
        """The answer, which joins the transcript."""
        self.send(data)
        status, answer = self.receive()
        self.server.transcript += answer
        return status, answer

    def close(self):
        self.socket.close()


class Server:
    """`keyward serve` that logs all it can."""

    def __init__(self, program, folder, *options, root=None, tls=None):
        self.data = os.path.join(folder, 'data')
        self.log_path = pathlib.Path(folder, 'log')
        self.out_path = pathlib.Path(folder, 'out')
        self.transcript = b''
        self.root = root
        self.tls = tls  # an ssl.SSLContext for clients
        environment = {name: value for name, value in os.environ.items() if not name.startswith('KEYWARD_')}
        if root is not None:
            environment['KEYWARD_ROOT_KEY'] = root
        with open(self.out_path, 'wb') as out, open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                [program, 'serve', '--data', self.data, '--listen', '127.0.0.1:0', '--log-level', 'debug', *options],
                env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
        self.port = self.wait_for_port()

    def wait_for_port(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r'"server_started".*"port":(\d+)', self.log_path.read_text(errors='replace'))
            if found:
                return int(found.group(1))
            time.sleep(STEP_S)
        self.end()
        raise Failed(f'the server did not start:\n{self.log_path.read_text(errors="replace")}')

    def connect(self):
        return contextlib.closing(Client(self))

    def ask(self, *arguments, **options):
        """One request on a connection of its own: (status, answer)."""
        with self.connect() as client:
            return client.ask(request(*arguments, **options))

    def make(self, path='/v1/keys', body=None, headers=()):
        """A new key: (key, id). Its answer is the one that may show it, once, and stays out of the transcript."""
        with self.connect() as client:
            client.send(request(path, key=self.root, headers=headers, body=body or {'ownerId': '1'}))
            status, answer = client.receive()
        check(status == 201, f'{path}: {answer!r}')
        content = json.loads(answer.partition(b'\r\n\r\n')[2])
        check(answer.count(content['key'].encode()) == 1, f'{path} shows the key more than once')
        check(secrecy.find_in(answer.replace(content['key'].encode(), b''), content['key']) is None,
              f'{path} shows the key in another form beside it')
        return content['key'], content['record']['id']

    def make_many(self, count):
        """The same for several keys in one request: their texts."""
        body = {'items': [{'ownerId': '1', 'name': f'n{i}'} for i in range(count)], 'atomic': True}
        with self.connect() as client:
            client.send(request('/v1/keys/batch/create', key=self.root, body=body))
            status, answer = client.receive()
        check(status == 200, answer)
        keys = [item['key'] for item in json.loads(answer.partition(b'\r\n\r\n')[2])['items']]
        for key in keys:
            check(answer.count(key.encode()) == 1, 'a key is shown more than once')
            check(secrecy.find_in(answer.replace(key.encode(), b''), key) is None, 'a key is shown in another form')
        return keys

    def written(self):
        """All that it said."""
        return self.out_path.read_bytes() + self.log_path.read_bytes()

    def leaks(self, keys, except_for=()):
        """Where something of the keys can be seen from outside."""
        found = []
        for key in keys:
            for where, data in (('an answer', self.transcript), ('the log', self.written())):
                seen = secrecy.find_in(data, key)
                if seen:
                    at = data.find(secrecy.patterns_of(key)[seen])
                    found.append(f'{where}: {seen}, in {data[max(0, at - 200):at + 100]!r}')
            found += [f'a file: {text}' for text in secrecy.find_in_folder(self.data, key, except_for)]
        return found

    def memory_leaks(self, keys):
        """What stays in memory though everybody has had the time to wipe it."""
        deadline = time.monotonic() + MEMORY_PATIENCE_S
        while True:
            found = secrecy.find_in_memory(self.process.pid, keys)
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(STEP_S)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        check(self.process.wait(PATIENCE_S) == 0, f'exit code {self.process.returncode}')

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
