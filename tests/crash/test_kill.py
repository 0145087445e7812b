"""kill -9 at random moments under load, over and over on one data folder: nothing that was acknowledged is missing, and
nothing whose revocation was acknowledged ever verifies again (DESIGN, invariants 4, 7, 8 and 12).

    test_kill.py PROGRAM [NAME]     KW_TEST_SEED replays the draws; KW_TEST_KILLS sets how many kills

The moments are counted in requests and answers, and where there are none in looks at the process, never in time. What a
kill of the process can not show is what a loss of power would: that the writes were synced.
"""

import collections
import json
import os
import random
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import traceback

from load import Load, ask
from model import ERASED, Failed, Model, check, state_of_record, state_of_verdict
from server import Server

KILLS = int(os.environ.get('KW_TEST_KILLS', 100))
CONNECTIONS_MAX = 12
OPERATIONS_MAX = 140  # before one kill
OLD_KEYS_CHECKED = 60  # beside the touched ones, after each restart
BATCH = 1000

# The moments at which the process dies: after so many answers; after so many requests, the last on its way; so many
# looks after that; as soon as a file of the database grows; in a start; while it drains.
MOMENTS = ('answer', 'request', 'later', 'write', 'start', 'drain')
MOMENT_WEIGHTS = (25, 15, 10, 25, 15, 10)
LOOKS_LATER_MAX = 60
LOOKS_WRITE_MAX = 2000  # what is written may find room without growth


class World:
    """The data folder, the model of it, and the server that is killed."""

    def __init__(self, program, folder, seed):
        self.draw = random.Random(seed)
        self.server = Server(program, folder)
        self.load = None
        self.kills = 0
        self.killed_at = collections.Counter()
        self.start_looks = 0
        self.model = Model()

    def ask(self, method, path, body=None):
        status, content = ask(self.server.root, self.server.port, method, path, body)
        check(status == 200, f'{method} {path} -> {status} {content}')
        return content

    def verify(self, keys, when):
        """What a server says of these keys must be what was acknowledged."""
        for at in range(0, len(keys), BATCH):
            part = keys[at:at + BATCH]
            items = self.ask('POST', '/v1/keys/batch/verify', {'items': [{'key': key.text} for key in part]})['items']
            check(len(items) == len(part), f'{when}: {len(items)} verdicts on {len(part)} keys')
            for key, verdict in zip(part, items):
                key.see(state_of_verdict(verdict), when)

    def verify_after_restart(self, when):
        touched = self.model.take_touched()
        older = self.draw.sample(self.model.keys, min(OLD_KEYS_CHECKED, len(self.model.keys)))
        self.verify(touched + older, when)
        self.model.check_together(when)

    # --- one life of the server, by the moment of its death; true when it died of the kill ---

    def die_in_start(self):
        self.server.spawn()
        for _ in range(self.draw.randrange(1 + self.start_looks)):
            if self.server.look():
                break
        return self.server.kill()

    def run_until(self, reached):
        """Load until `reached(load)` says so."""
        load = self.load
        steps = load.begin()
        while load.is_alive:
            for _ in steps:
                if reached(load):
                    return
            steps = load.turn()
        raise Failed(f'the server closed all connections:\n{self.server.log()}')

    def die_by_answers(self, count):
        self.run_until(lambda load: load.acknowledged >= count)
        return self.server.kill()

    def die_by_requests(self, count):
        self.run_until(lambda load: load.sent >= count)
        return self.server.kill()

    def die_later(self, count):
        looks = self.draw.randrange(LOOKS_LATER_MAX)
        self.run_until(lambda load: load.sent >= count)
        for _ in range(looks):
            self.server.look()
        return self.server.kill()

    def die_writing(self, count):
        self.run_until(lambda load: load.sent >= count)
        before = self.server.database_size()
        for _ in range(LOOKS_WRITE_MAX):
            if self.server.database_size() != before:
                break
        return self.server.kill()

    def die_draining(self, count):
        """SIGTERM, then so many more answers and looks; it may be done before that."""
        more, looks = self.draw.randrange(CONNECTIONS_MAX), self.draw.randrange(LOOKS_LATER_MAX)
        self.run_until(lambda load: load.acknowledged >= count)
        load = self.load
        load.may_refuse = True
        self.server.process.terminate()
        until = load.acknowledged + more
        while load.is_alive and load.acknowledged < until:
            for _ in load.turn():
                if load.acknowledged >= until:
                    break
        for _ in range(looks):
            if self.server.process.poll() is not None:
                break
        return self.server.kill()

    def one_life(self, number):
        moment = self.draw.choices(MOMENTS, MOMENT_WEIGHTS)[0]
        when = f'kill {self.kills + 1}, life {number}, {moment}'
        if moment == 'start':
            killed = self.die_in_start()
        else:
            self.server.start()
            self.verify_after_restart(f'start of life {number}')
            killed = self.die_under_load(moment)
        self.kills += killed
        self.killed_at[moment] += killed
        return when

    def die_under_load(self, moment):
        die = {'answer': self.die_by_answers, 'request': self.die_by_requests, 'later': self.die_later,
               'write': self.die_writing, 'drain': self.die_draining}[moment]
        self.load = Load(self.model, self.draw, self.server.root, self.server.port,
                         self.draw.randint(1, CONNECTIONS_MAX))
        try:
            return die(self.draw.randint(1, OPERATIONS_MAX))
        finally:
            self.server.end()
            self.load.end()


def nothing_acknowledged_is_lost(world):
    world.start_looks = world.server.start()
    world.server.stop()
    life = 0
    while world.kills < KILLS:
        life += 1
        check(life < 4 * KILLS, f'only {world.kills} kills in {life} lives')
        world.one_life(life)
    at = ', '.join(f'{count} {moment}' for moment, count in sorted(world.killed_at.items()))
    codes = collections.Counter(key.states[0].code for key in world.model.keys)
    print(f'# {world.kills} kills ({at}), {len(world.model.keys)} keys ({dict(codes)}), '
          f'{len(world.model.unanswered)} creations without an answer', flush=True)


def everything_is_as_acknowledged(world):
    """All keys, by verification and by reading; and once more after an orderly restart."""
    world.server.start()
    world.verify(world.model.keys, 'at the end')
    for key in world.model.keys[-50:]:
        status, content = ask(world.server.root, world.server.port, 'GET', f'/v1/keys/{key.id}')
        expected = key.state
        check((status == 404) == (expected == ERASED), f'{key}: GET answers {status}, acknowledged was {expected}')
        check(status == 404 or state_of_record(content) == expected, f'{key}: GET {content}, not {expected}')
    world.server.stop()
    world.server.start()
    world.verify(world.model.keys, 'after an orderly restart')


def list_everything(world):
    records, cursor = [], ''
    while cursor is not None:
        page = world.ask('GET', f'/v1/keys?limit=1000{cursor and "&cursor=" + cursor}')
        records += page['items']
        cursor = page.get('nextCursor')
    return records


def nothing_is_there_but_what_was_asked_for(world):
    """A creation without an answer happened whole, once, or not at all; a rotation too."""
    records = list_everything(world)
    ids = {record['id'] for record in records}
    check(len(ids) == len(records), 'a key is listed twice')
    living = {key.id for key in world.model.keys if key.state != ERASED}
    check(living <= ids, f'not listed: {sorted(living - ids)[:5]}')
    names = [record['name'] for record in records if record['id'] not in living]
    check(len(set(names)) == len(names), 'a creation happened twice')
    check(set(names) <= world.model.unanswered, f'nobody asked for {set(names) - world.model.unanswered}')
    gone = {key.id for key in world.model.keys} - living
    origins = {record['id']: record.get('rotatedFrom') for record in records}
    for record in records:
        successor = record.get('rotatedTo')
        check(successor is None or successor in gone or origins.get(successor) == record['id'],
              f'{record["id"]} was rotated to {successor}, which is not there')


def id_bytes(text):
    """The 16 bytes of "key_" and a ULID."""
    number = 0
    for letter in text.removeprefix('key_'):
        number = number * 32 + '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.index(letter)
    return number.to_bytes(16, 'big')


def count_traces(database, table, action):
    """How many lines each key has. The line of a rotation speaks of two keys: the old one, and the one that it made."""
    counts = collections.Counter()
    rows = database.execute(f"SELECT key_id, {action}, body FROM {table} WHERE {action} <> 'audit.checkpoint'")
    for key_id, kind, body in rows:
        counts[key_id] += 1
        if kind == 'key.rotated':
            counts[id_bytes(json.loads(body)['rotatedTo'])] += 1
    return counts


def changes_and_their_traces_are_together(world):
    """A key's version counts its changes: each has its line in the audit log and its event (invariant 7)."""
    world.server.stop()
    database = sqlite3.connect(world.server.data / 'keyward.db')
    audits = count_traces(database, 'audit', 'action')
    events = count_traces(database, 'event', 'type')
    versions = dict(database.execute('SELECT id, version FROM record'))
    database.close()
    check(len(versions) >= len(world.model.keys), f'{len(versions)} rows for {len(world.model.keys)} keys')
    check(set(audits) | set(events) <= set(versions), 'lines about keys that are not there')
    for key_id, version in versions.items():
        check(version == audits[key_id] == events[key_id],
              f'{key_id.hex()}: version {version}, {audits[key_id]} audit lines, {events[key_id]} events')


def test_sqlite_integrity(world):
    database = sqlite3.connect(world.server.data / 'keyward.db')
    check(database.execute('PRAGMA integrity_check').fetchall() == [('ok',)], 'integrity_check')
    check(database.execute('PRAGMA foreign_key_check').fetchall() == [], 'foreign_key_check')
    database.close()


def the_audit_log_of_all_lives_is_whole(world):
    """Whatever was being sealed when a life ended: each entry has its place in the chain, once."""
    ended = subprocess.run([world.server.program, 'audit', 'verify', '--data', str(world.server.data)], capture_output=True, text=True,
                           timeout=120)
    check(ended.returncode == 0, ended.stdout + ended.stderr)
    database = sqlite3.connect(world.server.data / 'keyward.db')
    lines, = database.execute("SELECT count(*) FROM audit WHERE project = 'default'").fetchone()
    unsealed, = database.execute('SELECT count(*) FROM audit WHERE sequence NOT IN (SELECT sequence FROM audit_seal)').fetchone()
    database.close()
    check(f'{lines} entries are as they were written' in ended.stdout, f'{lines} lines: {ended.stdout}')
    check(unsealed == 0, f'{unsealed} lines without a seal after a clean stop')


CASES = (nothing_acknowledged_is_lost, everything_is_as_acknowledged, nothing_is_there_but_what_was_asked_for,
         changes_and_their_traces_are_together, the_audit_log_of_all_lives_is_whole, test_sqlite_integrity)


def run_case(number, case, world):
    """True when it went well."""
    try:
        case(world)
        print(f'ok {number} - {case.__name__}', flush=True)
        return True
    except Exception:  # whatever it is, the case failed
        lines = traceback.format_exc().splitlines()
        print(f'not ok {number} - {case.__name__}\n' + '\n'.join(f'# {line}' for line in lines), flush=True)
        return False


def main():
    """The cases build on each other: after a failure the rest is not worth running."""
    seed = int(os.environ.get('KW_TEST_SEED') or secrets.randbits(32))
    print(f'TAP version 13\n1..{len(CASES)}\n# KW_TEST_SEED={seed}', flush=True)
    with tempfile.TemporaryDirectory(prefix='keyward-crash-') as folder:
        world = World(sys.argv[1], folder, seed)
        try:
            for number, case in enumerate(CASES, 1):
                if not run_case(number, case, world):
                    return 1
        finally:
            world.server.end()
    return 0


if __name__ == '__main__':
    sys.exit(main())
