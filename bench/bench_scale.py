#!/usr/bin/python3
"""Ten million keys in SQLite: how soon the server is ready, whether it answers while it still reads them, and what they cost in memory.

KW_BENCH_KEYS sets another number of keys.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

COUNT = int(os.environ.get('KW_BENCH_KEYS', '10000000'))
BUILD = pathlib.Path(os.environ['KW_BUILD'])
STARTS = 5


def say(text):
    print(f'  … {text}', file=sys.stderr, flush=True)


def figure(name, value, unit, limit=None):
    line = {'bench': 'scale', 'name': name, 'value': round(value, 3), 'unit': unit}
    if limit is not None:
        line.update(limit=limit, ok=value <= limit)
    print(json.dumps(line), flush=True)
    return limit is None or value <= limit


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Server:
    """`keyward serve` on the folder, as it starts."""

    def __init__(self, folder, root):
        self.port = free_port()
        self.root = root
        self.began = time.monotonic()
        self.process = subprocess.Popen([BUILD / 'keyward', 'serve', '--data', str(folder), '--listen', f'127.0.0.1:{self.port}',
                                         '--log-level', 'warn'],
                                        env=dict(os.environ, KEYWARD_ROOT_KEY=root), stdout=subprocess.DEVNULL)

    def get(self, path):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.port}{path}', timeout=5) as answer:
            return answer.read().decode()

    def verify(self, key):
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.port}/v1/keys/verify', json.dumps({'key': key}).encode(),
            {'Content-Type': 'application/json', 'Authorization': f'Bearer {self.root}'})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)['valid']

    def seconds_until_ready(self):
        while True:
            try:
                self.get('/readyz')
                return time.monotonic() - self.began
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    raise RuntimeError('the server ended') from None
                time.sleep(0.002)

    def is_filled(self):
        return '\nkeyward_index_complete 1\n' in self.get('/metrics')

    def resident_bytes(self):
        pages = pathlib.Path(f'/proc/{self.process.pid}/statm').read_text().split()[1]
        return int(pages) * os.sysconf('SC_PAGESIZE')

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=120)


def make_root():
    return subprocess.run([BUILD / 'keyward', 'generate', '--management'], check=True, capture_output=True,
                          text=True).stdout.strip()


def measure_start(folder, root, keys, number):
    """Seconds until ready, and the number of keys that did not verify although they were asked for right then."""
    server = Server(folder, root)
    try:
        ready = server.seconds_until_ready()
        filling = not server.is_filled()
        wrong = sum(not server.verify(key) for key in keys[number::STARTS])
        say(f'start {number + 1} of {STARTS}: ready after {ready:.3f} s, {"still filling" if filling else "filled"}')
        return ready, wrong
    finally:
        server.stop()


def measure_memory(folder, root):
    server = Server(folder, root)
    try:
        server.seconds_until_ready()
        while not server.is_filled():
            time.sleep(0.05)
        seconds = time.monotonic() - server.began
        return server.resident_bytes(), seconds
    finally:
        server.stop()


def measure(folder):
    say(f'writing {COUNT:,} keys into SQLite')
    began = time.monotonic()
    keys = subprocess.run([BUILD / 'bench' / 'load_keys', str(folder), str(COUNT)], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.split()
    figure('keys written', COUNT, 'keys')
    figure('rate of writing, 1,000 rows a commit', COUNT / (time.monotonic() - began), '1/s')
    root = make_root()
    starts = [measure_start(folder, root, keys, number) for number in range(STARTS)]
    ok = figure('ready after the start, the slowest of five', max(ready for ready, _ in starts), 's', 1)
    ok &= figure('keys refused while the index was filling', sum(wrong for _, wrong in starts), 'keys', 0)
    resident, seconds = measure_memory(folder, root)
    figure('index filled after', seconds, 's')
    return ok & figure('resident memory a key', resident / COUNT, 'bytes', 300)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='bench-scale-', dir=BUILD))
    try:
        return 0 if measure(folder / 'data') else 1
    finally:
        shutil.rmtree(folder)


if __name__ == '__main__':
    sys.exit(main())
