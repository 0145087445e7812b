"""Every route of the built program: what it answers when all is well, and when the state of a key is against it."""

import json
import sys
import time

from api_support import Failed, check, equal, main, quote

UNKNOWN_ID = 'key_01JD5W3K2M8Q4T6V9X0Z1B3D5F'


def a_key_lives_from_creation_to_erasure(server):
    made = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1'})
    key, record = made.json['key'], made.json['record']
    path = f'/v1/keys/{record["id"]}'
    equal(made.header('Location'), path, 'Location')
    equal(made.header('ETag'), '"1"', 'ETag')
    check(key.startswith('sk_live_') and key.endswith(record['lastFour']), 'form of the key')
    equal((record['owner'], record['ownerId'], record['status']), ('user:1', '1', 'active'), 'owner and status')
    equal(server.expect(200, 'GET', path).json, record, 'the record as it is read')
    equal(server.verify(key), {'valid': True, 'record': record}, 'verdict')

    disabled = server.expect(200, 'POST', path + '/disable', {'reason': 'on leave'})
    equal((disabled.json['status'], disabled.json['version'], disabled.header('ETag')), ('disabled', 2, '"2"'), 'disabled')
    equal(server.verify(key)['code'], 'DISABLED', 'verdict on a disabled key')
    server.refuse('ALREADY_DISABLED', 'POST', path + '/disable', status=409)
    equal(server.expect(200, 'POST', path + '/enable').json['status'], 'active', 'enabled')
    server.refuse('ALREADY_ENABLED', 'POST', path + '/enable', status=409)
    check(server.verify(key)['valid'], 'an enabled key is valid')

    server.refuse('NOT_REVOKED', 'DELETE', path, status=409)
    revoked = server.expect(200, 'POST', path + '/revoke', {'reason': 'lost'}).json
    equal((revoked['status'], revoked['revokeReason']), ('revoked', 'lost'), 'revoked')
    verdict = server.verify(key)
    equal((verdict['valid'], verdict['code'], verdict['record']['id']), (False, 'REVOKED', record['id']), 'verdict')
    for action in ('enable', 'disable', 'rotate'):
        server.refuse('CANNOT_MODIFY_REVOKED', 'POST', f'{path}/{action}', status=409)
    server.refuse('CANNOT_MODIFY_REVOKED', 'PATCH', path, {'name': 'x'}, status=409)
    server.refuse('ALREADY_REVOKED', 'POST', path + '/revoke', status=409)

    equal(server.expect(204, 'DELETE', path).body, b'', 'body of an erasure')
    server.refuse('KEY_NOT_FOUND', 'GET', path, status=404)
    server.refuse('KEY_NOT_FOUND', 'DELETE', path, status=404)
    equal(server.verify(key)['code'], 'INVALID_KEY', 'an erased key is unknown')


def reasons_in_audit_log(server, key_id):
    items = server.expect(200, 'GET', f'/v1/audit?key={key_id}&sort=timestamp').json['items']
    return [item['context'].get('reason') for item in items]


def each_change_of_a_state_says_why(server):
    record = server.create({'ownerId': '1'})[1]
    path = f'/v1/keys/{record["id"]}'
    for action, reason in (('disable', 'on leave'), ('enable', 'back again'), ('disable', None), ('enable', None),
                           ('revoke', 'left')):
        server.expect(200, 'POST', f'{path}/{action}', None if reason is None else {'reason': reason})
    equal(reasons_in_audit_log(server, record['id']), [None, 'on leave', 'back again', None, None, 'left'], 'reasons')
    for action in ('disable', 'enable', 'revoke'):
        server.refuse('INVALID_FIELD', 'POST', f'{path}/{action}', {'reason': 'x' * 257}, status=400, field='reason')
    server.refuse('UNKNOWN_FIELD', 'POST', path + '/enable', {'cascade': False}, status=400, field='cascade')


def a_creation_keeps_every_field(server):
    body = {'owner': 'team:billing', 'env': 'test', 'isPublic': True, 'orgId': 'acme', 'name': 'Näme "x"',
            'description': 'two\nlines', 'tags': ['B', 'a'], 'metadata': {'a': [1, {'b': None}], 'é': '\\'},
            'scopes': ['write', 'read:*'], 'resources': {'website:123': ['read', 'write']}, 'expiresIn': '90d'}
    key, record = server.create(body)
    check(key.startswith('pk_test_'), 'prefix of a public key')
    for name in ('owner', 'env', 'isPublic', 'orgId', 'name', 'description', 'metadata', 'resources'):
        equal(record[name], body[name], name)
    equal((record['tags'], record['scopes']), (['a', 'b'], ['read:*', 'write']), 'tags and scopes')
    check('ownerId' not in record and 'expiresAt' in record, 'ownerId and expiresAt')
    again = server.create({'ownerId': '1', 'expiresAt': '2099-12-31T23:59:59+01:00'})[1]
    equal(again['expiresAt'], '2099-12-31T22:59:59.000Z', 'an expiry with an offset')


def an_update_changes_what_it_names(server):
    _, record = server.create({'ownerId': '1', 'name': 'a', 'description': 'b', 'tags': ['x'], 'metadata': {'k': 1},
                               'scopes': ['read'], 'resources': {'w:1': ['r']}, 'expiresIn': '1d', 'orgId': 'o'})
    path = f'/v1/keys/{record["id"]}'
    changed = server.expect(200, 'PATCH', path, {'name': 'c', 'tags': ['y', 'z']}).json
    equal({name for name in record if record[name] != changed[name]} - {'updatedAt'}, {'name', 'tags', 'version'}, 'changes')
    cleared = server.expect(200, 'PATCH', path, {name: None for name in (
        'name', 'description', 'tags', 'metadata', 'scopes', 'resources', 'expiresAt', 'orgId')}).json
    for name in ('name', 'description', 'metadata', 'expiresAt', 'orgId'):
        check(name not in cleared, f'{name} is cleared')
    equal((cleared['tags'], cleared['scopes'], cleared['resources']), ([], [], {}), 'lists are cleared')
    equal(server.expect(200, 'PATCH', path, {'expiresIn': '1h'}).json['version'], 4, 'version')
    for name, value in (('env', 'test'), ('isPublic', True), ('owner', 'team:1'), ('owner', 'user:2'), ('ownerId', '2'),
                        ('projectId', 'default')):
        for method, end in (('PATCH', ''), ('POST', '/rotate')):
            server.refuse('CANNOT_CHANGE_FIELD', method, path + end, {name: value}, field=name, status=400)
    nothing = server.expect(200, 'PATCH', path, {})
    equal((nothing.json['version'], nothing.header('ETag')), (4, '"4"'), 'nothing is changed')
    server.refuse('VERSION_CONFLICT', 'PATCH', path, {}, headers={'If-Match': '"3"'}, status=409)
    equal(server.expect(200, 'GET', path).json['version'], 4, 'version after refusals')


def a_change_can_name_the_version_it_saw(server):
    _, record = server.create()
    path = f'/v1/keys/{record["id"]}'
    for match in ('"1"', '*'):
        server.expect(200, 'PATCH', path, {'name': match}, headers={'If-Match': match})
    for method, action, body in (('PATCH', '', {'name': 'x'}), ('POST', '/disable', None), ('POST', '/revoke', None),
                                 ('POST', '/rotate', None), ('DELETE', '', None)):
        server.refuse('VERSION_CONFLICT', method, path + action, body, headers={'If-Match': '"1"'}, status=409)
    for match in ('3', '""', '"0"', '"x"', 'W/3', '"1", "3"', '"-1"', '"99999999999999999999"'):
        server.refuse('INVALID_FIELD', 'PATCH', path, {'name': 'x'}, field='If-Match', headers={'If-Match': match})
    server.expect(200, 'PATCH', path, {'name': 'y'}, headers={'If-Match': 'W/"3"'})


def a_rotation_makes_a_successor(server):
    key, record = server.create({'ownerId': '1', 'scopes': ['read'], 'name': 'old'})
    path = f'/v1/keys/{record["id"]}'
    answer = server.expect(201, 'POST', path + '/rotate', {'gracePeriod': '1h', 'name': 'new'})
    new, previous = answer.json['record'], answer.json['previous']
    equal(answer.header('Location'), f'/v1/keys/{new["id"]}', 'Location')
    equal((new['rotatedFrom'], previous['rotatedTo'], new['lineageId']), (record['id'], new['id'], record['id']), 'line')
    equal((new['name'], previous['name'], new['scopes']), ('new', 'old', ['read']), 'what the successor has')
    check('graceUntil' in previous, 'the grace period is shown')
    check(server.verify(key)['valid'] and server.verify(answer.json['key'])['valid'], 'both keys work')
    refused = server.refuse('ALREADY_ROTATED', 'POST', path + '/rotate', status=409)
    check(new['id'] in refused['detail'], f'whom to rotate instead: {refused}')
    second = server.expect(201, 'POST', f'/v1/keys/{new["id"]}/rotate').json
    equal((second['previous']['status'], second['previous']['revokeReason']), ('revoked', 'rotated'), 'no grace')
    equal(server.verify(answer.json['key'])['code'], 'REVOKED', 'the key before')
    third = f'/v1/keys/{second["record"]["id"]}'
    server.refuse('INVALID_FIELD', 'POST', third + '/rotate', {'scopes': ['read', 'write']}, field='scopes')
    server.refuse('INVALID_FIELD', 'POST', third + '/rotate', {'gracePeriod': '2y'}, field='gracePeriod')
    server.refuse('CANNOT_CHANGE_FIELD', 'POST', third + '/rotate', {'env': 'test'})


def an_expiry_passes(server):
    key, record = server.create({'ownerId': '1', 'expiresIn': '2s'})
    path = f'/v1/keys/{record["id"]}'
    check(server.verify(key)['valid'], 'valid before')
    time.sleep(2.2)
    equal(server.verify(key)['code'], 'EXPIRED', 'verdict')
    equal(server.expect(200, 'GET', path).json['status'], 'expired', 'status')
    server.refuse('ALREADY_EXPIRED', 'PATCH', path, {'expiresIn': '1d'}, status=409)
    server.refuse('ALREADY_EXPIRED', 'POST', path + '/rotate', status=409)
    renewed = server.expect(201, 'POST', path + '/rotate', {'expiresIn': '1d'}).json
    check(server.verify(renewed['key'])['valid'], 'the successor is valid')


def a_grace_period_ends(server):
    key, record = server.create()
    server.expect(201, 'POST', f'/v1/keys/{record["id"]}/rotate', {'gracePeriod': '2s'})
    check(server.verify(key)['valid'], 'valid in its grace period')
    time.sleep(2.2)
    equal(server.verify(key)['code'], 'REVOKED', 'verdict')
    ended = server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json
    equal((ended['status'], ended['revokeReason']), ('revoked', 'rotated'), 'status')


def a_grace_period_ends_when_asked(server):
    key, record = server.create()
    path = f'/v1/keys/{record["id"]}'
    made = server.expect(201, 'POST', path + '/rotate', {'gracePeriod': '1h'}).json
    check('endGraceOnFirstUse' not in made['record'], 'nobody asked for it')
    equal(server.expect(200, 'POST', path + '/revoke', {'reason': 'all moved'}).json['revokeReason'], 'all moved', 'reason')
    equal(server.verify(key)['code'], 'REVOKED', 'the old key')
    equal(server.verify(made['key']), {'valid': True, 'record': made['record']}, 'the new key, as it was')


def a_grace_period_ends_with_the_first_use(server):
    key, record = server.create()
    path = f'/v1/keys/{record["id"]}'
    server.refuse('INVALID_FIELD', 'POST', path + '/rotate', {'endGraceOnFirstUse': True}, field='endGraceOnFirstUse')
    made = server.expect(201, 'POST', path + '/rotate', {'gracePeriod': '1h', 'endGraceOnFirstUse': True}).json
    equal((made['record']['endGraceOnFirstUse'], 'endGraceOnFirstUse' in made['previous']), (True, False), 'whose it is')
    equal(server.verify(made['key'], env='test')['code'], 'ENVIRONMENT_MISMATCH', 'no use')
    check(server.verify(key)['valid'], 'the old key works before')
    check(server.verify(made['key'])['valid'], 'the first use')
    until = time.monotonic() + 20
    while server.expect(200, 'GET', path).json['status'] != 'revoked':
        check(time.monotonic() < until, 'the old key is not revoked')
    ended = server.expect(200, 'GET', path).json
    equal((ended['revokedBy'], ended['revokeReason']), ('system', 'rotated'), 'who ended it, and why')
    equal(server.verify(key)['code'], 'REVOKED', 'the old key')
    equal(server.verify(made['key'])['record']['version'], 1, 'a use changes no record')


def what_a_rotation_keeps(server):
    expiry = '2099-12-31T23:59:59.000Z'
    key, record = server.create({'ownerId': '1', 'expiresAt': expiry})
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/disable')
    line = [record]
    for body in ({'gracePeriod': '1h'}, {}, {'expiresAt': '2098-01-01T00:00:00.000Z'}):
        made = server.expect(201, 'POST', f'/v1/keys/{line[-1]["id"]}/rotate', body).json
        equal((made['record']['status'], made['record']['enabled']), ('disabled', False), 'a disabled key\'s successor')
        equal(server.verify(made['key'])['code'], 'DISABLED', 'verdict')
        equal(made['record']['expiresAt'], body.get('expiresAt', expiry), 'expiry')
        equal((made['record']['rotatedFrom'], made['previous']['rotatedTo']), (line[-1]['id'], made['record']['id']), 'links')
        equal(made['record']['lineageId'], record['id'], 'line')
        line.append(made['record'])
    for before, after in zip(line, line[1:]):
        equal(server.expect(200, 'GET', f'/v1/keys/{before["id"]}').json['rotatedTo'], after['id'], 'link forth, later')


def verdicts_say_what_is_wrong(server):
    key, record = server.create({'ownerId': '1', 'scopes': ['orders:read', 'files:*'],
                                 'resources': {'website:1': ['write'], 'shop:*': ['sell']}})
    other = server.create({'owner': 'service:test', 'resources': {'project:default': ['keys:read']}},
                          headers={'Keyward-Project': 'keyward'})[0]
    typo = key[:-1] + ('A' if key[-1] != 'A' else 'B')
    never = server.run('generate').strip().splitlines()[-1].split()[-1]
    for sent, code in (('', 'MISSING_KEY'), ('x', 'INVALID_FORMAT'), (typo, 'INVALID_FORMAT'), ('ä', 'INVALID_FORMAT'),
                       (key + 'x' * 200, 'INVALID_FORMAT'), (key + ' ', 'INVALID_FORMAT'),
                       (other, 'INVALID_FORMAT'), (never, 'INVALID_KEY')):
        verdict = server.verify(sent)
        equal((verdict['valid'], verdict['code'], 'record' in verdict), (False, code, False), 'verdict')
        check(verdict['message'], 'a refusal has a message')
    yes = [{}, {'scopes': []}, {'scopes': ['orders:read', 'files:a:b']}, {'env': 'live'},
           {'resource': {'type': 'website', 'id': '1', 'scopes': ['write']}},
           {'resource': {'type': 'website', 'id': '9', 'scopes': ['orders:read']}},
           {'resource': {'type': 'shop', 'id': 'x:y', 'scopes': ['sell', 'files:z']}},
           {'resource': {'type': 'website', 'id': '1'}}]
    for question in yes:
        equal(server.verify(key, **question), {'valid': True, 'record': record}, f'{question}')
    no = [({'scopes': ['orders:read', 'orders:write']}, 'orders:write'), ({'scopes': ['files']}, 'files'),
          ({'scopes': ['*']}, '*'), ({'resource': {'type': 'website', 'id': '2', 'scopes': ['write']}}, 'write', 'website:2'),
          ({'resource': {'type': 'website', 'id': '1', 'scopes': ['write', 'sell']}}, 'sell', 'website:1')]
    for question, missing, *on in no:
        verdict = server.verify(key, **question)
        equal((verdict['valid'], verdict['code'], verdict['missing']), (False, 'INSUFFICIENT_SCOPE', missing), f'{question}')
        equal(verdict.get('missingOn'), *on or [None], f'where {question}')
        equal(verdict['record'], record, 'record of a refused key')
    equal(server.verify(key, env='test')['code'], 'ENVIRONMENT_MISMATCH', 'another environment')
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'env': 'nowhere'}, field='env')
    for resource, field in (({'type': 'Web', 'id': '1'}, 'resource.type'), ({'type': 'w', 'id': 'a b'}, 'resource.id'),
                            ({'type': 'w:x', 'id': '1'}, 'resource.type'), ({'type': 'w', 'id': '1' * 128}, 'resource.id')):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'resource': resource}, field=field)


def a_batch_is_answered_in_its_order(server):
    path = '/v1/keys/batch/verify'
    keys = [server.create({'ownerId': str(i), 'scopes': [f's:{i}']}) for i in range(40)]
    items = [{'key': key, 'scopes': [f's:{i - i % 2}']} for i, (key, _) in enumerate(keys)] + [{'key': ''}, {'key': 'x'}]
    answer = server.expect(200, 'POST', path, {'items': items}).json['items']
    for i, (verdict, (_, record)) in enumerate(zip(answer, keys)):
        expected = {'valid': True} if i % 2 == 0 else {
            'valid': False, 'code': 'INSUFFICIENT_SCOPE', 'message': 'The key may not do this.', 'missing': f's:{i - 1}',
            'missingAll': {'scopes': [f's:{i - 1}']}}
        equal(verdict, {**expected, 'record': record}, f'item {i}')
    equal([verdict['code'] for verdict in answer[40:]], ['MISSING_KEY', 'INVALID_FORMAT'], 'the last two')
    equal(server.expect(200, 'POST', path, {'items': []}).json, {'items': []}, 'an empty batch')
    full = server.expect(200, 'POST', path, {'items': [{'key': keys[i % 40][0]} for i in range(1000)]}).json['items']
    equal([verdict['record']['id'] for verdict in full], [keys[i % 40][1]['id'] for i in range(1000)], 'a full batch')
    server.refuse('INVALID_FIELD', 'POST', path, {'items': [{'key': 'x'}] * 1001}, field='items', status=400)
    items = [{'key': 'x'}, {'key': 'x', 'env': 'no'}, {'key': 'x', 'resource': {'type': 'A', 'id': '1'}}]
    answer = server.expect(200, 'POST', path, {'items': items}).json['items']
    equal([(item['code'], item.get('field')) for item in answer],
          [('INVALID_FORMAT', None), ('INVALID_FIELD', 'env'), ('INVALID_FIELD', 'resource.type')], 'questions that are none')


def pages(server, query, limit, between=lambda: None):
    """All items of a list, page by page."""
    items, cursor = [], ''
    while True:
        page = server.expect(200, 'GET', f'/v1/keys?limit={limit}{query}{cursor}').json
        check(len(page['items']) <= limit, 'a page holds what was asked for')
        items += page['items']
        if 'nextCursor' not in page:
            return items
        cursor = f'&cursor={quote(page["nextCursor"])}'
        between()


def lists_are_filtered(server):
    made = [server.create({'owner': f'team:{i % 3}', 'orgId': f'lists{i % 2}', 'tags': ['Lists', f'l{i}'],
                           'env': 'live' if i % 4 else 'test', 'name': f'Listed {i}'})[1] for i in range(12)]
    def ids(query):
        return [record['id'] for record in pages(server, query, 5)]
    def expected(condition):
        return sorted(record['id'] for i, record in enumerate(made) if condition(i))
    equal(ids('&tag=lists'), expected(lambda i: True), 'by tag, in the order of the ids')
    equal(ids('&tag=LISTS'), expected(lambda i: True), 'tags are in lower case')
    equal(ids('&tag=l7'), expected(lambda i: i == 7), 'by another tag')
    equal(ids('&tag=lists&owner=team%3A1'), expected(lambda i: i % 3 == 1), 'by owner')
    equal(ids('&org=lists1'), expected(lambda i: i % 2 == 1), 'by organisation')
    equal(ids('&tag=lists&env=test'), expected(lambda i: i % 4 == 0), 'by environment')
    equal(ids('&q=lISTED+1&org=lists1'), expected(lambda i: i in (1, 11)), 'by text')
    equal(ids('&tag=none'), [], 'by what nobody has')
    server.expect(200, 'POST', f'/v1/keys/{made[3]["id"]}/revoke')
    server.expect(200, 'POST', f'/v1/keys/{made[5]["id"]}/disable')
    for status, wanted in (('revoked', [3]), ('disabled', [5]), ('expired', []),
                           ('active', [i for i in range(12) if i not in (3, 5)])):
        equal(ids(f'&tag=lists&status={status}'), expected(lambda i: i in wanted), f'by status {status}')
    user = server.create({'ownerId': 'lists/user'})[1]
    equal(ids('&ownerId=lists%2Fuser'), [user['id']], 'by user')
    check(len(server.expect(200, 'GET', '/v1/keys').json['items']) <= 50, 'fifty without a limit')


def lists_are_found_by_everything_that_is_kept(server):
    sets = [['f', 'red'], ['f', 'blue'], ['f', 'blue', 'red'], ['f']]
    made, keys = [], []
    for i in range(12):
        time.sleep(0.002)
        expiry = {'expiresAt': f'20{50 + i * 7 % 12:02}-01-01T00:00:00Z'} if i % 3 else {}
        key, record = server.create({'owner': f'team:find{i % 2}', 'orgId': f'find{i % 3}', 'tags': sets[i % 4], **expiry})
        made.append(record)
        keys.append(key)

    def found(query, condition, order=lambda record: record['id'], reverse=False):
        expected = [record['id'] for record in sorted(filter(condition, made), key=order, reverse=reverse)]
        for limit in (2, 5, 1000):
            equal([record['id'] for record in pages(server, query, limit)], expected, f'{query} by {limit}')
        if 'sort=' not in query:
            counted = server.expect(200, 'GET', f'/v1/keys/count?{query[1:]}').json
            equal(counted, {'count': len(expected), 'atLeast': False}, f'count of {query}')

    of_expiry = lambda record: (record['expiresAt'], record['id'])
    found('&tag=f', lambda r: True)
    found('&tag=f&sort=createdAt', lambda r: True)
    found('&tag=f&sort=-createdAt', lambda r: True, reverse=True)
    found('&tag=f&sort=expiresAt', lambda r: 'expiresAt' in r, order=of_expiry)
    found('&tag=RED,blue', lambda r: {'red', 'blue'} & set(r['tags']))
    found('&tag=red%2Cblue&tagMode=any', lambda r: {'red', 'blue'} & set(r['tags']))
    found('&tag=red,blue&tagMode=all', lambda r: {'red', 'blue'} <= set(r['tags']))
    found('&tag=red,blue&tagMode=all&sort=-createdAt', lambda r: {'red', 'blue'} <= set(r['tags']), reverse=True)
    found('&tag=red,none&tagMode=all', lambda r: False)
    found('&owner=team%3Afind1&org=find2', lambda r: (r['owner'], r['orgId']) == ('team:find1', 'find2'))
    for i in (0, 5, 11):
        found(f'&tag=f&createdAfter={made[i]["createdAt"]}', lambda r: r['createdAt'] >= made[i]['createdAt'])
        found(f'&tag=f&createdBefore={made[i]["createdAt"]}', lambda r: r['createdAt'] < made[i]['createdAt'])
    found(f'&tag=f&createdAfter={made[2]["createdAt"]}&createdBefore={made[7]["createdAt"]}',
          lambda r: made[2]['createdAt'] <= r['createdAt'] < made[7]['createdAt'])
    before = '2057-01-01T00:00:00.000Z'
    soon = lambda record: record.get('expiresAt', '9') < before
    found(f'&tag=f&expiresBefore={before}', soon, order=of_expiry)
    found(f'&tag=f&expiresBefore={before}&sort=expiresAt', soon, order=of_expiry)
    found(f'&tag=f&expiresBefore={before}&sort=createdAt', soon)
    found(f'&tag=f&expiresBefore={before}&sort=-createdAt', soon, reverse=True)
    for record in made[:3]:
        found(f'&tag=f&lastFour={record["lastFour"]}', lambda r: r['lastFour'] == record['lastFour'])
    found(f'&tag=f&parent={made[0]["id"]}', lambda r: False)
    found('&tag=f&policy=none', lambda r: False)
    moved = server.expect(200, 'PATCH', f'/v1/keys/{made[4]["id"]}', {'tags': ['f', 'green'], 'expiresAt': '2099-01-01T00:00:00Z'}).json
    made[4] = moved
    found('&tag=green', lambda r: r is moved)
    found('&tag=f&sort=expiresAt', lambda r: 'expiresAt' in r, order=of_expiry)
    server.expect(200, 'POST', f'/v1/keys/{made[1]["id"]}/revoke')
    equal(server.expect(200, 'GET', '/v1/keys/count?tag=f&status=revoked').json, {'count': 1, 'atLeast': False}, 'by status')


def a_key_is_looked_up(server):
    key, record = server.create({'ownerId': 'lookup'})
    answer = server.expect(200, 'POST', '/v1/keys/lookup', {'key': key})
    equal((answer.json, answer.header('ETag')), (record, '"1"'), 'by the key')
    for digest in (server.digest(key), server.digest(key).upper()):
        equal(server.expect(200, 'POST', '/v1/keys/lookup', {'digest': digest}).json, record, 'by its digest')
    revoked = server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke').json
    equal(server.expect(200, 'POST', '/v1/keys/lookup', {'key': key}).json, revoked, 'a revoked key')
    server.expect(204, 'DELETE', f'/v1/keys/{record["id"]}')
    for gone in ({'key': key}, {'digest': server.digest(key)}):
        server.refuse('KEY_NOT_FOUND', 'POST', '/v1/keys/lookup', gone, status=404)


def cursors_stay_right_while_keys_are_added(server):
    before = [server.create({'ownerId': 'cursor'})[1]['id'] for _ in range(7)]
    added = []
    def add():
        time.sleep(0.002)  # the order of ids is that of milliseconds
        if len(added) < 5:
            added.append(server.create({'ownerId': 'cursor'})[1]['id'])
    seen = [record['id'] for record in pages(server, '&ownerId=cursor', 2, between=add)]
    equal(seen, sorted(before) + sorted(added), 'every key once, the new ones last')
    equal(len(added), 5, 'keys that were added meanwhile')


def examples_of_the_description_work(server):
    """Every request that the description shows, sent as it stands but for keys and ids."""
    schemas = server.schemas
    count = 0
    for path, operations in schemas.document['paths'].items():
        for method, operation in operations.items():
            content = operation.get('requestBody', {}).get('content', {}).get('application/json', {})
            examples = [example['value'] for example in content.get('examples', {}).values()]
            examples += [content['example']] if 'example' in content else []
            for example in examples:
                schemas.check(content['schema'], example, f'example of {path}')
                key, record = server.create({'ownerId': '1', 'scopes': ['orders:read'],
                                             'resources': {'website:123': ['write']},
                                             'quota': {'limit': 10000, 'period': 'month'}})
                if path.endswith('/enable'):
                    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/disable')
                for item in example.get('items', [example]):
                    own = {'key': key, 'id': record['id'], 'ids': [record['id']], 'digest': server.digest(key)}
                    item.update({name: value for name, value in own.items() if name in item})
                status = 201 if '201' in operation['responses'] else int(min(operation['responses']))
                name = {'projects': 'shop', 'policies': 'partners', 'templates': 'ci', 'webhooks': 'orders', 'channels': 'team'}.get(path.split('/')[2], '')
                address = path.replace('{id}', record['id']).replace('{name}', name)
                answer = server.expect(status, method.upper(), address, example)
                verdicts = answer.json.get('items', [answer.json]) if 'verify' in path else []
                check(all(verdict['valid'] for verdict in verdicts), f'{path} {example}')
                count += 1
    check(count >= 12, f'only {count} examples')
    for name, schema in schemas.document['components']['schemas'].items():
        for example in schema.get('examples', []):
            schemas.check(schema, example, f'example of {name}')


def answers_shown_in_the_description_fit_it(server):
    for path, operations in server.schemas.document['paths'].items():
        for method, operation in operations.items():
            for status, response in operation['responses'].items():
                for media, content in server.schemas.follow(response).get('content', {}).items():
                    examples = [example['value'] for example in content.get('examples', {}).values()]
                    for example in examples + ([content['example']] if 'example' in content else []):
                        server.schemas.check(content['schema'], example, f'{method} {path} {status} {media}')


def operators_get_their_answers_without_a_key(server):
    equal(server.expect(200, 'GET', '/healthz', key=None).json, {'status': 'ok'}, '/healthz')
    equal(server.expect(200, 'GET', '/readyz', key=None).json, {'ready': True, 'reasons': []}, '/readyz')
    equal(server.expect(200, 'GET', '/openapi.json', key=None).json['openapi'], '3.1.0', '/openapi.json')
    key, record = server.create({'ownerId': 'metrics-owner', 'name': 'metrics-name'})
    before = metrics(server)
    for _ in range(3):
        server.verify(key)
    server.verify('x')
    after = metrics(server)
    def grown(name):
        return after.get(name, 0) - before.get(name, 0)
    equal(grown('keyward_verifications_total{code="VALID"}'), 3, 'verifications')
    equal(grown('keyward_verifications_total{code="INVALID_FORMAT"}'), 1, 'refusals')
    equal(grown('keyward_requests_total{route="POST /v1/keys/verify",class="2xx"}'), 4, 'requests')
    check(after['keyward_index_keys'] > 0, 'keys in the index')
    equal(after['keyward_store_writable'], 1, 'writable')
    text = server.call('GET', '/metrics', key=None).body.decode()
    check(not any(word in text for word in (record['id'], 'metrics-owner', 'metrics-name')), 'names in the metrics')
    for path in ('/healthz', '/readyz', '/metrics', '/openapi.json'):
        server.expect(200, 'HEAD', path, key=None)
        server.expect(200, 'GET', path + '?cache=1', key=None)


def metrics(server):
    """The counters by name and labels; every line must be one of the format's."""
    answer = server.expect(200, 'GET', '/metrics', key=None)
    check(answer.header('Content-Type').startswith('text/plain; version=0.0.4'), 'content type of the metrics')
    values = {}
    for line in answer.body.decode().splitlines():
        if line and not line.startswith(('# HELP ', '# TYPE ')):
            name, _, value = line.rpartition(' ')
            if name in values:
                raise Failed(f'{name} stands twice in the metrics')
            values[name] = float(value)
    return values


def keys_outlive_a_restart(server):
    key, record = server.create({'ownerId': 'restart'})
    gone, lost = server.create({'ownerId': 'restart'})
    server.expect(200, 'POST', f'/v1/keys/{lost["id"]}/revoke')
    server.stop()
    server.start()
    equal(server.verify(key), {'valid': True, 'record': record}, 'the key after a restart')
    equal(server.verify(gone)['code'], 'REVOKED', 'the revoked key after a restart')
    listed = server.expect(200, 'GET', '/v1/keys?ownerId=restart').json['items']
    check(len(listed) == 2 and record in listed, 'the list after a restart')


if __name__ == '__main__':
    sys.exit(main([
        a_key_lives_from_creation_to_erasure, each_change_of_a_state_says_why, a_creation_keeps_every_field,
        an_update_changes_what_it_names,
        a_change_can_name_the_version_it_saw, a_rotation_makes_a_successor, an_expiry_passes, a_grace_period_ends,
        a_grace_period_ends_when_asked, a_grace_period_ends_with_the_first_use, what_a_rotation_keeps,
        verdicts_say_what_is_wrong, a_batch_is_answered_in_its_order, lists_are_filtered,
        lists_are_found_by_everything_that_is_kept, a_key_is_looked_up,
        cursors_stay_right_while_keys_are_added, examples_of_the_description_work,
        answers_shown_in_the_description_fit_it, operators_get_their_answers_without_a_key, keys_outlive_a_restart]))
