"""Imports over HTTP: foreign digests made with hashlib verify with the secrets of their holders and move when they are
used; what is revoked stays so; conflicts, rehearsals, scopes, and no key in any answer."""

import hashlib
import json
import sys
import time

from api_support import check, equal, main, quote
from test_routes import UNKNOWN_ID

NDJSON = {'Content-Type': 'application/x-ndjson'}
CSV = {'Content-Type': 'text/csv; charset=utf-8'}
PATIENCE_S = 60


def send(server, lines, query='', headers=None, **options):
    """The report on a text, or on lines that become NDJSON."""
    body = lines.encode() if isinstance(lines, str) else b''.join(json.dumps(line).encode() + b'\n' for line in lines)
    return server.expect(200, 'POST', '/v1/import' + (f'?{query}' if query else ''), body, headers=headers or NDJSON,
                         **options).json


def counts(report):
    return tuple(report[name] for name in ('created', 'overwritten', 'skipped', 'refused'))


def codes(report):
    return [(line['line'], line['outcome'], line.get('code'), line.get('field')) for line in report['lines']]


def code_of(server, key):
    return server.verify(key).get('code', 'VALID')


def hashed(algorithm, text):
    return hashlib.new(algorithm, text.encode()).hexdigest()


def until_moved(server, key):
    """The record, once its digest is the project's own: a verification leaves word for the writer."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        answer = server.verify(key)
        equal(answer['valid'], True, 'a key that moves is always valid')
        if answer['record']['digest'] == 'hmac-sha256':
            return answer['record']
    raise AssertionError('the key was not moved')


def foreign_digests_verify_and_move(server):
    forms = [('sha256', '', ''), ('sha512', '', ''), ('sha256', '', 'salt'), ('sha256', 'Salz', ''), ('sha512', '', 'sel'),
             ('sha512', 'zout', '')]
    for number, (algorithm, before, after) in enumerate(forms):
        key = f'legacy_{number}_MnBvCxZlKjHgFdSa'
        line = {'id': f'foreign-{number}', 'keyHash': hashed(algorithm, before + key + after),
                'metadata': {'ownerId': f'u{number}', 'scopes': ['read'], 'createdAt': '2025-01-01T00:00:00.000Z', 'x': number}}
        place = f'salt={before or after}&saltPlace={"before" if before else "after"}' if before or after else ''
        equal(counts(send(server, [line], f'prefix=legacy_&{place}'.rstrip('&'))), (1, 0, 0, 0), algorithm)
        verdict = server.verify(key, scopes=['read'])
        equal(verdict['valid'], True, f'{algorithm} {before}+key+{after}')
        equal(verdict['record']['metadata'], {'x': number, 'importId': f'foreign-{number}'}, 'metadata')
        moved = until_moved(server, key)
        equal((moved['id'], moved['imported']), (verdict['record']['id'], True), 'the moved record')
        equal(code_of(server, key + 'x'), 'INVALID_KEY', 'another key')
        equal(counts(send(server, [line], f'prefix=legacy_&{place}'.rstrip('&'))), (0, 0, 1, 0), 'again, after it has moved')


def what_is_revoked_stays_revoked(server):
    key = 'legacy_revoked_QwErTyUiOp'
    lines = [{'id': 'gone', 'keyHash': hashed('sha256', key), 'ownerId': '1'}]
    equal(counts(send(server, lines)), (1, 0, 0, 0), 'the first time')
    record = server.verify(key)['record']
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', {})
    again = lines + [{'key': key, 'ownerId': '1'}, {'id': 'other', 'keyHash': hashed('sha512', key), 'ownerId': '1'}]
    for way in ('skip', 'overwrite', 'error'):
        report = send(server, again, f'onConflict={way}')
        check(report['created'] + report['overwritten'] <= 1, report)
        equal(code_of(server, key), 'REVOKED', way)
    server.expect(204, 'DELETE', f'/v1/keys/{record["id"]}')
    for way in ('skip', 'overwrite', 'error'):
        send(server, again, f'onConflict={way}')
        check(code_of(server, key) in ('INVALID_KEY', 'REVOKED'), f'{way} after it was erased')


def conflicts_are_met_as_asked(server):
    key = 'legacy_conflict_QwErTyUiOp'
    line = {'id': 'c1', 'keyHash': hashed('sha256', key), 'ownerId': '1', 'name': 'one'}
    send(server, [line])
    record = server.verify(key)['record']
    line['name'] = 'two'
    # It may have moved to the project's own digest by now, and is found by its id then.
    equal(codes(send(server, [line]))[0][:3], (1, 'skipped', 'ALREADY_EXISTS'), 'skip is the default')
    report = send(server, [line], 'onConflict=error')
    equal(codes(report)[0][:3], (1, 'refused', 'ALREADY_EXISTS'), 'error')
    check(record['id'] in report['lines'][0]['detail'], 'the key that is in the way is named')
    equal(counts(send(server, [line], 'onConflict=overwrite&dryRun=true')), (0, 1, 0, 0), 'a rehearsal')
    equal(server.verify(key)['record']['name'], 'one', 'nothing was changed')
    equal(counts(send(server, [line], 'onConflict=overwrite')), (0, 1, 0, 0), 'overwrite')
    equal(server.verify(key)['record']['name'], 'two', 'it was changed')
    line['revokedAt'] = '2025-05-05T00:00:00Z'
    send(server, [line], 'onConflict=overwrite')
    equal(code_of(server, key), 'REVOKED', 'an imported revocation')


def forms_are_told_apart(server):
    plain = 'plain_QwErTyUiOp0123'
    report = send(server, f'token,who,plan\r\n{plain},7,"a, b"\r\nno,7,\r\n', f'map={quote("token=key,who=ownerId,plan=metadata.plan")}', CSV)
    equal(codes(report), [(3, 'refused', 'INVALID_FIELD', 'key')], 'CSV')
    equal(server.verify(plain)['record']['metadata'], {'plan': 'a, b'}, 'a mapped column')
    items = [{'key': 'plain_in_json_012345', 'metadata': {'ownerId': '1'}}, 5, {}]
    report = send(server, json.dumps(items, indent=1), headers={'Content-Type': 'application/json'})
    equal([line['line'] for line in report['lines']], [2, 3], 'items of an array')
    equal(code_of(server, 'plain_in_json_012345'), 'VALID', 'the good one')
    report = send(server, json.dumps(items[0]), 'format=ndjson', {'Content-Type': 'application/json'})
    equal(counts(report), (0, 0, 1, 0), 'format says it where the type does not')
    report = send(server, 'key,ownerId\n"quoted"badly,1\n', headers=CSV)
    equal(codes(report)[0][:3], (2, 'refused', 'INVALID_ROW'), 'a row of CSV that is none')
    report = send(server, json.dumps(items)[:-2], headers={'Content-Type': 'application/json'})
    equal((report['isCut'], counts(report)), (True, (0, 0, 1, 1)), 'an array that ends before it is whole')
    server.refuse('UNSUPPORTED_MEDIA_TYPE', 'POST', '/v1/import', b'{}', headers={'Content-Type': 'text/plain'})
    server.refuse('INVALID_JSON', 'POST', '/v1/import', b'{"items": []}')
    server.refuse('INVALID_FIELD', 'POST', '/v1/import', b'colour\nred\n', field='colour', headers=CSV)
    server.refuse('INVALID_FIELD', 'POST', '/v1/import?owner=nobody', b'{}', field='owner', headers=NDJSON)
    server.refuse('INVALID_FIELD', 'POST', '/v1/import?onConflict=replace', b'{}', field='onConflict', headers=NDJSON)
    server.refuse('BODY_TOO_LARGE', 'POST', '/v1/import', b'\n' * (1024 * 1024 + 1), headers=NDJSON)


def an_export_that_was_cut_is_told(server):
    head, end = '{"keyward":"export","version":1}\n', '{"keyward":"end","keys":0}\n'
    equal(send(server, head + end)['isCut'], False, 'a whole one')
    equal(send(server, head)['isCut'], True, 'one without its end')
    lines = [{'record': {'id': UNKNOWN_ID, 'env': 'live', 'prefix': 'sk_live_', 'owner': 'user:1', 'createdAt': '2026-01-01T00:00:00Z'},
              'digest': {'scheme': 'hmac-sha256', 'value': '0' * 64, 'pepper': 'ab' * 16}}]
    report = send(server, lines)
    equal(codes(report), [(1, 'refused', 'PEPPER_MISMATCH', 'digest.pepper')], 'an unknown pepper')
    check('ab' * 16 in report['lines'][0]['detail'] and 'pepper export' in report['lines'][0]['detail'], 'the way out')


def reports_have_an_end(server):
    report = send(server, '5\n' * 1500)
    equal((report['refused'], len(report['lines']), report['linesNotShown']), (1500, 1000, 500), 'lines')


def scopes_are_held(server):
    key, _ = server.manager('keys:import')
    line = {'id': 'scoped', 'key': 'plain_scoped_01234567', 'ownerId': '1'}
    equal(counts(send(server, [line], key=key)), (1, 0, 0, 0), 'with the scope')
    other, _ = server.manager('keys:create', 'keys:read')
    server.refuse('FORBIDDEN', 'POST', '/v1/import', b'{}', key=other, headers=NDJSON)
    admin, _ = server.create({'owner': 'service:admin', 'resources': {'project:keyward': ['keys:import', 'keys:read']}},
                             headers={'Keyward-Project': 'keyward'})
    more = {'key': 'stolen_0123456789abcdef', 'owner': 'service:x', 'resources': {'project:default': ['keys:create']}}
    report = send(server, [more], key=admin, headers={**NDJSON, 'Keyward-Project': 'keyward'})
    equal(codes(report), [(1, 'refused', 'FORBIDDEN', None)], 'a management key that may do more than its maker')


def no_key_is_told_of(server):
    secret = 'canary_5f2d8e1a9c7b4e60'
    server.secrets.append(secret)  # from here on no answer may show it
    for query in ('', 'onConflict=error', 'onConflict=overwrite', 'prefix=other_'):
        send(server, [{'key': secret, 'ownerId': '1'}, {'key': secret, 'keyHash': '00', 'ownerId': '1'}, {'key': [secret]},
                      {'key': secret + '\n', 'ownerId': '1'}, {'key': secret, 'name': 5}], query)
    send(server, f'key,ownerId\n{secret},1\n{secret}é\u0001,2\n', '', CSV)
    everything = json.dumps(server.everything())
    check(secret not in everything and secret not in server.log_path.read_text(errors='replace'), 'nowhere else')


if __name__ == '__main__':
    sys.exit(main([foreign_digests_verify_and_move, what_is_revoked_stays_revoked, conflicts_are_met_as_asked, forms_are_told_apart,
                   an_export_that_was_cut_is_told, reports_have_an_end, scopes_are_held, no_key_is_told_of]))
