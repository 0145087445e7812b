"""kill -9 in the middle of an action on ten thousand keys: after it all of them are changed, or none.

    test_crowd.py PROGRAM [NAME]

The moments are sizes that the database's files have reached, from none of what the action writes to all of it.
"""

import hashlib
import http.client
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback

from load import ask
from model import check
from server import Server

KEYS = 10000
BATCH = 1000
MOMENTS = 6


def key(number):
    return f'crowd_{number:026d}'


def verdicts(server):
    """How many keys have which code, '' where they are valid."""
    told = {}
    for at in range(0, KEYS, BATCH):
        body = {'items': [{'key': key(number)} for number in range(at, at + BATCH)]}
        status, answer = ask(server.root, server.port, 'POST', '/v1/keys/batch/verify', body)
        check(status == 200, f'{status} {answer}')
        for item in answer['items']:
            code = item.get('code', '')
            told[code] = told.get(code, 0) + 1
    return told


def act(server, action, answers):
    """Notes the answer, where one came."""
    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=300)
    try:
        connection.request('POST', f'/v1/keys/{action}', json.dumps({'org': 'acme'}),
                           {'Authorization': f'Bearer {server.root}', 'Content-Type': 'application/json'})
        answers.append(json.loads(connection.getresponse().read()))
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


def whole(server, before, after, is_acknowledged, when):
    told = verdicts(server)
    check(told == {after: KEYS} or (not is_acknowledged and told == {before: KEYS}), f'{when}: {told}')
    return told == {after: KEYS}


def prepare(program, folder):
    """A folder with the keys, and how much an action makes its files grow."""
    lines = pathlib.Path(folder, 'keys.ndjson')
    lines.write_text(''.join(json.dumps({'id': str(number), 'keyHash': hashlib.sha256(key(number).encode()).hexdigest(),
                                         'ownerId': '1', 'orgId': 'acme', 'tags': ['ci']}) + '\n' for number in range(KEYS)))
    server = Server(program, folder)
    subprocess.run([program, 'import', str(lines), '--data', str(server.data), '--prefix', 'crowd_', '--progress', 'none'],
                   check=True, capture_output=True, timeout=300)
    shutil.copytree(server.data, f'{folder}/copy')
    try:
        server.start()
        before = server.database_size()
        answers = []
        act(server, 'disable', answers)
        check(answers == [{'changed': KEYS, 'matched': KEYS}], str(answers))
        check(verdicts(server) == {'DISABLED': KEYS}, 'nothing is left out')
        return server.database_size() - before
    finally:
        server.end()


def kill_at(program, folder, name, size):
    """Kills once the files have grown by that much. True when the change was made all the same."""
    place = pathlib.Path(folder, name)
    place.mkdir()
    shutil.copytree(f'{folder}/copy', place / 'data')
    server = Server(program, place)
    try:
        server.start()
        until = server.database_size() + size
        answers = []
        asking = threading.Thread(target=act, args=(server, 'disable', answers))
        asking.start()
        while server.database_size() < until and asking.is_alive():
            pass
        server.kill()
        asking.join()
        server.start()
        made = whole(server, '', 'DISABLED', answers != [], f'{name}, killed at {size} bytes')
        act(server, 'revoke', answers)
        whole(server, '', 'REVOKED', True, f'{name}, revoked afterwards')
        return made
    finally:
        server.end()
        shutil.rmtree(place)


def an_action_is_whole_or_not_at_all(program):
    with tempfile.TemporaryDirectory(prefix='keyward-crowd-') as folder:
        growth = prepare(program, folder)
        made = [kill_at(program, folder, f'kill{moment}', 1 + growth * moment // MOMENTS) for moment in range(MOMENTS)]
        print(f'# changed after {made.count(True)} of {len(made)} kills')
        check(not made[0], 'the first byte was the last one')


def main(program):
    print('1..1')
    try:
        an_action_is_whole_or_not_at_all(program)
    except Exception:  # whatever went wrong is the test's result
        print('not ok 1 - an_action_is_whole_or_not_at_all')
        print('\n'.join(f'# {line}' for line in traceback.format_exc().splitlines()))
        return 1
    print('ok 1 - an_action_is_whole_or_not_at_all')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
