#!/usr/bin/python3
"""How soon events reach webhooks: 1,000 events a second to 20 endpoints, of which 5 are dead, 5 answer after ten seconds and 10 at
once. The ten must have theirs within a second at the median, and the server's memory must not grow while the others fall behind.

    bench_webhooks.py [SECONDS]      how long events are made (15)

Events are made by disabling and enabling keys, a thousand in a request. One process of its own receives for all endpoints: it notes for
each message how long after its event it came.
"""

import http.client
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

RATE = 1000
GOOD, SLOW, DEAD = 10, 5, 5
SLOW_SECONDS = 10
LATENCY_LIMIT_S = 1.0
GROWTH_LIMIT = 1.5
KEYS = 1000
KEYWARD = pathlib.Path(os.environ['KW_BUILD']) / 'keyward'

# A receiver on an event loop, since a thread for each connection would cost more than what is measured.
RECEIVER = r'''
import asyncio, json, re, sys, time, calendar
EVENT = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z"')
LENGTH = re.compile(rb'content-length: *(\d+)', re.I)
delays, counts = [], {}
seconds = {}
def event_time(body):
    found = EVENT.search(body)
    text = found.group(1)
    if text not in seconds:
        seconds[text] = calendar.timegm(time.strptime(text.decode(), '%Y-%m-%dT%H:%M:%S'))
    return seconds[text] + int(found.group(2)) / 1000
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b'\r\n\r\n')
            body = await reader.readexactly(int(LENGTH.search(head).group(1)))
            path = head.split(b' ', 2)[1].decode()
            if path.startswith('/slow'):
                await asyncio.sleep(SLOW)
            else:
                delays.append(time.time() - event_time(body))
                counts[path] = counts.get(path, 0) + 1
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        print(json.dumps({'delays': delays, 'counts': counts}), flush=True)
asyncio.run(main())
'''.replace('SLOW', str(SLOW_SECONDS), 1)


class Server:
    def __init__(self, folder):
        self.root = subprocess.run([KEYWARD, 'generate', '--management'], check=True, capture_output=True, text=True).stdout.strip()
        log = pathlib.Path(folder, 'log')
        self.process = subprocess.Popen(
            [KEYWARD, 'serve', '--data', f'{folder}/data', '--listen', '127.0.0.1:0', '--loops', '1', '--allow-private', '127.0.0.1'],
            env={**os.environ, 'KEYWARD_ROOT_KEY': self.root}, stdout=open(log, 'wb'), stderr=subprocess.STDOUT)
        found = None
        while found is None:
            if self.process.poll() is not None:
                raise RuntimeError(log.read_text())
            found = re.search(r'"server_started".*?"port":(\d+)', log.read_text())
            time.sleep(0.05)
        self.connection = http.client.HTTPConnection('127.0.0.1', int(found.group(1)), timeout=60)

    def call(self, method, path, body):
        self.connection.request(method, path, json.dumps(body), {'Authorization': f'Bearer {self.root}', 'Content-Type': 'application/json'})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f'{method} {path}: {answer.status} {content[:300]!r}')
        return json.loads(content)

    def memory_kb(self):
        """What is the process's own: pages of the database that are mapped or cached by the system are not."""
        status = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(r'RssAnon:\s+(\d+)', status).group(1))


def dead_port():
    """One that refuses: bound, and never listened on."""
    probe = socket.socket()
    probe.bind(('127.0.0.1', 0))
    return probe, probe.getsockname()[1]


def set_up(server, port):
    held, refusing = dead_port()
    urls = [f'http://127.0.0.1:{port}/good{number}' for number in range(GOOD)]
    urls += [f'http://127.0.0.1:{port}/slow{number}' for number in range(SLOW)]
    urls += [f'http://127.0.0.1:{refusing}/dead{number}' for number in range(DEAD)]
    keys = [item['record']['id'] for item in server.call(
        'POST', '/v1/keys/batch/create', {'items': [{'ownerId': str(number)} for number in range(KEYS)]})['items']]
    for number, url in enumerate(urls):
        server.call('POST', '/v1/webhooks', {'name': f'hook{number}', 'url': url, 'events': ['disabled', 'enabled']})
    return held, keys


def make_events(server, keys, seconds):
    """How many, at RATE a second."""
    began, made, memory = time.monotonic(), 0, []
    while time.monotonic() - began < seconds:
        step = 'disable' if made // KEYS % 2 == 0 else 'enable'
        ids = keys[made % KEYS:made % KEYS + RATE // 10]
        server.call('POST', f'/v1/keys/{step}', {'ids': ids})
        made += len(ids)
        memory.append(server.memory_kb())
        time.sleep(max(0.0, began + made / RATE - time.monotonic()))
    return made, memory


def figure(name, value, unit, limit=None, ok=None):
    print(json.dumps({'bench': 'webhooks', 'name': name, 'value': value, 'unit': unit, 'limit': limit, 'ok': ok}), flush=True)
    return ok is not False


def ask(receiver):
    receiver.stdin.write('x\n')
    receiver.stdin.flush()
    return json.loads(receiver.stdout.readline())


def measure(server, receiver, seconds):
    port = int(receiver.stdout.readline())
    held, keys = set_up(server, port)
    made, memory = make_events(server, keys, seconds)
    until = time.monotonic() + 60
    told = ask(receiver)
    while sum(told['counts'].values()) < made * GOOD and time.monotonic() < until:
        time.sleep(0.2)
        told = ask(receiver)
    held.close()
    arrived = sum(told['counts'].values())
    delays = sorted(told['delays'])
    third = len(memory) // 3
    growth = statistics.median(memory[-third:]) / statistics.median(memory[third:2 * third])
    results = [
        figure(f'good endpoints, {made:,} events: arrived', round(arrived / (made * GOOD), 4), 'of all', 1, arrived >= made * GOOD),
        figure('good endpoints: from event to arrival, median', round(statistics.median(delays), 3), 's', LATENCY_LIMIT_S,
               statistics.median(delays) <= LATENCY_LIMIT_S),
        figure('good endpoints: the same, 99 of 100', round(delays[len(delays) * 99 // 100], 3), 's'),
        figure('memory, last third against the middle', round(growth, 3), 'x', GROWTH_LIMIT, growth <= GROWTH_LIMIT),
        figure('memory at the end', round(memory[-1] / 1024, 1), 'MB'),
    ]
    return all(results)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory(prefix='keyward-bench-') as folder:
        server = Server(folder)
        receiver = subprocess.Popen([sys.executable, '-c', RECEIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            met = measure(server, receiver, seconds)
        finally:
            receiver.stdin.close()
            receiver.terminate()
            receiver.wait()
            server.process.terminate()
            server.process.wait()
    return 0 if met else 1


if __name__ == '__main__':
    sys.exit(main())
