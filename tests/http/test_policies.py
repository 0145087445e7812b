"""Policies as documents: kept, listed, changed, refused, each in its project."""

import json
import sys
from datetime import datetime, timedelta

from api_support import check, equal, main

PATH = '/v1/policies'
NDJSON = {'Content-Type': 'application/x-ndjson'}
KEY_ID = 'key_01JD5W3K2M8Q4T6V9X0Z1B3D5F'
WHOLE = {'name': 'whole', 'description': 'For partners.', 'scopes': ['orders:*'], 'resources': {'website:*': ['read']},
         'maxTtl': '90d', 'requireIP': True, 'maxResources': 3, 'environments': ['live'], 'creators': [KEY_ID]}


def policies_are_kept(server):
    made = server.expect(201, 'POST', PATH, WHOLE)
    equal(made.header('Location'), PATH + '/whole', 'address')
    equal({name: made.json[name] for name in WHOLE}, WHOLE, 'what was given')
    narrowed = made.json.pop('narrowed')
    equal(narrowed, {'items': [], 'count': 0, 'exact': True, 'more': False}, 'no key stands under it yet')
    equal(server.expect(200, 'GET', PATH + '/whole').json, made.json, 'read again')
    changed = server.expect(200, 'PATCH', PATH + '/whole', {'maxTtl': '1d', 'creators': None}, headers={'If-Match': '"1"'})
    equal((changed.json['maxTtl'], 'creators' in changed.json, changed.header('ETag')), ('1d', False, '"2"'), 'change')
    server.refuse('VERSION_CONFLICT', 'PATCH', PATH + '/whole', {}, headers={'If-Match': '"1"'})
    server.refuse('ALREADY_EXISTS', 'POST', PATH, WHOLE, field='name')
    server.expect(204, 'DELETE', PATH + '/whole')
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/whole', status=404)
    server.refuse('POLICY_NOT_FOUND', 'DELETE', PATH + '/whole')
    server.expect(201, 'POST', PATH, {'name': 'whole'})


def policies_belong_to_a_project(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'other'})
    server.expect(201, 'POST', PATH, {'name': 'here'})
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/here', headers={'Keyward-Project': 'other'})
    equal(server.expect(200, 'GET', PATH, headers={'Keyward-Project': 'other'}).json, {'items': []}, 'of another project')
    server.expect(201, 'POST', PATH, {'name': 'here', 'maxResources': 0}, headers={'Keyward-Project': 'other'})
    server.expect(204, 'DELETE', '/v1/projects/other')
    equal('maxResources' in server.expect(200, 'GET', PATH + '/here').json, False, 'its own')


def what_a_policy_says_is_checked(server):
    for settings, code, field in [
            ({'scopes': ['no scope']}, 'INVALID_FIELD', 'scopes[0]'), ({'scopes': 'read'}, 'INVALID_FIELD', 'scopes'),
            ({'resources': {'website': ['read']}}, 'INVALID_FIELD', 'resources.website'),
            ({'resources': {'website:1': []}}, 'INVALID_FIELD', 'resources.website:1'),
            ({'maxTtl': 7}, 'INVALID_FIELD', 'maxTtl'), ({'requireIP': 'yes'}, 'INVALID_FIELD', 'requireIP'),
            ({'maxResources': 65}, 'INVALID_FIELD', 'maxResources'), ({'maxResources': -1}, 'INVALID_FIELD', 'maxResources'),
            ({'environments': []}, 'INVALID_FIELD', 'environments'),
            ({'environments': ['x' * 33]}, 'INVALID_FIELD', 'environments[0]'),
            ({'creators': ['user:1']}, 'INVALID_FIELD', 'creators[0]'),
            ({'creators': [KEY_ID] * 65}, 'INVALID_FIELD', 'creators'),
            ({'owner': 'user:1'}, 'UNKNOWN_FIELD', 'owner'), ({'number': 1}, 'CANNOT_CHANGE_FIELD', 'number'),
            ({'name': 'a b'}, 'INVALID_FIELD', 'name'), ({'name': ''}, 'INVALID_FIELD', 'name')]:
        server.refuse(code, 'POST', PATH, {'name': 'bad', **settings}, field=field)
    check('bad' not in [item['name'] for item in server.expect(200, 'GET', PATH).json['items']], 'it was made')


def only_who_may_changes_policies(server):
    server.expect(201, 'POST', PATH, {'name': 'guarded'})
    reader, _ = server.manager('policies:read')
    writer, _ = server.manager('policies:update')
    server.expect(200, 'GET', PATH + '/guarded', key=reader)
    server.refuse('FORBIDDEN', 'PATCH', PATH + '/guarded', {}, key=reader)
    server.refuse('FORBIDDEN', 'POST', PATH, {'name': 'x'}, key=reader)
    server.refuse('FORBIDDEN', 'DELETE', PATH + '/guarded', key=reader)
    server.refuse('FORBIDDEN', 'GET', PATH, key=writer)
    server.expect(200, 'PATCH', PATH + '/guarded', {'maxTtl': '1d'}, key=writer)
    server.expect(204, 'DELETE', PATH + '/guarded', key=writer)


def new_key(server, policy, /, **more):
    return server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', 'policy': policy, **more}).json['record']


def lifetime(record):
    times = [datetime.fromisoformat(record[name].replace('Z', '+00:00')) for name in ('createdAt', 'expiresAt')]
    return times[1] - times[0]


def a_key_gets_what_its_policy_gives(server):
    server.expect(201, 'POST', PATH, {'name': 'giving', 'scopes': ['orders:*'], 'maxTtl': '30d'})
    record = new_key(server, 'giving')
    equal((record['policy'], record['scopes'], lifetime(record)), ('giving', ['orders:*'], timedelta(days=30)), 'given by it')
    record = new_key(server, 'giving', scopes=['orders:read'], expiresIn='1d')
    equal((record['scopes'], lifetime(record)), (['orders:read'], timedelta(days=1)), 'its own')
    equal(new_key(server, 'giving', scopes=[])['scopes'], [], 'none of its own')
    server.expect(200, 'PATCH', PATH + '/giving', {'resources': {'website:*': ['read']}})
    record = new_key(server, 'giving', resources={'website:1': ['read']})
    equal((record['scopes'], record['resources']), ([], {'website:1': ['read']}), 'resources alone are all that it asked for')
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'policy': 'nobody'}, field='policy', status=400)
    parent = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', 'expiresIn': '1h', 'scopes': ['*']}).json['record']
    child = server.expect(201, 'POST', '/v1/keys', {'parentId': parent['id'], 'policy': 'giving'}).json['record']
    equal(child['expiresAt'], parent['expiresAt'], 'an expiry that nobody asked for')


def a_creation_keeps_within_its_policy(server):
    server.expect(201, 'POST', PATH, {'name': 'narrow', 'scopes': ['orders:*'], 'resources': {'website:*': ['read']}, 'maxTtl': '1d',
                                      'requireIP': True, 'maxResources': 1, 'environments': ['live']})
    good = {'ownerId': '1', 'policy': 'narrow', 'allowedIPs': ['192.0.2.1']}
    for more, field in [({'scopes': ['users:read']}, 'scopes'), ({'resources': {'website:1': ['write']}}, 'resources'),
                        ({'resources': {'website:1': ['read'], 'website:2': ['read']}}, 'resources'),
                        ({'expiresIn': '2d'}, 'expiresAt'), ({'expiresAt': '2090-01-01T00:00:00Z'}, 'expiresAt'),
                        ({'env': 'test'}, 'env'), ({'allowedIPs': []}, 'allowedIPs')]:
        server.refuse('POLICY_VIOLATION', 'POST', '/v1/keys', {**good, **more}, field=field, status=403)
    record = server.expect(201, 'POST', '/v1/keys', {**good, 'resources': {'website:1': ['read']}}).json['record']
    equal(record['policy'], 'narrow', 'within it')
    answer = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': [{**good, 'scopes': ['users:read']}, good]})
    equal([item.get('code') for item in answer.json['items']], ['POLICY_VIOLATION', None], 'in a batch')


def changes_keep_within_the_policy(server):
    server.expect(201, 'POST', PATH, {'name': 'kept', 'scopes': ['orders:*', 'users:*']})
    record = new_key(server, 'kept', scopes=['orders:read'])
    path = f'/v1/keys/{record["id"]}'
    server.refuse('POLICY_VIOLATION', 'PATCH', path, {'scopes': ['admin']}, field='scopes')
    equal(server.expect(200, 'PATCH', path, {'scopes': ['users:read']}).json['scopes'], ['users:read'], 'within it')
    said = server.refuse('CANNOT_CHANGE_FIELD', 'POST', path + '/rotate', {'policy': 'kept'}, field='policy')['detail']
    check('update the key' in said, said)
    server.expect(200, 'PATCH', PATH + '/kept', {'scopes': ['orders:*']})
    server.refuse('POLICY_VIOLATION', 'PATCH', path, {'name': 'x'}, field='scopes')
    server.refuse('POLICY_VIOLATION', 'POST', path + '/rotate', {}, field='scopes')
    server.expect(200, 'POST', path + '/disable', {})
    server.refuse('POLICY_IN_USE', 'DELETE', PATH + '/kept', status=409)
    equal('policy' in server.expect(200, 'PATCH', path, {'policy': None, 'scopes': ['admin']}).json, False, 'freed')


def names(answer):
    """{name: fields} of the keys that a change narrows."""
    return {item['name']: item['fields'] for item in answer.json['narrowed']['items']}


def statuses(record):
    return record['status'], record.get('effectiveStatus')


def seen_as_expired(server, key_id):
    """Wherever a key is shown that has outlived its policy, and in what lists and counts go by."""
    path = f'/v1/keys/{key_id}'
    equal(statuses(server.expect(200, 'GET', path).json), ('active', 'expired'), 'read')
    equal(statuses(server.expect(200, 'POST', path + '/disable').json), ('disabled', 'expired'), 'disabled')
    equal(statuses(server.expect(200, 'POST', path + '/enable').json), ('active', 'expired'), 'enabled')
    for status, is_there in (('expired', True), ('active', False), (None, True)):
        query = f'policy=live{"" if status is None else "&status=" + status}'
        found = server.expect(200, 'GET', f'/v1/keys?limit=1000&{query}').json['items']
        equal([statuses(one) for one in found if one['id'] == key_id], [('active', 'expired')] * is_there, f'listed by {status}')
        equal(server.expect(200, 'GET', '/v1/keys/count?' + query).json['count'], len(found), f'counted by {status}')


def a_change_narrows_the_keys_under_it(server):
    server.expect(201, 'POST', PATH, {'name': 'live', 'scopes': ['orders:*', 'users:*']})
    wide, _ = server.create({'policy': 'live', 'name': 'wide', 'scopes': ['orders:read', 'users:read']})
    slim, _ = server.create({'policy': 'live', 'name': 'slim', 'scopes': ['orders:read'], 'allowedIPs': ['10.0.0.0/8']})
    gone, record = server.create({'policy': 'live', 'name': 'gone', 'scopes': ['users:read']})
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', {})
    change = {'scopes': ['orders:*'], 'requireIP': True}
    dry = server.expect(200, 'PATCH', PATH + '/live?dryRun=true', change)
    equal((dry.json['dryRun'], dry.json['scopes'], dry.json['version'], dry.header('ETag')), (True, ['orders:*'], 2, '"1"'), 'a dry run')
    equal(names(dry), {'wide': ['allowedIPs', 'scopes']}, 'keys that it would narrow')
    equal(server.expect(200, 'GET', PATH + '/live').json['version'], 1, 'nothing was changed')
    check(server.verify(wide, scopes=['users:read'])['valid'], 'nothing was changed')
    done = server.expect(200, 'PATCH', PATH + '/live', change, headers={'If-Match': dry.header('ETag')})
    equal((done.json['narrowed'], 'dryRun' in done.json), (dry.json['narrowed'], False), 'the same as before')
    verdict = server.verify(wide)
    equal((verdict['code'], verdict['field'], verdict['refusedByPolicy']), ('POLICY_VIOLATION', 'allowedIPs', 'live'), 'no addresses')
    check(server.verify(slim, ip='10.0.0.1', scopes=['orders:read'])['valid'], 'what keeps within it')
    again = server.expect(200, 'PATCH', PATH + '/live', {'requireIP': None, 'maxTtl': '1h'})
    equal(names(again), {'wide': ['expiresAt'], 'slim': ['expiresAt']}, 'by what this change takes')
    check(server.verify(wide, scopes=['orders:read'])['valid'], 'what the policy leaves')
    verdict = server.verify(wide, scopes=['orders:read', 'users:read'], dryRun=True)
    equal((verdict['code'], verdict['missing'], verdict['refusedByPolicy']), ('INSUFFICIENT_SCOPE', 'users:read', 'live'), 'what it took')
    server.expect(200, 'PATCH', PATH + '/live', {'maxTtl': '1ms'})
    verdict = server.verify(slim, ip='10.0.0.1')
    equal((verdict['code'], statuses(verdict['record'])), ('EXPIRED', ('active', 'expired')), 'an old key')
    seen_as_expired(server, verdict['record']['id'])
    equal(server.expect(200, 'PATCH', PATH + '/live', {'maxTtl': None, 'scopes': None}).json['narrowed']['count'], 0, 'of a wider one')
    check(server.verify(wide, scopes=['users:read'])['valid'], 'given back')
    equal(server.verify(gone)['code'], 'REVOKED', 'a revoked key')


def a_rotation_shows_each_key_as_its_own_policy_has_it(server):
    """The old key has outlived what the new one has before it."""
    server.expect(201, 'POST', PATH, {'name': 'short'})
    line = {'key': 'elder_Zx81kQp0a7Lw2mRt', 'ownerId': '1', 'createdAt': '2025-01-31T12:00:00.000Z', 'policy': 'short', 'prefix': 'elder_'}
    equal(server.expect(200, 'POST', '/v1/import?prefix=elder_', json.dumps(line).encode(), headers=NDJSON).json['created'], 1, 'imported')
    elder = server.verify(line['key'])['record']
    equal(statuses(elder), ('active', None), 'before')
    server.expect(200, 'PATCH', PATH + '/short', {'maxTtl': '1d'})
    made = server.expect(201, 'POST', f'/v1/keys/{elder["id"]}/rotate', {'gracePeriod': '1h', 'expiresIn': '12h'}).json
    equal((statuses(made['record']), statuses(made['previous'])), (('active', None), ('active', 'expired')), 'new and old')
    check(server.verify(made['key'])['valid'], 'the new key')
    equal(server.verify(line['key'])['code'], 'EXPIRED', 'the old key')


def of_many_keys_the_first_hundred_are_named(server):
    server.expect(201, 'POST', PATH, {'name': 'crowd'})
    made = server.expect(200, 'POST', '/v1/keys/batch/create', {
        'items': [{'ownerId': '1', 'policy': 'crowd', 'scopes': ['orders:read']} for _ in range(101)]}).json['items']
    narrowed = server.expect(200, 'PATCH', PATH + '/crowd?dryRun=true', {'scopes': ['users:read']}).json['narrowed']
    equal([item['id'] for item in narrowed['items']], [item['record']['id'] for item in made[:100]], 'the oldest')
    equal((narrowed['count'], narrowed['exact'], narrowed['more']), (101, True, True), 'and how many there are')


def a_parent_is_bound_with_its_policy(server):
    server.expect(201, 'POST', PATH, {'name': 'family'})
    _, parent = server.create({'policy': 'family', 'scopes': ['orders:*']})
    child, record = server.create({'parentId': parent['id'], 'scopes': ['orders:read']})
    _, below = server.create({'parentId': record['id'], 'scopes': ['orders:read'], 'name': 'third'})
    server.create({'parentId': parent['id'], 'scopes': ['orders:write']})
    dry = server.expect(200, 'PATCH', PATH + '/family?dryRun=true', {'scopes': ['orders:write']}).json['narrowed']
    equal(dry, {'items': [{'id': parent['id'], 'fields': ['scopes']},
                          {'id': record['id'], 'ancestorId': parent['id'], 'fields': ['scopes']},
                          {'id': below['id'], 'name': 'third', 'ancestorId': parent['id'], 'fields': ['scopes']}],
                'count': 3, 'exact': True, 'more': False}, 'with its descendants')
    check(server.verify(child, scopes=['orders:read'])['valid'], 'nothing was changed')
    equal(server.expect(200, 'PATCH', PATH + '/family', {'scopes': ['orders:write']}).json['narrowed'], dry, 'the same as before')
    verdict = server.verify(child, scopes=['orders:read'])
    equal((verdict['code'], verdict['refusedBy'], verdict['refusedByPolicy']), ('INSUFFICIENT_SCOPE', parent['id'], 'family'), 'a child')


def a_policy_with_keys_stays(server):
    server.expect(201, 'POST', PATH, {'name': 'stays'})
    _, first = server.create({'policy': 'stays'})
    _, second = server.create({'policy': 'stays'})
    for query in ('', '?dryRun=true'):
        answer = server.refuse('POLICY_IN_USE', 'DELETE', PATH + '/stays' + query, status=409)
        check('2 keys' in answer['detail'], answer)
    server.expect(200, 'POST', f'/v1/keys/{first["id"]}/revoke', {})
    server.expect(200, 'PATCH', f'/v1/keys/{second["id"]}', {'policy': None})
    server.expect(204, 'DELETE', PATH + '/stays?dryRun=true')
    server.expect(200, 'GET', PATH + '/stays')
    server.expect(204, 'DELETE', PATH + '/stays')
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/stays')
    for query, code in (('dryRun=1', 'INVALID_FIELD'), ('dryRun=true&dryRun=true', 'DUPLICATE_FIELD')):
        server.refuse(code, 'POST', f'{PATH}?{query}', {'name': 'never'}, field='dryRun')
    equal(server.expect(200, 'POST', PATH + '?dryRun=true', {'name': 'never'}).json['dryRun'], True, 'a new one')
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/never')


def its_creators_bring_keys_under_it(server):
    maker, maker_record = server.manager('keys:*')
    other, _ = server.manager('keys:*')
    server.expect(201, 'POST', PATH, {'name': 'closed', 'creators': [maker_record['id']]})
    body = {'ownerId': '1', 'policy': 'closed'}
    server.refuse('POLICY_VIOLATION', 'POST', '/v1/keys', body, field='policy', key=other)
    record = server.expect(201, 'POST', '/v1/keys', body, key=maker).json['record']
    equal(server.expect(200, 'PATCH', f'/v1/keys/{record["id"]}', {'name': 'x'}, key=other).json['name'], 'x', 'a change')
    record = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1'}, key=other).json['record']
    server.refuse('POLICY_VIOLATION', 'PATCH', f'/v1/keys/{record["id"]}', {'policy': 'closed'}, field='policy', key=other)
    server.expect(200, 'PATCH', f'/v1/keys/{record["id"]}', {'policy': 'closed'}, key=maker)


if __name__ == '__main__':
    sys.exit(main([policies_are_kept, policies_belong_to_a_project, what_a_policy_says_is_checked,
                   only_who_may_changes_policies, a_key_gets_what_its_policy_gives, a_creation_keeps_within_its_policy,
                   changes_keep_within_the_policy, a_change_narrows_the_keys_under_it, a_rotation_shows_each_key_as_its_own_policy_has_it,
                   of_many_keys_the_first_hundred_are_named, a_parent_is_bound_with_its_policy,
                   a_policy_with_keys_stays, its_creators_bring_keys_under_it]))
