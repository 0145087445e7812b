"""kill -9 about the times at which keys are due: what is announced, disabled, expired and revoked by itself has happened once
when all is done, with its audit line and its event, however often the process died on the way.

    test_schedules.py PROGRAM     KW_TEST_SEED replays the draws; KW_TEST_KILLS sets how many kills (10)

The moments of the kills are counted in what was written and in looks at a start, never in time.
"""

import collections
import os
import random
import secrets
import sqlite3
import sys
import tempfile
import time
import traceback

from load import ask
from model import Failed, check
from server import Server

KILLS = min(int(os.environ.get('KW_TEST_KILLS', 10)), 30)
WAIT_SECONDS_MAX = 60
KEYS = 60
ENDS = ('key.disabled', 'key.expired', 'key.revoked')


def ask_for(server, method, path, body=None, status=200):
    answered, content = ask(server.root, server.port, method, path, body)
    check(answered == status, f'{method} {path} -> {answered} {content}')
    return content


def at(seconds):
    moment = time.time() + seconds
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment)) + f'.{int(moment * 1000) % 1000:03d}Z'


def make_keys(server, draw):
    """Keys that are disabled, expire and are revoked one after another in a moment, and are told of shortly before."""
    items = []
    for _ in range(KEYS):
        first = draw.uniform(0.5, 2.5)
        items.append({'ownerId': 'due', 'expiresAt': at(first + draw.uniform(0.01, 0.3)),
                      'schedule': {'disableAt': at(first), 'revokeAt': at(first + draw.uniform(0.3, 0.6)), 'notifyBefore': '300ms'}})
    made = ask_for(server, 'POST', '/v1/keys/batch/create', {'items': items})['items']
    return [item['record']['id'] for item in made]


def written(server, name):
    """How many of that action the log has."""
    return ask_for(server, 'GET', f'/v1/audit/count?action={name}')['count']


def wait_until_written(server, name, wanted):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while written(server, name) < wanted:
        check(time.monotonic() < deadline, f'{written(server, name)} of {wanted} {name}')


def kill_about(server, draw, before):
    """Once a part of what is due has happened; or in the start that catches up."""
    name = draw.choice(ENDS)
    wait_until_written(server, name, before + draw.randrange(1, KEYS))
    server.kill()
    if draw.random() < 0.4:
        server.spawn()
        looks = draw.randrange(1, 2000)
        while looks > 0 and not server.look():
            looks -= 1
        server.kill()
    server.start()


def compare(server, ids):
    database = sqlite3.connect(f'{server.data}/keyward.db')
    told = {kind: collections.Counter() for kind in ('audit', 'event')}
    for table, column in (('audit', 'action'), ('event', 'type')):
        for name, key in database.execute(f'SELECT {column}, key_id FROM {table} WHERE key_id IS NOT NULL'):
            told[table][(bytes(key), name)] += 1
    database.close()
    for table, counts in told.items():
        keys = {key for key, _ in counts if any(counts[(key, name)] for name in ENDS)}
        check(len(keys) == len(ids), f'{table}: {len(keys)} keys have ended, of {len(ids)}')
        for key in keys:
            seen = [counts[(key, name)] for name in ENDS]
            check(seen == [1, 1, 1], f'{table}: {key.hex()} was disabled, expired and revoked {seen} times')
            check(counts[(key, 'key.expiring')] <= 3, f'{table}: {key.hex()} was announced {counts[(key, "key.expiring")]} times')
    announced = [{key: number for key, number in counts.items() if key[1] == 'key.expiring'} for counts in told.values()]
    check(announced[0] == announced[1], 'the log and the events differ in what was announced')
    check(sum(announced[0].values()) > 0, 'nothing was announced')


def run(program, folder, draw):
    server = Server(program, folder)
    ids = []
    try:
        server.start()
        for _ in range(KILLS):
            ids += make_keys(server, draw)
            kill_about(server, draw, len(ids) - KEYS)
            for name in ENDS:
                wait_until_written(server, name, len(ids))
        for name in ids[-5:]:
            check(ask_for(server, 'GET', f'/v1/keys/{name}')['status'] == 'revoked', 'it is revoked')
        server.stop()
        compare(server, ids)
    finally:
        server.end()


def main():
    seed = int(os.environ.get('KW_TEST_SEED') or secrets.randbits(32))
    print('TAP version 13\n1..1')
    with tempfile.TemporaryDirectory(prefix='keyward-crash-') as folder:
        try:
            run(sys.argv[1], folder, random.Random(seed))
            print(f'ok 1 - every end comes once over {KILLS} kills')
        except Failed as failed:
            print(f'# {failed}\n# KW_TEST_SEED={seed}\nnot ok 1 - every end comes once')
            return 1
        except Exception:  # pylint: disable=broad-except
            print('\n'.join(f'# {line}' for line in traceback.format_exc().splitlines()))
            print(f'# KW_TEST_SEED={seed}\nnot ok 1 - every end comes once')
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
