#!/usr/bin/python3
"""What a verification over HTTP costs, held against nginx answering a constant of the same size to the same request: of a key
without limits, and of one with two rate limits and a quota.

Both run with one serving thread, in turn, under the same load (wrk, 64 connections kept alive); what is measured is the CPU
time that the serving process spent, divided by the requests it answered. No access log on either side.
"""

import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 7
SECONDS = 3
CONNECTIONS = 64
KEY = {'ownerId': '42', 'name': 'Billing server', 'tags': ['production'], 'scopes': ['invoices:read', 'read', 'reports:*']}
LIMITS = {'rateLimits': [{'name': 'burst', 'requests': 10**8, 'window': '1m'}, {'name': 'steady', 'requests': 10**9, 'window': '1h'}],
          'quotas': [{'name': 'month', 'limit': 10**12, 'period': 'month', 'metric': 'requests'}]}
CASES = (('verify', {}, 1.25), ('verify, two rate limits and a quota', LIMITS, 1.3))
KEYWARD = pathlib.Path(os.environ['KW_BUILD']) / 'keyward'


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(500):
        if process.poll() is not None:
            raise RuntimeError(f'the server ended: {process.args[0]}')
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError('the server does not answer')


def post(port, path, key, body):
    request = urllib.request.Request(f'http://127.0.0.1:{port}{path}', json.dumps(body).encode(),
                                     {'Content-Type': 'application/json', 'Authorization': f'Bearer {key}'})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def start_keyward(folder):
    root = subprocess.run([KEYWARD, 'generate', '--management'], check=True, capture_output=True, text=True).stdout.strip()
    port = free_port()
    process = subprocess.Popen([KEYWARD, 'serve', '--data', str(folder / 'data'), '--listen', f'127.0.0.1:{port}',
                                '--loops', '1', '--log-level', 'warn'],
                               env=dict(os.environ, KEYWARD_ROOT_KEY=root), stdout=subprocess.DEVNULL)
    wait_for(port, process)
    return process, port, root


def start_nginx(folder, answer):
    folder.mkdir()
    folder.chmod(0o755)  # its worker is another user
    port = free_port()
    (folder / 'nginx.conf').write_text(f'''
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  default_type application/json;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 '{answer}'; }}
  }}
}}
''')
    process = subprocess.Popen(['/usr/sbin/nginx', '-c', str(folder / 'nginx.conf'), '-e', str(folder / 'nginx.log')])
    wait_for(port, process)
    return process, port


def worker_of(process):
    """nginx serves in a child."""
    children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    return int(children[0]) if children else process.pid


def cpu_ns(pid):
    """Of all threads, from the scheduler's own account."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat'))


def load(port, script, pid):
    """Microseconds of CPU a request, and requests a second."""
    before = cpu_ns(pid)
    output = subprocess.run(['wrk', '-t1', f'-c{CONNECTIONS}', f'-d{SECONDS}s', '-s', str(script),
                             f'http://127.0.0.1:{port}/v1/keys/verify'], check=True, capture_output=True, text=True).stdout
    spent = cpu_ns(pid) - before
    if 'Non-2xx' in output:
        raise RuntimeError(output)
    count = int(re.search(r'(\d+) requests in', output).group(1))
    rate = float(re.search(r'Requests/sec:\s+([\d.]+)', output).group(1))
    return spent / count / 1000, rate


def figure(name, value, unit, limit=None):
    line = {'bench': 'http', 'name': name, 'value': round(value, 3), 'unit': unit}
    if limit is not None:
        line.update(limit=limit, ok=value <= limit)
    print(json.dumps(line), flush=True)
    return limit is None or value <= limit


class Case:
    """A key, and nginx with the answer to it."""

    def __init__(self, folder, name, limits, budget, port, root):
        self.name, self.budget, self.port = name, budget, port
        key = json.loads(post(port, '/v1/keys', root, KEY | limits))['key']
        answer = post(port, '/v1/keys/verify', root, {'key': key}).decode()
        said = json.loads(answer)
        assert said['valid'] is True and ('rateLimit' in said and 'quota' in said) == bool(limits), answer
        self.nginx, self.nginx_port = start_nginx(folder, answer)
        self.nginx_pid = worker_of(self.nginx)
        self.script = folder / 'verify.lua'
        self.script.write_text(f'''wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {root}"
wrk.body = '{{"key":"{key}"}}'
''')
        self.ours, self.theirs, self.rates = [], [], []

    def run_round(self, pid):
        cost, rate = load(self.port, self.script, pid)
        peer, _ = load(self.nginx_port, self.script, self.nginx_pid)
        self.ours.append(cost)
        self.theirs.append(peer)
        self.rates.append(rate)

    def report(self):
        ratios = [ours / theirs for ours, theirs in zip(self.ours, self.theirs)]
        figure(f'{self.name}: CPU a request of nginx, a constant', statistics.median(self.theirs), 'us')
        figure(f'{self.name}: CPU a request', statistics.median(self.ours), 'us')
        figure(f'{self.name}: requests a second, one loop', statistics.median(self.rates), '1/s')
        return figure(f'{self.name}: CPU against nginx', statistics.median(ratios), 'times', self.budget)


def end(process):
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)


def measure(folder):
    keyward, port, root = start_keyward(folder)
    cases = []
    try:
        for number, (name, limits, budget) in enumerate(CASES):
            cases.append(Case(folder / f'nginx-{number}', name, limits, budget, port, root))
        for number in range(ROUNDS):
            print(f'  … round {number + 1} of {ROUNDS}', file=sys.stderr)
            for case in cases:
                case.run_round(keyward.pid)
        return all([case.report() for case in cases])
    finally:
        for process in [keyward] + [case.nginx for case in cases]:
            end(process)


def main():
    with tempfile.TemporaryDirectory(prefix='keyward-bench-') as folder:
        os.chmod(folder, 0o755)  # nginx's worker is another user
        return 0 if measure(pathlib.Path(folder)) else 1


if __name__ == '__main__':
    sys.exit(main())
