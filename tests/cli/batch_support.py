"""What the tests of 'keyward batch' share: files of items, and a go-between that ends client or server at a chosen byte."""

import csv
import json
import os
import select
import signal
import socket
import subprocess
import threading

from support import PROGRAM, WAIT_SECONDS, Result, Server, check, check_sane, environment


def write_csv(path, header, rows, **options):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, **options)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_ndjson(path, items):
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(json.dumps(item) + '\n' for item in items)
    return path


def read_lines(path):
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def read_state(out):
    with open(out + '.state', encoding='utf-8') as file:
        return json.load(file)


class Between:
    """
    Hands bytes on between a client and a server that may come back at another port. `limit` is how many bytes go one way
    ('asked' or 'answered') before `act` is called, once, and the connection cut.
    """

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.listener.getsockname()[1]}'
        self.port = None
        self.way, self.limit, self.act = None, 0, None
        self.count = {'asked': 0, 'answered': 0}
        threading.Thread(target=self.accept, daemon=True).start()

    def plan(self, way, limit, act):
        self.count = {'asked': 0, 'answered': 0}
        self.way, self.limit, self.act = way, limit, act

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(('127.0.0.1', self.port)) as server:
                self.hand_on(client, server)
        except OSError:
            pass  # either side has gone, which is what the tests are about

    def hand_on(self, client, server):
        ways = {client: ('asked', server), server: ('answered', client)}
        while True:
            for source in select.select(list(ways), [], [])[0]:
                way, target = ways[source]
                piece = source.recv(65536)
                if not piece:
                    return
                left = self.limit - self.count[way]
                if self.act and way == self.way and len(piece) >= left:
                    target.sendall(piece[:left])
                    act, self.act = self.act, None
                    act()
                    return
                self.count[way] += len(piece)
                target.sendall(piece)

    def close(self):
        self.listener.close()


class Fragile:
    """A server behind a go-between, on a folder of its own, that can be killed and started again."""

    def __init__(self, data, root_key):
        self.data, self.root_key = data, root_key
        self.between = Between()
        self.server = None
        self.start()

    def start(self):
        self.server = Server(self.data, env={'KEYWARD_ROOT_KEY': self.root_key})
        self.between.port = int(self.server.url.rsplit(':', 1)[1])

    def kill(self):
        self.server.process.kill()

    def restart_if_dead(self):
        if self.server.process.poll() is not None or self.between.act is None:
            self.server.process.wait()
            check_sane(self.server.log())
            self.start()

    def env(self):
        return {'KEYWARD_KEY': self.root_key}

    def run(self, *arguments, client_is_killed=None):
        """One run through the go-between; `client_is_killed` gets the process before it ends."""
        process = subprocess.Popen([PROGRAM, *arguments, '--url', self.between.url], env=environment(**self.env()),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if client_is_killed:
            client_is_killed(process)
        try:
            out, err = process.communicate(timeout=WAIT_SECONDS * 4)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        done = Result(subprocess.CompletedProcess(arguments, process.returncode, out, err))
        if process.returncode != -signal.SIGKILL:
            check_sane(done.err)
        return done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.between.close()
        self.server.stop()


def secrets_of(lines):
    return [line['key'] for line in lines if 'key' in line]


def check_whole(lines, count, first_line):
    """One line for each item, in their order."""
    check([line['line'] for line in lines] == list(range(first_line, first_line + count)),
          f'{len(lines)} lines instead of {count}: {[line["line"] for line in lines][:20]}…')
    keys = secrets_of(lines)
    check(len(set(keys)) == len(keys), 'a key stands twice')
    ids = [line['id'] for line in lines if 'id' in line]
    check(len(set(ids)) == len(ids), 'an id stands twice')


def mode_of(path):
    return os.stat(path).st_mode & 0o777
