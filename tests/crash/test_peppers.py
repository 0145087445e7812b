"""kill -9 while peppers come and go: whatever was under way, the next start comes up, every key that was acknowledged is
valid, and all of them can be brought to one pepper in the end (DESIGN, invariant 12).

    test_peppers.py PROGRAM     KW_TEST_SEED replays the draws; KW_TEST_KILLS sets how many kills (30)

The moment of a kill is counted in looks at the process after a request was sent whose answer nobody waits for.
"""

import os
import random
import secrets
import socket
import sys
import tempfile
import traceback

from load import ask, request_bytes
from model import Failed, check
from server import Server

KILLS = min(int(os.environ.get('KW_TEST_KILLS', 30)), 100)
STEPS_MAX = 4        # before one kill
LOOKS_MAX = 150      # between what is under way and the kill
PEPPERS_MANY = 8
TRIES_MAX = 200
PATH = '/v1/peppers'
ACTIONS = ('create', 'use', 'add', 'retire')


class World:
    def __init__(self, program, folder, seed):
        self.draw = random.Random(seed)
        self.server = Server(program, folder)
        self.keys = {}  # by id, those that were acknowledged

    def ask(self, method, path, body=None, *statuses):
        status, content = ask(self.server.root, self.server.port, method, path, body)
        check(status in (statuses or (200,)), f'{method} {path} -> {status} {content}\n{self.server.log()}')
        return content

    def peppers(self):
        return [item['fingerprint'] for item in self.ask('GET', PATH)['items']]

    def kept(self):
        return (self.server.data / 'pepper').read_text(encoding='ascii').split()

    def use_keys(self, when):
        if self.keys:
            items = [{'key': key} for key in self.keys.values()]
            answers = self.ask('POST', '/v1/keys/batch/verify', {'items': items})['items']
            wrong = [answer for answer in answers if not answer['valid']]
            check(not wrong, f'{when}: {len(wrong)} of {len(items)} keys are not valid: {wrong[:2]}')

    def create(self):
        made = self.ask('POST', '/v1/keys', {'ownerId': '1'}, 201)
        self.keys[made['record']['id']] = made['key']

    def act(self, action):
        if action == 'create':
            self.create()
        elif action == 'use':
            self.use_keys('meanwhile')
        elif action == 'add' and len(self.peppers()) < PEPPERS_MANY:
            self.ask('POST', PATH, None, 201)
        elif action == 'retire':
            for fingerprint in self.peppers()[1:]:
                self.ask('DELETE', f'{PATH}/{fingerprint}', None, 204, 409, 503)

    def begin(self, action):
        """Sends a request and waits for nothing."""
        peppers = self.peppers()
        method, path, body = {
            'create': ('POST', '/v1/keys', {'ownerId': '1'}),
            'use': ('POST', PATH, None),
            'add': ('POST', PATH, None),
            'retire': ('DELETE', f'{PATH}/{peppers[-1]}', None)}[action]
        if path == PATH and len(peppers) >= PEPPERS_MANY:
            method, path = 'DELETE', f'{PATH}/{peppers[-1]}'
        if method == 'DELETE':
            self.use_keys('ahead of a retirement')
        connection = socket.create_connection(('127.0.0.1', self.server.port))
        connection.sendall(request_bytes(self.server.root, method, path, body))
        return connection

    def one_life(self, number):
        self.server.start()
        when = f'start of life {number}'
        self.use_keys(when)
        known, kept = self.peppers(), self.kept()
        check(len(known) == len(kept), f'{when}: {len(known)} peppers, and {len(kept)} in the file')
        check(not (self.server.data / 'pepper.tmp').exists(), f'{when}: a file of peppers was left behind')
        for _ in range(self.draw.randrange(STEPS_MAX + 1)):
            self.act(self.draw.choice(ACTIONS))
        connection = self.begin(self.draw.choice(ACTIONS))
        for _ in range(self.draw.randrange(LOOKS_MAX)):
            self.server.look()
        check(self.server.kill(), f'{when}: it was not the kill that ended it')
        connection.close()


def every_start_comes_up(world):
    for number in range(1, KILLS + 1):
        world.one_life(number)
    print(f'# {KILLS} kills, {len(world.keys)} keys', flush=True)


def all_come_to_one_pepper(world):
    world.server.start()
    for record in world.ask('GET', '/v1/keys?limit=1000')['items']:
        if record['id'] not in world.keys:  # made, and nobody was told
            world.ask('POST', f'/v1/keys/{record["id"]}/revoke')
            world.ask('DELETE', f'/v1/keys/{record["id"]}', None, 204)
    world.create()
    for _ in range(TRIES_MAX):
        world.use_keys('in the end')
        world.ask('POST', '/v1/keys/key_00000000000000000000000000/revoke', None, 404)  # the writer goes round
        for fingerprint in world.peppers()[1:]:
            world.ask('DELETE', f'{PATH}/{fingerprint}?forgetErased=true', None, 204, 409, 503)
        if len(world.peppers()) == 1:
            break
    check(len(world.kept()) == 1, f'{len(world.kept())} peppers in the end: {world.ask("GET", PATH)}')
    world.server.stop()
    world.server.start()
    world.use_keys('after an orderly restart')
    world.server.stop()


CASES = (every_start_comes_up, all_come_to_one_pepper)


def main():
    seed = os.environ.get('KW_TEST_SEED', '') or secrets.token_hex(8)
    print(f'TAP version 13\n1..{len(CASES)}', flush=True)
    failures = 0
    with tempfile.TemporaryDirectory(prefix='keyward-crash-') as folder:
        world = World(sys.argv[1], folder, seed)
        try:
            for number, case in enumerate(CASES, 1):
                try:
                    case(world)
                    print(f'ok {number} - {case.__name__}', flush=True)
                except Exception as error:  # whatever it is, the case failed
                    text = str(error) if isinstance(error, Failed) else traceback.format_exc()
                    lines = '\n'.join(f'# {line}' for line in text.splitlines())
                    print(f'{lines}\n# KW_TEST_SEED={seed}\nnot ok {number} - {case.__name__}', flush=True)
                    failures += 1
        finally:
            world.server.end()
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
