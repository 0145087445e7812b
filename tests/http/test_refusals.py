"""Bad input to the built program: each with its own clear error that names the field, and nothing changed by any."""

import json
import sys

from api_support import check, equal, main, quote
from test_routes import UNKNOWN_ID

LONG_NAME = 'sk_live_0123456789abcdefghijABCDEFGHIJ01abcdef'

# A body of POST /v1/keys beside {"ownerId": "1"}, the code, the field.
BAD_FIELDS = [
    ({'nane': 'x'}, 'UNKNOWN_FIELD', 'nane'),
    ({'key': 'sk_live_x'}, 'UNKNOWN_FIELD', 'key'),
    ({'id': UNKNOWN_ID}, 'UNKNOWN_FIELD', 'id'),
    ({'version': 1}, 'UNKNOWN_FIELD', 'version'),
    ({'ip': '::1'}, 'UNKNOWN_FIELD', 'ip'),
    ({LONG_NAME: 1}, 'UNKNOWN_FIELD', ''),
    ({'gracePeriod': '1d'}, 'UNKNOWN_FIELD', 'gracePeriod'),
    ({'ownerId': 1}, 'INVALID_FIELD', 'ownerId'),
    ({'ownerId': ''}, 'INVALID_FIELD', 'ownerId'),
    ({'ownerId': 'a\nb'}, 'INVALID_FIELD', 'ownerId'),
    ({'ownerId': 'a' * 124}, 'INVALID_FIELD', 'ownerId'),
    ({'ownerId': 'ä' * 62}, 'INVALID_FIELD', 'ownerId'),
    ({'name': 'a' * 129}, 'INVALID_FIELD', 'name'),
    ({'name': 'a\tb'}, 'INVALID_FIELD', 'name'),
    ({'name': ['a']}, 'INVALID_FIELD', 'name'),
    ({'name': True}, 'INVALID_FIELD', 'name'),
    ({'name': None}, 'INVALID_FIELD', 'name'),
    ({'description': 'a' * 1025}, 'INVALID_FIELD', 'description'),
    ({'description': 'a\x07'}, 'INVALID_FIELD', 'description'),
    ({'orgId': 'a' * 129}, 'INVALID_FIELD', 'orgId'),
    ({'env': 'nowhere'}, 'INVALID_FIELD', 'env'),
    ({'env': 'LIVE'}, 'INVALID_FIELD', 'env'),
    ({'env': ''}, 'INVALID_FIELD', 'env'),
    ({'env': 'a' * 33}, 'INVALID_FIELD', 'env'),
    ({'isPublic': 'yes'}, 'INVALID_FIELD', 'isPublic'),
    ({'isPublic': 1}, 'INVALID_FIELD', 'isPublic'),
    ({'tags': 'a'}, 'INVALID_FIELD', 'tags'),
    ({'tags': {'a': 1}}, 'INVALID_FIELD', 'tags'),
    ({'tags': ['ok', 'a' * 65]}, 'INVALID_FIELD', 'tags[1]'),
    ({'tags': ['a b']}, 'INVALID_FIELD', 'tags[0]'),
    ({'tags': ['a', 'b', None]}, 'INVALID_FIELD', 'tags[2]'),
    ({'tags': [f't{i}' for i in range(33)]}, 'INVALID_FIELD', 'tags'),
    ({'scopes': 'read'}, 'INVALID_FIELD', 'scopes'),
    ({'scopes': ['read orders']}, 'INVALID_FIELD', 'scopes[0]'),
    ({'scopes': ['a', '']}, 'INVALID_FIELD', 'scopes[1]'),
    ({'scopes': ['a:']}, 'INVALID_FIELD', 'scopes[0]'),
    ({'scopes': ['*:a']}, 'INVALID_FIELD', 'scopes[0]'),
    ({'scopes': ['a' * 129]}, 'INVALID_FIELD', 'scopes[0]'),
    ({'scopes': [f's{i}' for i in range(129)]}, 'INVALID_FIELD', 'scopes'),
    ({'resources': ['website:1']}, 'INVALID_FIELD', 'resources'),
    ({'resources': {'website': ['read']}}, 'INVALID_FIELD', 'resources.website'),
    ({'resources': {'Website:1': ['read']}}, 'INVALID_FIELD', 'resources.Website:1'),
    ({'resources': {'w:1': ['read'], 'web site': ['read']}}, 'INVALID_FIELD', 'resources.web site'),
    ({'resources': {'website:1': 'read'}}, 'INVALID_FIELD', 'resources.website:1'),
    ({'resources': {'website:1': ['a b']}}, 'INVALID_FIELD', 'resources.website:1[0]'),
    ({'resources': {'website:1': []}}, 'INVALID_FIELD', 'resources.website:1'),
    ({'resources': {f'w:{i}': ['r'] for i in range(65)}}, 'INVALID_FIELD', 'resources'),
    ({'resources': {'w:' + 'a' * 127: ['r']}}, 'INVALID_FIELD', None),
    ({'metadata': 'x'}, 'INVALID_FIELD', 'metadata'),
    ({'metadata': [1]}, 'INVALID_FIELD', 'metadata'),
    ({'metadata': {'a': 'x' * 8185}}, 'INVALID_FIELD', 'metadata'),
    ({'metadata': json.loads('{"a":' * 17 + '1' + '}' * 17)}, 'INVALID_FIELD', 'metadata'),
    ({'expiresIn': '90'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': '-1d'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': '0s'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': '1.5h'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': '101y'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': 'never'}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': 3600}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresIn': None}, 'INVALID_FIELD', 'expiresIn'),
    ({'expiresAt': '2020-01-01T00:00:00Z'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '1970-01-01T00:00:00Z'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '2099-02-30T00:00:00Z'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '2099-01-01'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '2099-01-01T00:00:00'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '10000-01-01T00:00:00Z'}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': 4070908800}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': ''}, 'INVALID_FIELD', 'expiresAt'),
    ({'expiresAt': '2099-01-01T00:00:00Z', 'expiresIn': '1d'}, 'INVALID_FIELD', 'expiresIn'),
]

# Bodies of POST /v1/keys as bytes.
BAD_JSON = [
    (b'', 'INVALID_JSON'), (b' ', 'INVALID_JSON'), (b'{', 'INVALID_JSON'), (b'{"ownerId":"1"', 'INVALID_JSON'),
    (b'{"ownerId":"1"}}', 'INVALID_JSON'), (b'{"ownerId":"1"} {}', 'INVALID_JSON'), (b"{'ownerId':'1'}", 'INVALID_JSON'),
    (b'{"ownerId":"1",}', 'INVALID_JSON'), (b'{"ownerId":01}', 'INVALID_JSON'), (b'{"ownerId":NaN}', 'INVALID_JSON'),
    (b'\xef\xbb\xbf{"ownerId":"1"}', 'INVALID_JSON'), (b'{"ownerId":"1","name":"\xff"}', 'INVALID_JSON'),
    (b'{"ownerId":"1","name":"\xc0\x80"}', 'INVALID_JSON'), (b'{"ownerId":"1","name":"\xed\xa0\x80"}', 'INVALID_JSON'),
    (b'{"ownerId":"1","name":"\\ud800"}', 'INVALID_JSON'), (b'{"ownerId":"1","name":"\\u0000"}', 'INVALID_JSON'),
    (b'{"ownerId":"1","name":"a\x00b"}', 'INVALID_JSON'), (b'{"ownerId":"1"\x00}', 'INVALID_JSON'),
    (b'{"ownerId":"1","name":"a\nb"}', 'INVALID_JSON'), (b'{"ownerId":"1","metadata":{"a":1e999}}', 'INVALID_JSON'),
    (b'{"ownerId":"1","metadata":' + b'{"a":' * 40 + b'1' + b'}' * 40 + b'}', 'INVALID_JSON'),
    (b'[' * 100000, 'INVALID_REQUEST'), (b'[{"ownerId":"1"}]', 'INVALID_REQUEST'), (b'"ownerId"', 'INVALID_REQUEST'),
    (b'null', 'INVALID_REQUEST'), (b'{"ownerId":"1","ownerId":"1"}', 'DUPLICATE_FIELD'),
    (b'{"ownerId":"1","name":"a","name":"a"}', 'DUPLICATE_FIELD'),
    (b'{"ownerId":"1","name":"a","n\\u0061me":"b"}', 'DUPLICATE_FIELD'),
    (b'{"ownerId":"1","metadata":{"a":1,"a":1}}', 'INVALID_JSON'),
    (b'{"ownerId":"1","resources":{"w:1":["a"],"w:1":["b"]}}', 'DUPLICATE_FIELD'),
    (b'{}', 'MISSING_FIELD'), (b'{"ownerId":"1","owner":"team:1"}', 'INVALID_FIELD'),
    (b'{"ownerId":"1","x":"' + b'y' * 1200000 + b'"}', 'BODY_TOO_LARGE'),
]


def bad_creations_make_no_key(server):
    before = server.everything()
    for body, code, field in BAD_FIELDS:
        problem = server.refuse(code, 'POST', '/v1/keys', {'ownerId': '1', **body}, field=field, status=400)
        check(LONG_NAME not in json.dumps(problem), 'what might be a key is repeated')
    for owner in ('bob', 'robot:1', 'team:', ':1', 'team', 'TEAM:1', 'user:' + 'a' * 124, 7, None):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'owner': owner}, field='owner')
    equal(server.everything(), before, 'keys after all these')


def bad_json_makes_no_key(server):
    before = server.everything()
    for body, code in BAD_JSON:
        problem = server.refuse(code, 'POST', '/v1/keys', body)
        if code == 'INVALID_JSON' and body:
            check('byte' in problem['detail'], f'{body[:60]!r}: {problem["detail"]} names no byte')
    equal(server.everything(), before, 'keys after all these')


def a_body_must_say_that_it_is_json(server):
    body = b'{"ownerId":"1"}'
    for kind in ('text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'json', ''):
        server.refuse('UNSUPPORTED_MEDIA_TYPE', 'POST', '/v1/keys', body, status=415, headers={'Content-Type': kind})
    server.refuse('UNSUPPORTED_MEDIA_TYPE', 'POST', '/v1/keys', body, headers={'Content-Type': None})
    for kind in ('application/json', 'application/json; charset=utf-8', 'Application/JSON ;charset=UTF-8'):
        server.expect(201, 'POST', '/v1/keys', body, headers={'Content-Type': kind})


def bad_changes_change_nothing(server):
    _, record = server.create({'ownerId': '1', 'name': 'as it was', 'scopes': ['read'], 'expiresIn': '1d'})
    path = f'/v1/keys/{record["id"]}'
    for body, code, field in BAD_FIELDS:
        if field in ('ownerId', 'isPublic', 'gracePeriod', 'env') or body in ({'name': None},):
            continue  # those that an update refuses for another reason, or takes
        server.refuse(code, 'PATCH', path, {'description': 'changed', **body}, field=field, status=400)
        if field not in ('orgId',):
            server.refuse(code, 'POST', path + '/rotate', {'description': 'changed', **body}, field=field, status=400)
    for body in (b'', b'{', b'{"name":"x","name":"y"}', b'{"name":"x"}}'):
        check(server.call('PATCH', path, body).status == 400, f'{body!r} is refused')
    server.refuse('INVALID_FIELD', 'POST', path + '/rotate', {'gracePeriod': 'soon'}, field='gracePeriod')
    server.refuse('INVALID_FIELD', 'POST', path + '/rotate', {'gracePeriod': 60}, field='gracePeriod')
    for action in ('revoke', 'disable', 'enable'):
        server.refuse('INVALID_FIELD', 'POST', f'{path}/{action}', {'reason': 'a' * 257}, field='reason')
        server.refuse('INVALID_FIELD', 'POST', f'{path}/{action}', {'reason': 'a\x01'}, field='reason')
        server.refuse('INVALID_FIELD', 'POST', f'{path}/{action}', {'reason': 7}, field='reason')
        server.refuse('UNKNOWN_FIELD', 'POST', f'{path}/{action}', {'cause': 'x'}, field='cause')
        server.refuse('UNSUPPORTED_MEDIA_TYPE', 'POST', f'{path}/{action}', b'{}', headers={'Content-Type': 'text/html'})
        server.refuse('INVALID_JSON', 'POST', f'{path}/{action}', b'reason')
    server.refuse('UNKNOWN_FIELD', 'POST', path + '/enable', {'cascade': False}, field='cascade')
    server.refuse('INVALID_REQUEST', 'DELETE', path, b'{}')
    server.refuse('INVALID_REQUEST', 'GET', path, b'{}')
    equal(server.expect(200, 'GET', path).json, record, 'the record after all these')


def bad_questions_are_refused(server):
    key, _ = server.create()
    for body, code, field in [
            ({}, 'MISSING_FIELD', 'key'), ({'key': 1}, 'INVALID_FIELD', 'key'), ({'key': None}, 'INVALID_FIELD', 'key'),
            ({'key': key, 'scope': 'x'}, 'UNKNOWN_FIELD', 'scope'), ({'key': key, 'ip': '::1%eth0'}, 'INVALID_FIELD', 'ip'),
            ({'key': key, 'ip': '127.1'}, 'INVALID_FIELD', 'ip'), ({'key': key, 'ip': '010.0.0.1'}, 'INVALID_FIELD', 'ip'),
            ({'key': key, 'ip': '10.0.0.0/8'}, 'INVALID_FIELD', 'ip'), ({'key': key, 'ip': 7}, 'INVALID_FIELD', 'ip'),
            ({'key': key, 'geo': {}}, 'MISSING_FIELD', 'geo.country'),
            ({'key': key, 'geo': {'country': 'us'}}, 'INVALID_FIELD', 'geo'),
            ({'key': key, 'geo': {'country': 'EU'}}, 'INVALID_FIELD', 'geo'),
            ({'key': key, 'geo': {'country': 'US', 'region': 'DE-BY'}}, 'INVALID_FIELD', 'geo'),
            ({'key': key, 'geo': {'country': 'US', 'city': 'x'}}, 'UNKNOWN_FIELD', 'geo.city'),
            ({'key': key, 'require': 'read AND'}, 'INVALID_FIELD', 'require'),
            ({'key': key, 'require': '(' * 9 + 'a' + ')' * 9}, 'INVALID_FIELD', 'require'),
            ({'key': key, 'require': 'a or b'}, 'INVALID_FIELD', 'require'),
            ({'key': key, 'dryRun': 'yes'}, 'INVALID_FIELD', 'dryRun'),
            ({'key': key, 'price': 1}, 'UNKNOWN_FIELD', 'price'), ({key: key}, 'UNKNOWN_FIELD', ''),
            ({'key': key, 'scopes': 'x'}, 'INVALID_FIELD', 'scopes'),
            ({'key': key, 'scopes': ['a b']}, 'INVALID_FIELD', 'scopes[0]'),
            ({'key': key, 'env': ''}, 'INVALID_FIELD', 'env'), ({'key': key, 'env': 7}, 'INVALID_FIELD', 'env'),
            ({'key': key, 'resource': 'w:1'}, 'INVALID_FIELD', 'resource'),
            ({'key': key, 'resource': {}}, 'MISSING_FIELD', 'resource.type'),
            ({'key': key, 'resource': {'type': 'w'}}, 'MISSING_FIELD', 'resource.id'),
            ({'key': key, 'resource': {'type': 'w', 'id': '1', 'scopes': [1]}}, 'INVALID_FIELD', 'resource.scopes[0]'),
            ({'key': key, 'resource': {'type': 'w', 'id': '1', 'more': 1}}, 'UNKNOWN_FIELD', 'resource.more')]:
        server.refuse(code, 'POST', '/v1/keys/verify', body, field=field, status=400)
        if body.keys() <= {'key', 'scopes', 'env', 'resource', 'ip', 'geo', 'require', 'dryRun'}:
            items = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [{'key': ''}, body]}).json['items']
            equal((items[1]['valid'], items[1]['code'], items[1]['field']), (False, code, field), str(body))
    for body, code, field in [({}, 'MISSING_FIELD', 'items'), ({'items': None}, 'INVALID_FIELD', 'items'),
                              ({'items': ['x'], 'x': 1}, 'UNKNOWN_FIELD', 'x'),
                              ({'items': [], 'atomic': True}, 'UNKNOWN_FIELD', 'atomic')]:
        server.refuse(code, 'POST', '/v1/keys/batch/verify', body, field=field, status=400)


def bad_queries_are_refused(server):
    for query, code, field in [
            ('tags=a', 'UNKNOWN_FIELD', 'tags'), ('tag=a&tag=b', 'DUPLICATE_FIELD', 'tag'), ('tag=', 'INVALID_FIELD', 'tag'),
            ('tag=' + 'a' * 65, 'INVALID_FIELD', 'tag'), ('tag=%zz', 'INVALID_FIELD', 'tag'),
            ('tag=%00', 'INVALID_FIELD', 'tag'), ('tag=%ff', 'INVALID_FIELD', 'tag'), ('tag=%', 'INVALID_FIELD', 'tag'),
            ('owner=bob', 'INVALID_FIELD', 'owner'), ('owner=team:1&ownerId=1', 'INVALID_FIELD', 'owner'),
            ('status=gone', 'INVALID_FIELD', 'status'), ('env=nowhere', 'INVALID_FIELD', 'env'),
            ('limit=0', 'INVALID_FIELD', 'limit'), ('limit=1001', 'INVALID_FIELD', 'limit'),
            ('limit=ten', 'INVALID_FIELD', 'limit'), ('limit=-1', 'INVALID_FIELD', 'limit'),
            ('cursor=x', 'INVALID_FIELD', 'cursor'), ('cursor=' + 'z' * 30, 'INVALID_FIELD', 'cursor'),
            ('cursor=key_' + 'Z' * 26, 'INVALID_FIELD', 'cursor'), ('q=' + 'a' * 129, 'INVALID_FIELD', 'q'),
            ('tag=a,', 'INVALID_FIELD', 'tag'), ('tag=,a', 'INVALID_FIELD', 'tag'), ('tag=a,,b', 'INVALID_FIELD', 'tag'),
            ('tag=' + ','.join('abcdefghijklmnopqrstuvwxyz0123456'), 'INVALID_FIELD', 'tag'),
            ('tag=a,' + 'b' * 65, 'INVALID_FIELD', 'tag'), ('tag=' + 'a' * 2080, 'INVALID_FIELD', 'tag'),
            ('tagMode=some&tag=a', 'INVALID_FIELD', 'tagMode'), ('tagMode=', 'INVALID_FIELD', 'tagMode'),
            ('lastFour=abc', 'INVALID_FIELD', 'lastFour'), ('lastFour=abcde', 'INVALID_FIELD', 'lastFour'),
            ('parent=x', 'INVALID_FIELD', 'parent'), ('parent=key_' + '0' * 26, 'INVALID_FIELD', 'parent'),
            ('policy=', 'INVALID_FIELD', 'policy'), ('policy=' + 'a' * 65, 'INVALID_FIELD', 'policy'),
            ('createdAfter=yesterday', 'INVALID_FIELD', 'createdAfter'),
            ('createdAfter=2031-02-29T00:00:00Z', 'INVALID_FIELD', 'createdAfter'),
            ('createdBefore=2031-01-31', 'INVALID_FIELD', 'createdBefore'),
            ('expiresBefore=1', 'INVALID_FIELD', 'expiresBefore'), ('usedBefore=2031-01-31', 'INVALID_FIELD', 'usedBefore'),
            ('usedAfter=1', 'INVALID_FIELD', 'usedAfter'), ('lastUsed=2031-01-31T00:00:00Z', 'UNKNOWN_FIELD', 'lastUsed')]:
        server.refuse(code, 'GET', f'/v1/keys?{query}', field=field, status=400)
        if field not in ('limit', 'cursor'):
            server.refuse(code, 'GET', f'/v1/keys/count?{query}', field=field, status=400)
    for query, code, field in [('sort=name', 'INVALID_FIELD', 'sort'), ('sort=', 'INVALID_FIELD', 'sort'),
                               ('sort=-expiresAt', 'INVALID_FIELD', 'sort')]:
        server.refuse(code, 'GET', f'/v1/keys?{query}', field=field, status=400)
    for query in ('sort=createdAt', 'limit=1', f'cursor={UNKNOWN_ID}'):
        server.refuse('UNKNOWN_FIELD', 'GET', f'/v1/keys/count?{query}', field=query.split('=')[0], status=400)
    server.refuse('UNKNOWN_FIELD', 'POST', '/v1/keys/verify?dryRun=true', {'key': 'x'}, field='dryRun')
    server.refuse('UNKNOWN_FIELD', 'GET', f'/v1/keys/{UNKNOWN_ID}?full=1', field='full')


def cursors_belong_to_their_order(server):
    cursors = {'createdAt': UNKNOWN_ID, '-createdAt': f'-{UNKNOWN_ID}', 'expiresAt': f'1767225600000.{UNKNOWN_ID}',
               'lastUsedAt': f'u0.{UNKNOWN_ID}'}
    for sort in cursors:
        for made_by, cursor in cursors.items():
            query = f'/v1/keys?sort={sort}&cursor={cursor}'
            if made_by == sort:
                server.expect(200, 'GET', query)
            else:
                server.refuse('INVALID_FIELD', 'GET', query, field='cursor', status=400)
    for cursor in ('-', '.', '-x', '1.x', f'0.{UNKNOWN_ID}', f'-1.{UNKNOWN_ID}', f'9223372036854775808.{UNKNOWN_ID}',
                   f'1.{UNKNOWN_ID}0', f'--{UNKNOWN_ID}', 'key_' + '0' * 26, 'u', 'u1', f'u{UNKNOWN_ID}',
                   f'u9223372036854775808.{UNKNOWN_ID}', f'u-1.{UNKNOWN_ID}'):
        for sort in cursors:
            server.refuse('INVALID_FIELD', 'GET', f'/v1/keys?sort={sort}&cursor={cursor}', field='cursor', status=400)
    for query in ('expiresBefore', 'usedBefore', 'usedAfter'):
        server.refuse('INVALID_FIELD', 'GET', f'/v1/keys?{query}=2031-01-31T00:00:00Z&cursor={UNKNOWN_ID}', field='cursor')


def lookups_that_find_nothing_are_refused(server):
    path = '/v1/keys/lookup'
    key = server.create()[0]
    for body, code, field in [
            ({}, 'MISSING_FIELD', 'key'), ({'key': ''}, 'INVALID_FIELD', 'key'), ({'key': None}, 'INVALID_FIELD', 'key'),
            ({'key': 'x' * 193}, 'INVALID_FIELD', 'key'), ({'digest': 'ab'}, 'INVALID_FIELD', 'digest'),
            ({'digest': 'g' * 64}, 'INVALID_FIELD', 'digest'), ({'digest': 'a' * 63}, 'INVALID_FIELD', 'digest'),
            ({'digest': 'a' * 129}, 'INVALID_FIELD', 'digest'), ({'digest': 'a' * 64, 'key': key}, 'INVALID_FIELD', 'digest'),
            ({'id': UNKNOWN_ID}, 'UNKNOWN_FIELD', 'id')]:
        server.refuse(code, 'POST', path, body, field=field, status=400)
    for body in ({'key': 'x'}, {'key': key[:-1] + ('A' if key[-1] != 'A' else 'B')}, {'digest': 'a' * 64}, {'digest': 'a' * 128}):
        server.refuse('KEY_NOT_FOUND', 'POST', path, body, status=404)
    server.refuse('KEY_NOT_FOUND', 'POST', path, {'key': key}, headers={'Keyward-Project': 'keyward'}, status=404)
    for scope, status in (('keys:verify', 403), ('keys:update', 403), ('keys:read', 200)):
        manager = server.manager(scope)[0]
        equal(server.call('POST', path, {'key': key}, key=manager).status, status, scope)
        equal(server.call('GET', '/v1/keys/count', key=manager).status, status, scope)


def unknown_ids_are_answered_alike(server):
    """An id that never was, one of another project, and what is no id: one answer, whatever is asked."""
    manager, foreign = server.manager('keys:verify')
    ids = [UNKNOWN_ID, foreign['id'], 'x', 'key_', UNKNOWN_ID.lower(), UNKNOWN_ID + 'A', '%6b', 'key_%31', '..', '%2e%2e']
    requests = [('GET', '', None), ('PATCH', '', {'name': 'x'}), ('DELETE', '', None), ('POST', '/revoke', None),
                ('POST', '/enable', None), ('POST', '/disable', None), ('POST', '/rotate', {'gracePeriod': '1d'})]
    for method, action, body in requests:
        answers = []
        for key_id in ids:
            problem = server.refuse('KEY_NOT_FOUND', method, f'/v1/keys/{key_id}{action}', body, status=404)
            answers.append({**problem, 'requestId': ''})
        equal(answers[1:], answers[:-1], f'answers to {method} {action}')
    untouched = server.expect(200, 'GET', f'/v1/keys/{foreign["id"]}', headers={'Keyward-Project': 'keyward'}).json
    equal(untouched, foreign, "the other project's key after all these")
    check(server.expect(200, 'GET', '/v1/keys', key=None, headers={'Authorization': f'Bearer {server.root}'}), 'a list')
    check(foreign['id'] not in [record['id'] for record in server.everything()], "another project's key in a list")
    equal(server.verify(manager)['code'], 'INVALID_FORMAT', "another project's key in a verification")


def what_is_not_there_is_not_found(server):
    for path in ('/', '/v1', '/v1/', '/v1/keys/', '/v1/keys//revoke', '/v1/key', '/v1/keys/a/b', '/v1/keys/a/revoke/',
                 '/V1/keys', '/v1/%6beys', '/healthz/', '/v1/authorize', '/v1/authorize/', '/favicon.ico', '/v2/keys'):
        server.refuse('NOT_FOUND', 'GET', path, status=404)
        server.refuse('NOT_FOUND', 'GET', path, key=None, status=404)


def other_methods_are_refused(server):
    key_id = UNKNOWN_ID
    for path, allow in (('/v1/keys', 'POST, GET, HEAD, OPTIONS'), ('/v1/keys/verify', 'POST, OPTIONS'),
                        ('/v1/keys/batch/verify', 'POST, OPTIONS'), ('/v1/keys/batch/create', 'POST, OPTIONS'),
                        ('/v1/keys/revoke', 'POST, OPTIONS'),
                        (f'/v1/keys/{key_id}', 'GET, HEAD, PATCH, DELETE, OPTIONS'),
                        (f'/v1/keys/{key_id}/revoke', 'POST, OPTIONS'), ('/healthz', 'GET, HEAD, OPTIONS')):
        for method in ('PUT', 'TRACE', 'PROPFIND', 'GET', 'POST', 'PATCH', 'DELETE'):
            if method in allow:
                continue
            answer = server.call(method, path, None)
            equal((answer.status, answer.json['code'], answer.header('Allow')), (405, 'METHOD_NOT_ALLOWED', allow),
                  f'{method} {path}')
        answer = server.call('OPTIONS', path, key=None)
        equal((answer.status, answer.header('Allow'), answer.body), (204, allow, b''), f'OPTIONS {path}')


def a_head_is_a_get_without_its_body(server):
    _, record = server.create()
    for path in ('/v1/keys', f'/v1/keys/{record["id"]}'):
        get, head = server.call('GET', path), server.call('HEAD', path)
        equal((head.status, head.body, head.header('ETag')), (200, b'', get.header('ETag')), f'HEAD {path}')
        equal(head.header('Content-Length'), get.header('Content-Length'), f'length of {path}')
    equal(server.call('HEAD', f'/v1/keys/{UNKNOWN_ID}').status, 404, 'HEAD of an unknown id')
    equal(server.call('HEAD', '/v1/keys', key=None).status, 401, 'HEAD without a key')


def caps_are_those_of_the_description(server):
    """What just fits is taken: every limit that the description states for a creation, at once."""
    full = {'owner': 'team:' + 'a' * 123, 'orgId': 'o' * 128, 'name': 'ä' * 64, 'description': 'd' * 1024,
            'tags': [f'{i:02}' + 't' * 62 for i in range(32)], 'scopes': [f'{i:03}' + 's' * 125 for i in range(128)],
            'resources': {f'w:{i:02}': ['read'] for i in range(64)}, 'metadata': {'m': 'x' * 8184}, 'expiresIn': '100y'}
    key, record = server.create(full)
    for name in full:
        if name != 'expiresIn':
            equal(record[name], full[name], name)
    equal(server.verify(key)['record'], record, 'the largest record in a verification')
    key_id = record['id']
    items = server.expect(200, 'GET', f'/v1/keys?owner={quote(full["owner"])}').json['items']
    equal([item['id'] for item in items], [key_id], 'the largest record in a list')


if __name__ == '__main__':
    sys.exit(main([
        bad_creations_make_no_key, bad_json_makes_no_key, a_body_must_say_that_it_is_json, bad_changes_change_nothing,
        bad_questions_are_refused, bad_queries_are_refused, cursors_belong_to_their_order, lookups_that_find_nothing_are_refused, unknown_ids_are_answered_alike,
        what_is_not_there_is_not_found, other_methods_are_refused, a_head_is_a_get_without_its_body,
        caps_are_those_of_the_description]))
