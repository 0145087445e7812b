"""The audit log over HTTP: what it says of each change, how it is searched, counted and proved, and who may read it."""

import json
import pathlib
import sqlite3
import time

from api_support import check, equal, main

PATH = '/v1/audit'
PATIENCE_S = 60
CONTEXT = {'actor': 'user:42', 'address': '203.0.113.9', 'reason': 'ticket \u00e9', 'metadata': {'ticket': 7}}


def entries(server, query='', **options):
    return server.expect(200, 'GET', f'{PATH}?{query}', **options).json['items']


def all_entries(server, query, **options):
    """All pages, of three entries each."""
    items, cursor = [], ''
    while True:
        page = server.expect(200, 'GET', f'{PATH}?{query}&limit=3{cursor}', **options).json
        items += page['items']
        if 'nextCursor' not in page:
            return items
        cursor = f'&cursor={page["nextCursor"]}'


def proof(server, **options):
    return server.expect(200, 'GET', f'{PATH}/verify', **options).json


def sealed_proof(server, **options):
    """Once every entry has its seal."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = proof(server, **options)
        if found['unsealed'] == 0 or not found['whole']:
            return found
        check(time.monotonic() < deadline, f'sealed in time: {found}')


def but_signed(found):
    """What a start and a stop do not change: only they and time make checkpoints."""
    return {name: value for name, value in found.items() if name not in ('checkpoints', 'signedPlace')}


def every_change_is_told_with_who_and_why(server):
    key, record = server.create({'ownerId': 'told', 'name': 'before'})
    path = f'/v1/keys/{record["id"]}'
    server.expect(200, 'PATCH', path, {'name': 'after'}, headers={'User-Agent': 'test/1'})
    server.expect(200, 'POST', f'{path}/disable', {'reason': 'too loud'},
                  headers={'Keyward-Context': json.dumps(CONTEXT)})
    server.expect(200, 'POST', f'{path}/enable')
    server.expect(200, 'POST', f'{path}/revoke', {'reason': 'done'})
    server.expect(204, 'DELETE', path)
    found = entries(server, f'key={record["id"]}')
    equal([item['action'] for item in found],
          ['key.erased', 'key.revoked', 'key.enabled', 'key.disabled', 'key.updated', 'key.created'], 'actions')
    equal([item['action'] for item in entries(server, f'key={record["id"]}&sort=timestamp')],
          [item['action'] for item in reversed(found)], 'the other way round')
    erased, revoked, _, disabled, updated, created = found
    equal(updated['details']['changes'], {'name': {'from': 'before', 'to': 'after'}}, 'changes')
    equal((updated['context']['address'], updated['context']['userAgent']), ('127.0.0.1', 'test/1'), 'from where')
    equal(created['owner'], 'user:told', 'owner')
    check(created['actor'].startswith('key:key_'), created['actor'])
    equal(disabled['actor'], 'user:42', 'on whose behalf')
    equal((disabled['context']['address'], disabled['context']['reason'], disabled['context']['metadata']),
          ('203.0.113.9', 'too loud', {'ticket': 7}), 'what was said')
    equal(disabled['context']['via'], {'actor': created['actor'], 'address': '127.0.0.1'}, 'what was known')
    equal(revoked['context']['reason'], 'done', 'reason')
    check('changes' not in erased['details'], erased)
    check(key not in json.dumps(found), 'no key')


def who_and_why_stand_beside_what_was_done(server):
    """Of every kind of line: what may be about a person is in fields of its own, so that it can be erased."""
    said = {'Keyward-Context': json.dumps({'actor': 'user:42', 'reason': 'as asked'})}
    _, record = server.create({'ownerId': 'kinds', 'quotas': [{'name': 'day', 'limit': 5, 'period': 'day', 'metric': 'requests'}]})
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/credit', {'quota': 'day', 'amount': 1}, headers=said)
    server.expect(201, 'POST', '/v1/policies', {'name': 'kinds'}, headers=said)
    server.expect(200, 'PATCH', '/v1/policies/kinds', {'description': 'changed'}, headers=said)
    server.expect(204, 'DELETE', '/v1/policies/kinds', headers=said)
    server.expect(200, 'GET', '/v1/export?ownerId=kinds', headers=said)
    found = entries(server, 'actor=user:42&limit=1000&sort=timestamp')
    actions = ['quota.credited', 'policy.created', 'policy.updated', 'policy.deleted', 'export.started', 'export.ended']
    equal([item['action'] for item in found if item['action'] in actions], actions, 'actions')
    for item in found:
        equal(item['context']['reason'], 'as asked' if item['action'] != 'key.disabled' else 'too loud', item['action'])
        check(not {'actor', 'reason'} & set(item['details']), f'{item["action"]} says it once: {item["details"]}')


def a_context_that_is_none_is_refused(server):
    _, record = server.create()
    for value, field in (('{', 'Keyward-Context'), ('[]', 'Keyward-Context'), ('', 'Keyward-Context'),
                         ('{"who":"me"}', 'Keyward-Context.who'), ('{"actor":7}', 'Keyward-Context.actor'),
                         ('{"actor":"a","actor":"b"}', 'Keyward-Context.actor'),
                         (json.dumps({'reason': 'x' * 257}), 'Keyward-Context.reason')):
        for method, path, body in (('POST', '/v1/keys', {'ownerId': '1'}), ('POST', f'/v1/keys/{record["id"]}/enable', None),
                                   ('DELETE', f'/v1/keys/{record["id"]}', None), ('DELETE', '/v1/policies/none', None)):
            server.refuse('INVALID_FIELD', method, path, body, field=field, headers={'Keyward-Context': value})
    server.expect(200, 'GET', '/v1/keys', headers={'Keyward-Context': '{'})  # that changes nothing: nobody reads it


def a_project_gives_a_context(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'given', 'auditContext': {'reason': 'nightly', 'metadata': {'a': 1}}})
    in_it = {'Keyward-Project': 'given'}
    server.create({'ownerId': '1'}, headers=in_it)
    server.create({'ownerId': '2'}, headers={**in_it, 'Keyward-Context': '{"reason":"by hand"}'})
    second, first = entries(server, 'action=key.created', headers=in_it)
    equal((first['context']['reason'], first['context']['metadata']), ('nightly', {'a': 1}), 'given')
    equal((second['context']['reason'], second['context']['metadata']), ('by hand', {'a': 1}), 'said')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/given', {'auditContext': {'reason': 7}}, field='auditContext.reason')


def it_is_found_by_what_it_says(server):
    begin = entries(server, 'limit=1')[0]['timestamp']
    for owner in ('a', 'b'):
        for _ in range(4):
            server.create({'ownerId': f'found-{owner}'})
    server.expect(200, 'POST', '/v1/keys/disable', {'ownerId': 'found-b'}, headers={'Keyward-Context': '{"actor":"user:finder"}'})
    equal(len(all_entries(server, 'owner=user:found-a')), 4, 'of an owner')
    equal(len(all_entries(server, 'ownerId=found-b&sort=timestamp')), 8, 'of another')
    equal(len(all_entries(server, 'ownerId=found-b&action=key.disabled')), 4, 'and what')
    equal([item['owner'] for item in all_entries(server, 'actor=user:finder')], ['user:found-b'] * 4, 'of an actor')
    since = all_entries(server, f'from={begin}&sort=timestamp')
    check(len(since) >= 12 and all(item['timestamp'] >= begin for item in since), since)
    equal(len({item['id'] for item in since}), len(since), 'no entry twice')
    check(all(item['timestamp'] < begin for item in entries(server, f'until={begin}&limit=1000')), 'before')
    equal(server.expect(200, 'GET', f'{PATH}/count?ownerId=found-b').json, {'count': 8, 'atLeast': False}, 'count')
    stats = server.expect(200, 'GET', f'{PATH}/stats?ownerId=found-b').json
    equal(stats['actions'], {'key.created': 4, 'key.disabled': 4}, 'by action')
    equal(stats['lastActivityAt'], entries(server, 'ownerId=found-b&limit=1')[0]['timestamp'], 'the latest')
    none = server.expect(200, 'GET', f'{PATH}/stats?ownerId=nobody').json
    equal(none, {'count': 0, 'atLeast': False, 'actions': {}}, 'of nobody')


def questions_that_mean_nothing_are_refused(server):
    for query, field in (('key=key_1', 'key'), ('action=key.create', 'action'), ('limit=0', 'limit'),
                         ('limit=1001', 'limit'), ('sort=owner', 'sort'), ('from=yesterday', 'from'),
                         ('cursor=7', 'cursor'), ('cursor=-x', 'cursor'), ('sort=timestamp&cursor=-7', 'cursor')):
        server.refuse('INVALID_FIELD', 'GET', f'{PATH}?{query}', field=field)


def a_project_sees_its_own_entries(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'apart'})
    server.create({'ownerId': 'apart'}, headers={'Keyward-Project': 'apart'})
    found = entries(server, 'limit=1000', headers={'Keyward-Project': 'apart'})
    equal([(item['projectId'], item['action']) for item in found],
          [('apart', 'key.created'), ('apart', 'project.created')], 'all of it')
    equal(entries(server, 'ownerId=apart'), [], 'elsewhere')
    reader, _ = server.manager('audit:read', project='apart')
    equal(len(entries(server, '', key=reader)), 2, 'who may')
    server.refuse('FORBIDDEN', 'GET', PATH, key=reader, headers={'Keyward-Project': 'default'})
    other, _ = server.manager('keys:read')
    server.refuse('FORBIDDEN', 'GET', PATH, key=other)


def it_is_proved_whole(server):
    server.create({'ownerId': 'proved'})
    server.stop()  # refused attempts of before are entries now
    server.start()
    before = sealed_proof(server)
    equal((before['whole'], before['unsealed']), (True, 0), 'before')
    server.create({'ownerId': 'proved'})
    after = sealed_proof(server)
    equal((after['proved'], after['head']['place']), (before['proved'] + 1, before['head']['place'] + 1), 'after')
    last = entries(server, 'limit=1')[0]
    equal((last['seal']['place'], last['seal']['link']), (after['head']['place'], after['head']['link']), 'its seal')
    server.stop()
    server.start()
    equal(but_signed(sealed_proof(server)), but_signed(after), 'after a start')


def what_somebody_does_to_the_file_is_found(server):
    for number in range(6):
        server.create({'ownerId': f'tampered-{number}'})
    whole = sealed_proof(server)
    equal(whole['whole'], True, 'at first')
    sequences = [item['sequence'] for item in reversed(entries(server, 'limit=5'))]
    place = whole['head']['place'] - 4
    file = pathlib.Path(server.folder.name, 'data', 'keyward.db')
    edits = [(f'UPDATE audit SET {column} = {value} WHERE sequence = {sequences[1]}', 'changed', place + 1, sequences[1])
             for column, value in (('at_ms', 'at_ms + 1'), ('owner', "'user:other'"), ('actor', "'nobody'"),
                                   ('action', "'key.updated'"), ('context', "x'7b7d'"), ('body', "x'7b7d'"),
                                   ('key_id', "x'00000000000000000000000000000001'"))]
    edits += [
        (f'UPDATE audit_seal SET seal = zeroblob(57) WHERE sequence = {sequences[1]}', 'changed', place + 1, sequences[1]),
        (f'DELETE FROM audit_seal WHERE sequence = {sequences[1]}', 'changed', place + 1, sequences[1]),
        (f'DELETE FROM audit WHERE sequence = {sequences[1]}', 'missing', place + 1, sequences[2]),
        (f'DELETE FROM audit WHERE sequence = {sequences[4]}', 'missing', place + 4, None),
    ]
    for sql, kind, at, sequence in edits:
        server.stop()
        copy = file.read_bytes()
        with sqlite3.connect(file) as db:
            equal(db.execute(sql).rowcount, 1, sql)
        db.close()
        server.start()
        found = proof(server)
        equal((found['whole'], found['fault']['kind'], found['fault'].get('place'), found['fault'].get('sequence')),
              (False, kind, at, sequence), sql)
        server.stop()
        file.write_bytes(copy)
        server.start()
    equal(but_signed(sealed_proof(server)), but_signed(whole), 'as it was')


def refused_attempts_are_kept_and_counted(server):
    reader, record = server.manager('keys:read', project='default')
    in_keyward = {'Keyward-Project': 'keyward'}
    for _ in range(300):
        server.raw('GET', '/v1/keys', None, {'Authorization': 'Bearer kw_live_unknown', 'User-Agent': 'flood/1'})
    for number in range(80):  # more kinds than are told apart
        server.raw('GET', '/v1/keys', None, {'Authorization': f'Bearer {reader}', 'Keyward-Project': f'p{number % 2}', 'X-Forwarded-For': '1.2.3.4'})
        server.refuse('FORBIDDEN', 'POST', '/v1/keys', {'ownerId': '1'}, key=reader)
    server.refuse('UNAUTHORIZED', 'GET', '/v1/keys', key=None)
    server.stop()  # writes what waits
    server.start()
    ours = [item for item in all_entries(server, 'action=access.refused')
            if item['actor'] == f'key:{record["id"]}' and item['details']['route'] == 'POST /v1/keys']
    equal((sum(item['details']['count'] for item in ours), ours[0]['details']['code']), (80, 'FORBIDDEN'), 'of a key that may not')
    check(len(ours) <= 2, 'a flood is a few entries')
    equal((ours[0]['context']['address'], ours[0]['projectId']), ('127.0.0.1', 'default'), 'from where')
    none = [item for item in all_entries(server, 'action=access.refused', headers=in_keyward) if 'actor' not in item]
    of_list = [item for item in none if item['details']['route'] == 'GET /v1/keys']
    equal(sum(item['details']['count'] for item in of_list), 301, 'of a key that nobody knows, and of none')
    check(len(of_list) <= 2, 'a flood is a few entries')
    check('kw_live_unknown' not in json.dumps(none), 'no key')
    equal(sealed_proof(server)['whole'], True, 'sealed like any other')
    equal(sealed_proof(server, headers=in_keyward)['whole'], True, 'there too')


CASES = [
    every_change_is_told_with_who_and_why,
    who_and_why_stand_beside_what_was_done,
    a_context_that_is_none_is_refused,
    a_project_gives_a_context,
    it_is_found_by_what_it_says,
    questions_that_mean_nothing_are_refused,
    a_project_sees_its_own_entries,
    it_is_proved_whole,
    what_somebody_does_to_the_file_is_found,
    refused_attempts_are_kept_and_counted,
]

if __name__ == '__main__':
    main(CASES)
