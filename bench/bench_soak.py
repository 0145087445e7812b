#!/usr/bin/python3
"""Whether memory stays flat while keys, limits and connections come and go: `./dev bench soak SECONDS` (60 if not given).

Threads make keys with rate limits and quotas, verify them on connections of their own, change their limits, revoke and erase them,
again and again. What an erased key leaves behind (its digest, so that it stays dead, and its row) may cost KEY_BYTES; beyond that
the server's memory may grow by GROWTH_MIB from the second third of the time to the last.
"""

import http.client
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench_http

THREADS = 4
WARM_KEYS = 100000  # that stay: they fill the caches of the store, which have a size of their own
VERIFICATIONS = 20  # of each key
KEY_BYTES = 1024
GROWTH_MIB = 8
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 60


class Churn:
    def __init__(self, port, root):
        self.port, self.root = port, root
        self.stop = threading.Event()
        self.keys = self.verifications = self.connections = 0
        self.failures = []
        self.lock = threading.Lock()

    def call(self, connection, method, path, body=None):
        connection.request(method, path, None if body is None else json.dumps(body),
                           {'Authorization': f'Bearer {self.root}', 'Content-Type': 'application/json'})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 500:
            raise RuntimeError(f'{method} {path}: {answer.status} {text[:200]!r}')
        return json.loads(text) if text else {}

    def warm_up(self):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        for _ in range(WARM_KEYS // 1000):
            self.call(connection, 'POST', '/v1/keys/batch/create', {'items': [{'ownerId': 'warm', 'name': 'a key that stays'}] * 1000})
        for _ in range(4):
            cursor = ''
            while cursor is not None:
                cursor = self.call(connection, 'GET', f'/v1/keys?limit=1000{cursor and "&cursor=" + cursor}').get('nextCursor')
        connection.close()

    def one_key(self, number):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        made = self.call(connection, 'POST', '/v1/keys', {
            'ownerId': f'soak{number % 50}', 'quota': {'limit': 1000, 'period': 'hour', 'per': ('key', 'owner')[number % 2]},
            'rateLimits': [{'requests': 15, 'window': '1s'}, {'name': 'shared', 'requests': 500, 'window': '2s', 'per': 'owner'}]})
        path = f'/v1/keys/{made["record"]["id"]}'
        for i in range(VERIFICATIONS):
            self.call(connection, 'POST', '/v1/keys/verify', {'key': made['key'], 'ip': f'192.0.2.{i}', 'endpoint': f'GET /v1/{i}'})
        self.call(connection, 'PATCH', path, {'rateLimit': {'requests': 10 + number % 10, 'window': '2s'}})
        self.call(connection, 'POST', '/v1/keys/verify', {'key': made['key']})
        self.call(connection, 'POST', f'{path}/revoke')
        self.call(connection, 'DELETE', path)
        connection.close()
        with self.lock:
            self.keys += 1
            self.connections += 1
            self.verifications += VERIFICATIONS + 1

    def run(self, thread):
        number = thread
        try:
            while not self.stop.is_set():
                self.one_key(number)
                number += THREADS
        except Exception as error:  # whatever it is, it ends the bench
            self.failures.append(str(error))
            self.stop.set()


def resident_kib(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1])
    raise RuntimeError('no resident memory')


def figure(name, value, unit, limit=None):
    line = {'bench': 'soak', 'name': name, 'value': round(value, 3), 'unit': unit}
    if limit is not None:
        line |= {'limit': limit, 'ok': value <= limit}
    print(json.dumps(line), flush=True)
    return limit is None or value <= limit


def measure(churn, pid):
    samples = []  # (resident memory, keys made)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and not churn.stop.is_set():
        samples.append((resident_kib(pid), churn.keys))
        if len(samples) % 20 == 0:
            print(f'  … {until - time.monotonic():.0f} s left, {churn.keys} keys, {samples[-1][0] // 1024} MiB', file=sys.stderr, flush=True)
        churn.stop.wait(0.5)
    return samples


def churned(process, port, root):
    """Samples, what was done meanwhile, and the server's exit code; it does not outlive the bench, however that ends."""
    try:
        churn = Churn(port, root)
        print('  … filling the caches', file=sys.stderr, flush=True)
        churn.warm_up()
        threads = [threading.Thread(target=churn.run, args=(i,), daemon=True) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        samples = measure(churn, process.pid)
        churn.stop.set()
        for thread in threads:
            thread.join()
        process.send_signal(signal.SIGTERM)
        return samples, churn, process.wait(timeout=60)
    finally:
        process.kill()


def main():
    with tempfile.TemporaryDirectory(prefix='keyward-soak-') as folder:
        samples, churn, code = churned(*bench_http.start_keyward(pathlib.Path(folder)))
    third = len(samples) // 3
    before, after = samples[third:2 * third], samples[2 * third:]
    if churn.failures or code != 0 or third == 0:
        print(f'bench soak: {churn.failures[:1] or code}', file=sys.stderr)
        return 1
    grown = statistics.median(kib for kib, _ in after) - statistics.median(kib for kib, _ in before)
    made = statistics.median(keys for _, keys in after) - statistics.median(keys for _, keys in before)
    figure('keys made, changed, revoked and erased', churn.keys, 'keys')
    figure('verifications', churn.verifications, 'calls')
    figure('resident memory at the end', samples[-1][0] / 1024, 'MiB')
    met = figure('growth beyond 1 KiB a key that was erased', grown / 1024 - made * KEY_BYTES / 1048576, 'MiB', GROWTH_MIB)
    return 0 if met else 1


if __name__ == '__main__':
    sys.exit(main())
