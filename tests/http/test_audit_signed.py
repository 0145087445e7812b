"""Checkpoints of the audit log: who rewrites the whole database, with every link of the chain reckoned anew, is found by
what was signed, here or kept elsewhere; and a log goes out whole, with what was signed of it.
"""

import hashlib
import json
import pathlib
import sqlite3
import stat
import subprocess
import tempfile

from api_support import check, equal, main
from test_audit import PATH, entries, sealed_proof

KEPT = tempfile.TemporaryDirectory(prefix='keyward-checkpoints-')
KEPT_FILE = pathlib.Path(KEPT.name, 'checkpoints.ndjson')
FIELDS = ('owner', 'actor', 'context', 'details')
IN_SHOP = {'Keyward-Project': 'shop'}


def data_of(server):
    return pathlib.Path(server.folder.name, 'data')


def checkpoints(server, query='', **options):
    return server.expect(200, 'GET', f'{PATH}/checkpoints?{query}', **options).json


def export(server, **options):
    lines = server.expect(200, 'GET', f'{PATH}/export', **options).body.decode().splitlines()
    return [json.loads(line) for line in lines]


def restart(server, between=lambda: None):
    server.stop()
    between()
    server.start()


def verify(server, code, *arguments):
    """`keyward audit verify`, with this exit code; what it says."""
    done = subprocess.run([server.program, 'audit', 'verify', *arguments], capture_output=True, text=True, check=False,
                          env={'KEYWARD_URL': f'http://127.0.0.1:{server.port}', 'KEYWARD_KEY': server.root})
    equal(done.returncode, code, f'{arguments}: {done.stdout}{done.stderr}')
    return done.stdout + done.stderr


def number(value):
    return value.to_bytes(8, 'big')


def digest(*parts):
    return hashlib.sha256(b''.join(number(len(part)) + part for part in parts)).digest()


def link_of(before, place, salt, row):
    """As docs/audit.md has it. `row`: sequence, at_ms, project, key_id, action, then what is veiled."""
    sequence, at_ms, project, key_id, action, *veiled = row
    veils = b''.join(digest(digest(salt, bytes([i]))[:16], as_bytes(value)) for i, value in enumerate(veiled))
    return digest(b'keyward audit line, version 1', before, number(place) + number(sequence) + number(at_ms),
                  as_bytes(project), key_id or bytes(16), as_bytes(action), veils)


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def rewrite(file, project, at, actor):
    """Changes who did what stands at a place, and reckons every link behind it anew, and the head."""
    with sqlite3.connect(file) as db:
        rows = db.execute('SELECT a.sequence, at_ms, project, key_id, action, owner, actor, context, body, seal FROM audit a JOIN '
                          'audit_seal s ON s.sequence = a.sequence WHERE project = ? ORDER BY a.sequence', (project,)).fetchall()
        before = bytes(32)
        for place, row in enumerate(rows, 1):
            *row, seal = row
            if place == at:
                check(row[6] != actor, 'it is another actor')
                row[6] = actor
                db.execute('UPDATE audit SET actor = ? WHERE sequence = ?', (actor, row[0]))
            link = link_of(before, place, seal[9:25], row)
            equal(link == seal[25:], place < at, f'the link of place {place} is as it was')
            equal(seal[1:9], number(place), 'places have no gap')
            db.execute('UPDATE audit_seal SET seal = ? WHERE sequence = ?', (seal[:25] + link, row[0]))
            before = link
        head = b'\1' + number(len(rows)) + number(rows[-1][0]) + before
        equal(db.execute('UPDATE setting SET value = ? WHERE name = ?', (head, f'audit.head.{project}')).rowcount, 1, 'head')
    db.close()


def edit(file, sql, *values):
    with sqlite3.connect(file) as db:
        check(db.execute(sql, values).rowcount > 0, sql)
    db.close()


def a_checkpoint_is_made_at_a_stop_and_anybody_can_check_it(server):
    server.create({'ownerId': '1'})
    head = sealed_proof(server)['head']
    restart(server)
    found = checkpoints(server)
    last = found['items'][0]
    equal({name: last[name] for name in head}, head, 'what is signed')
    equal((last['projectId'], last['publicKey']), ('default', found['publicKey']), 'of what, and by whom')
    proof = sealed_proof(server)
    equal((proof['signedPlace'], proof['publicKey'], 'foreignCheckpoints' in proof), (head['place'], found['publicKey'], False),
          'proved against it')
    text = '\n'.join(['keyward audit checkpoint, version 1', 'default', str(last['place']), str(last['sequence']), last['link'],
                      last['timestamp'], ''])
    folder = pathlib.Path(KEPT.name)
    folder.joinpath('key.der').write_bytes(bytes.fromhex('302a300506032b6570032100' + last['publicKey']))
    folder.joinpath('signature').write_bytes(bytes.fromhex(last['signature']))
    for said, code in ((text, 0), (text.replace('default', 'shop'), 1)):
        folder.joinpath('text').write_text(said, encoding='ascii')
        done = subprocess.run(['openssl', 'pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', folder / 'key.der', '-rawin',
                               '-in', folder / 'text', '-sigfile', folder / 'signature'], capture_output=True, check=False)
        equal(done.returncode, code, f'{said}{done}')
    told = server.expect(200, 'GET', '/v1/events?type=audit.checkpoint&sort=-timestamp').json['items'][0]
    equal(told['data'], {'projectId': 'default', 'checkpoint': last}, 'the event')
    kept = [json.loads(line) for line in KEPT_FILE.read_text(encoding='utf-8').splitlines()]
    check(last in kept, 'it stands in the file too')
    equal(stat.S_IMODE(KEPT_FILE.stat().st_mode), 0o600, 'mode of that file')


def the_key_that_signs_is_a_file_of_its_own(server):
    file = data_of(server) / 'audit-key'
    equal(stat.S_IMODE(file.stat().st_mode), 0o600, 'mode')
    seed = bytes.fromhex(file.read_text(encoding='ascii').strip())
    equal(len(seed), 32, 'size')
    for name in ('keyward.db', 'keyward.db-wal'):
        path = data_of(server) / name
        check(not path.exists() or seed not in path.read_bytes(), f'not in {name}')
    check(seed.hex() not in server.log_path.read_text(errors='replace'), 'not in the log')
    before = checkpoints(server)['publicKey']
    restart(server)
    equal(checkpoints(server)['publicKey'], before, 'the same in a later life')


def checkpoints_come_in_pages(server):
    for owner in range(3):
        server.create({'ownerId': str(owner)})
        sealed_proof(server)
        restart(server)
    places = [item['place'] for item in checkpoints(server, 'sort=timestamp&limit=1000')['items']]
    equal(places, sorted(set(places)), 'in order')
    check(len(places) >= 3, places)
    walked, cursor = [], ''
    while True:
        page = checkpoints(server, f'limit=2{cursor}')
        walked += [item['place'] for item in page['items']]
        if 'nextCursor' not in page:
            break
        cursor = f'&cursor={page["nextCursor"]}'
    equal(walked, places[::-1], 'the latest first')
    reader, _ = server.manager('keys:read')
    server.refuse('FORBIDDEN', 'GET', f'{PATH}/checkpoints', key=reader)
    server.refuse('FORBIDDEN', 'GET', f'{PATH}/export', key=reader)
    server.refuse('INVALID_FIELD', 'GET', f'{PATH}/checkpoints?cursor=7', field='cursor')


def the_whole_log_goes_out_with_what_was_signed(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'shop'})
    for size in range(1205):  # more than one page
        server.create({'ownerId': str(size % 7), 'metadata': {'long': 'x' * (size % 900)}}, headers=IN_SHOP)
    sealed_proof(server, headers=IN_SHOP)
    restart(server)
    lines = export(server, headers=IN_SHOP)
    first, last = lines[0], lines[-1]
    equal((first['keyward'], first['version'], first['projectId'], first['publicKey']),
          ('audit', 1, 'shop', checkpoints(server)['publicKey']), 'what it is')
    told = [line for line in lines if 'keyward' not in line]
    equal(last, {'keyward': 'end', 'entries': len(told)}, 'how many')
    equal(told[-1000:], entries(server, 'limit=1000', headers=IN_SHOP)[::-1], 'the entries themselves')
    equal([line['seal']['place'] for line in told], list(range(1, len(told) + 1)), 'from the first on')
    signed = [(lines[i], lines[i - 1]) for i in range(len(lines)) if lines[i].get('keyward') == 'checkpoint']
    check(len(signed) >= 2, 'one for a thousand entries, and one at the stop')
    for checkpoint, entry in signed:
        equal((checkpoint['place'], checkpoint['link']), (entry['seal']['place'], entry['seal']['link']), 'behind its entry')
    server.expect(200, 'HEAD', f'{PATH}/export', headers=IN_SHOP)
    equal(len(export(server, headers=IN_SHOP)), len(lines), 'again')


def who_rewrites_the_whole_database_is_found(server):
    for owner in range(5):
        server.create({'ownerId': str(owner)})
    whole = sealed_proof(server)
    server.stop()
    file = data_of(server) / 'keyward.db'
    file_before, kept_before = file.read_bytes(), KEPT_FILE.read_bytes()
    held = pathlib.Path(KEPT.name, 'held.ndjson')
    held.write_bytes(kept_before)
    rewrite(file, 'default', 3, 'operator')
    server.start()
    proof = server.expect(200, 'GET', f'{PATH}/verify').json
    equal((proof['whole'], proof['fault']['kind']), (False, 'changed'), 'found by what the server itself has signed')
    check(proof['fault']['place'] >= 3, proof)
    check('changed' in verify(server, 1), 'and over the wire')
    key = ('--public-key', proof['publicKey'])
    check('changed' in verify(server, 1, *key), 'and with the key that is known')
    server.stop()
    # All that was signed is taken out too: now only what is held elsewhere can tell.
    edit(file, 'DELETE FROM audit_checkpoint')
    server.start()
    proof = server.expect(200, 'GET', f'{PATH}/verify').json
    equal((proof['whole'], proof['checkpoints']), (True, 0), 'the database alone')
    check('Nothing of it is signed' in verify(server, 0), 'and it says so')
    check('changed' in verify(server, 1, '--checkpoints', str(held)), 'checkpoints that were held')
    check('changed' in verify(server, 1, '--checkpoints', str(held), *key), 'checkpoints and key that were held')
    check('is not signed by the key' in verify(server, 2, '--checkpoints', str(held), '--public-key', '0' * 64), 'another key')
    server.stop()
    file.write_bytes(file_before)
    KEPT_FILE.write_bytes(kept_before)
    server.start()
    equal(sealed_proof(server)['head'], whole['head'], 'as it was')
    check('The log is whole' in verify(server, 0, '--checkpoints', str(held), *key), 'and agrees with what was held')
    copy = pathlib.Path(KEPT.name, 'copy.ndjson')
    copy.write_bytes(server.expect(200, 'GET', f'{PATH}/export').body)
    check('The log is whole' in verify(server, 0, str(copy), '--checkpoints', str(held), *key), 'as does a copy')


def a_log_that_was_cut_off_is_found(server):
    """The end of the log is gone, and the head says that nothing was there."""
    for owner in range(4):
        server.create({'ownerId': str(owner)})
    whole = sealed_proof(server)
    restart(server)
    server.stop()
    file = data_of(server) / 'keyward.db'
    before = file.read_bytes()
    place = whole['head']['place']
    with sqlite3.connect(file) as db:
        row = db.execute('SELECT sequence, substr(seal, 26) FROM audit_seal WHERE sequence = (SELECT max(sequence) FROM audit WHERE '
                         "project = 'default' AND sequence < ?)", (whole['head']['sequence'],)).fetchone()
    db.close()
    edit(file, "DELETE FROM audit WHERE project = 'default' AND sequence > ?", row[0])
    edit(file, "UPDATE setting SET value = ? WHERE name = 'audit.head.default'",
         b'\1' + number(place - 1) + number(row[0]) + row[1])
    server.start()
    fault = server.expect(200, 'GET', f'{PATH}/verify').json['fault']
    equal((fault['kind'], fault['place'], 'sequence' in fault), ('missing', place, False), 'what is missing')
    check('missing' in verify(server, 1), 'over the wire')
    server.stop()
    file.write_bytes(before)
    server.start()
    equal(sealed_proof(server)['whole'], True, 'as it was')


def what_another_key_signed_proves_nothing(server):
    lost = sealed_proof(server)['publicKey']
    server.stop()
    key = data_of(server) / 'audit-key'
    mine = key.read_bytes()
    key.unlink()
    server.start()
    proof = sealed_proof(server)
    check(key.exists() and key.read_bytes() != mine, 'a lost key is made anew')
    equal((proof['whole'], proof['checkpoints'], proof['foreignCheckpoints']), (True, 0, True), 'checkpoints of the lost one')
    check('another key has signed' in verify(server, 0), 'and it is said')
    check('Signed up to' in verify(server, 0, '--public-key', lost), 'who knows the lost key proves with it')
    server.stop()
    key.write_bytes(mine)
    server.start()
    proof = sealed_proof(server)
    check(proof['checkpoints'] > 0 and proof['foreignCheckpoints'], proof)


def old_entries_go_and_the_rest_stays_provable(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'aged'})
    in_aged = {'Keyward-Project': 'aged'}
    for owner in range(5):
        last = entries(server, 'limit=1', headers=in_aged)[0]['timestamp']
        while entries(server, 'limit=1', headers=in_aged)[0]['timestamp'] == last:  # their times differ, one by one
            server.create({'ownerId': str(owner)}, headers=in_aged)
    sealed_proof(server, headers=in_aged)
    before = entries(server, 'sort=timestamp', headers=in_aged)
    equal([item['timestamp'] for item in before], sorted({item['timestamp'] for item in before}), 'their times differ')
    pruner, _ = server.manager('audit:prune', project='aged')
    reader, _ = server.manager('audit:read', project='aged')
    body = {'before': before[3]['timestamp'], 'reason': 'kept long enough'}
    server.refuse('FORBIDDEN', 'POST', f'{PATH}/prune', body, key=reader, headers=in_aged)
    server.refuse('INVALID_FIELD', 'POST', f'{PATH}/prune', {'before': 'long ago'}, field='before', headers=in_aged)
    server.refuse('MISSING_FIELD', 'POST', f'{PATH}/prune', {}, field='before', headers=in_aged)
    equal(server.expect(200, 'POST', f'{PATH}/prune', body, key=pruner, headers=in_aged).json, {'entries': 3}, 'how many')
    proof = sealed_proof(server, headers=in_aged)
    left = entries(server, 'sort=timestamp&limit=1000', headers=in_aged)
    equal(left[:len(before) - 3], before[3:], 'what is left')
    told = [item for item in left if item['action'] == 'audit.pruned']
    equal([(item['details'], item['context']['reason']) for item in told],
          [({'before': body['before'], 'entries': 3, 'place': 3}, 'kept long enough')], 'what the log says of it')
    equal((proof['whole'], proof['proved'], proof['start']['place']), (True, len(left), 3), 'proved from there on')
    start = checkpoints(server, headers=in_aged)['start']
    equal((start['keyward'], start['place'], start['link']), ('start', 3, before[2]['seal']['link']), 'where it begins')
    equal(export(server, headers=in_aged)[1], start, 'and a copy says so')
    server.refuse('FORBIDDEN', 'POST', f'{PATH}/prune', body, key=reader, headers=in_aged)
    check('It begins behind place 3' in verify(server, 0, '--project', 'aged'), 'over the wire')
    copy = pathlib.Path(KEPT.name, 'aged.ndjson')
    text = server.expect(200, 'GET', f'{PATH}/export', headers=in_aged).body.decode()
    copy.write_text(text, encoding='utf-8')
    check('It begins behind place 3' in verify(server, 0, str(copy)), 'a copy')
    lines = text.splitlines()
    copy.write_text('\n'.join([lines[0], lines[1], *lines[3:-1], lines[-1].replace(str(len(left)), str(len(left) - 1))]) + '\n',
                    encoding='utf-8')
    check('at place 4 is the first that is not right: missing' in verify(server, 1, str(copy)), 'of which one more was dropped')
    copy.write_text('\n'.join([lines[0], *lines[2:]]) + '\n', encoding='utf-8')
    check('at place 1 is the first that is not right: missing' in verify(server, 1, str(copy)), 'which does not say where it begins')
    copy.write_text(text.replace('"keyward":"start","projectId":"aged","place":3', '"keyward":"start","projectId":"aged","place":4'),
                    encoding='utf-8')
    check('missing' in verify(server, 1, str(copy)), 'which says something else')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/aged', {'auditRetention': '23h'}, field='auditRetention')
    made = server.expect(200, 'PATCH', '/v1/projects/aged', {'auditRetention': '365d'}).json
    equal(made['auditRetention'], '365d', 'the setting')


def a_person_s_data_is_erased(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'erased'})
    in_it = {'Keyward-Project': 'erased'}
    by_her = {**in_it, 'Keyward-Context': json.dumps({'actor': 'user:eve', 'reason': 'at her desk', 'address': '203.0.113.77'})}
    _, of_her = server.create({'ownerId': 'eve', 'name': 'the laptop of Eve'}, headers=in_it)
    _, of_another = server.create({'ownerId': 'adam', 'name': 'not hers'}, headers=by_her)
    server.expect(200, 'POST', f'/v1/keys/{of_her["id"]}/disable', {'reason': 'too loud'}, headers=in_it)
    sealed_proof(server, headers=in_it)
    before = entries(server, 'sort=timestamp', headers=in_it)
    eraser, _ = server.manager('audit:erase', project='erased')
    body = {'owner': 'user:eve', 'actor': 'user:eve', 'reason': 'request 7'}
    server.refuse('FORBIDDEN', 'POST', f'{PATH}/erase', body, key=server.manager('audit:read', project='erased')[0], headers=in_it)
    server.refuse('MISSING_FIELD', 'POST', f'{PATH}/erase', {'reason': 'none'}, field='owner', headers=in_it)
    equal(server.expect(200, 'POST', f'{PATH}/erase', body, key=eraser, headers=in_it).json, {'entries': 3}, 'how many')
    sealed_proof(server, headers=in_it)
    after = entries(server, 'sort=timestamp', headers=in_it)
    gone = {of_her['id']: ('owner', 'details'), of_another['id']: ('actor', 'context')}
    for old, new in zip(before, after):
        fields = gone.get(old.get('keyId'), ())
        equal({name: value for name, value in new.items() if name != 'seal'},
              {name: value for name, value in old.items() if name not in (*fields, 'seal')}, 'what is left')
        if fields:
            equal(sorted(new['seal']['erased']), sorted(fields), 'what is gone')
            check('salt' not in new['seal'] and not set(fields) & set(new['seal']['salts']), 'its salts are gone, too')
            equal((new['seal']['place'], new['seal']['link']), (old['seal']['place'], old['seal']['link']), 'its link')
    told = [item for item in after if item['action'] == 'audit.erased']
    equal([(item['details']['entries'], item['context']['reason']) for item in told], [(3, 'request 7')], 'the log says it')
    check('user:eve' not in json.dumps(after) and 'laptop of Eve' not in json.dumps(after) and '203.0.113.77' not in json.dumps(after),
          f'nothing tells of her: {after}')
    equal(entries(server, 'owner=user:eve', headers=in_it), [], 'nor is she found')
    proof = sealed_proof(server, headers=in_it)
    equal((proof['whole'], proof['proved']), (True, len(entries(server, 'limit=1000', headers=in_it))), 'proved')
    check('The log is whole' in verify(server, 0, '--project', 'erased'), 'over the wire')
    copy = pathlib.Path(KEPT.name, 'erased.ndjson')
    text = server.expect(200, 'GET', f'{PATH}/export', headers=in_it).body.decode()
    copy.write_text(text, encoding='utf-8')
    check('The log is whole' in verify(server, 0, str(copy)), 'a copy')
    check('changed' in verify(server, 1, str(copy), '--public-key', '0' * 64), 'with a key that has not signed it')
    # Without the key nobody takes anything out.
    server.stop()
    file = data_of(server) / 'keyward.db'
    intact = file.read_bytes()
    for sql in (f"UPDATE audit SET context = x'' WHERE sequence = {after[1]['sequence']}",
                f"UPDATE audit SET owner = 'user:eve' WHERE sequence = {after[1]['sequence']}"):
        edit(file, sql)
        server.start()
        fault = server.expect(200, 'GET', f'{PATH}/verify', headers=in_it).json['fault']
        equal((fault['kind'], fault['sequence']), ('changed', after[1]['sequence']), sql)
        server.stop()
        file.write_bytes(intact)
    server.start()


CASES = [
    a_checkpoint_is_made_at_a_stop_and_anybody_can_check_it,
    the_key_that_signs_is_a_file_of_its_own,
    checkpoints_come_in_pages,
    the_whole_log_goes_out_with_what_was_signed,
    who_rewrites_the_whole_database_is_found,
    a_log_that_was_cut_off_is_found,
    what_another_key_signed_proves_nothing,
    old_entries_go_and_the_rest_stays_provable,
    a_person_s_data_is_erased,
]

if __name__ == '__main__':
    main(CASES, ('--checkpoint-file', str(KEPT_FILE)))
