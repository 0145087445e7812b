"""Who may do what: management keys, their scopes and projects, and /v1/authorize for gateways."""

import sys
import time

from api_support import check, equal, main
from test_routes import UNKNOWN_ID

IDENTITY = ('Keyward-Valid', 'Keyward-Code', 'Keyward-Key-Id', 'Keyward-Owner', 'Keyward-Org', 'Keyward-Env',
            'Keyward-Name', 'Keyward-Scopes')

# Every guarded request: method, path, body, the scope it needs.
GUARDED = [
    ('POST', '/v1/keys', {'ownerId': '1'}, 'keys:create'), ('GET', '/v1/keys', None, 'keys:read'),
    ('GET', '/v1/keys/ID', None, 'keys:read'), ('PATCH', '/v1/keys/ID', {'name': 'x'}, 'keys:update'),
    ('POST', '/v1/keys/ID/disable', None, 'keys:update'), ('POST', '/v1/keys/ID/enable', None, 'keys:update'),
    ('POST', '/v1/keys/ID/rotate', None, 'keys:rotate'), ('POST', '/v1/keys/ID/revoke', None, 'keys:revoke'),
    ('DELETE', '/v1/keys/ID', None, 'keys:erase'), ('POST', '/v1/keys/verify', {'key': 'x'}, 'keys:verify'),
    ('POST', '/v1/keys/batch/verify', {'items': []}, 'keys:verify'),
    ('POST', '/v1/keys/batch/create', {'items': []}, 'keys:create'),
    ('POST', '/v1/keys/batch/update', {'items': []}, 'keys:update'),
    ('POST', '/v1/keys/batch/revoke', {'items': []}, 'keys:revoke'),
    ('POST', '/v1/keys/revoke', {'tag': 'none'}, 'keys:revoke'),
    ('POST', '/v1/keys/disable', {'tag': 'none'}, 'keys:update'),
    ('POST', '/v1/keys/enable', {'tag': 'none'}, 'keys:update')]
SCOPES = sorted({scope for _, _, _, scope in GUARDED})
ADMIN = {'Keyward-Project': 'keyward'}


def unauthorized(server, what, **options):
    """A 401: its challenge, and its body without what differs from request to request."""
    answer = server.call('GET', '/v1/keys', **options)
    equal((answer.status, answer.json['code']), (401, 'UNAUTHORIZED'), what)
    return answer.header('WWW-Authenticate'), {**answer.json, 'requestId': ''}


def nothing_guarded_works_without_a_key(server):
    for method, path, body, _ in GUARDED:
        answer = server.call(method, path.replace('ID', UNKNOWN_ID), body, key=None)
        equal((answer.status, answer.json['code']), (401, 'UNAUTHORIZED'), f'{method} {path}')
        equal(answer.header('WWW-Authenticate'), 'Bearer realm="keyward"', 'challenge')
    for value in ('', 'Bearer', 'Bearer ', 'Basic dTpw', server.root, f'Token {server.root}', f'Bearer{server.root}'):
        challenge, _ = unauthorized(server, repr(value), key=None, headers={'Authorization': value})
        equal(challenge, 'Bearer realm="keyward"', 'challenge')
    unauthorized(server, 'X-API-Key is no place for it', key=None, headers={'X-API-Key': server.root})
    for value in (f'bearer {server.root}', f'BEARER   {server.root}'):
        server.expect(200, 'GET', '/v1/keys', key=None, headers={'Authorization': value})


def bad_management_keys_are_answered_alike(server):
    """Unknown, misspelt, or another project's: one answer, so that nothing can be learnt from it."""
    customer = server.create({'ownerId': '1', 'scopes': ['*']})[0]
    never = server.run('generate', '--management').strip().splitlines()[-1].split()[-1]
    typo = server.root[:-1] + ('A' if server.root[-1] != 'A' else 'B')
    answers = [unauthorized(server, what, key=key) for what, key in (
        ('unknown', never), ("a customer's", customer), ('typo', typo), ('nonsense', 'x'), ('long', 'x' * 300),
        ('two words', f'{server.root} {server.root}'), ('space behind', f'{server.root} x'))]
    equal(answers[1:], answers[:-1], 'answers')
    equal(answers[0][0], 'Bearer realm="keyward", error="invalid_token"', 'challenge')


def a_management_key_ends_like_any_other(server):
    key, record = server.manager('keys:read')
    path = f'/v1/keys/{record["id"]}'
    server.expect(200, 'GET', '/v1/keys', key=key)
    server.expect(200, 'POST', path + '/disable', headers=ADMIN)
    unauthorized(server, 'disabled', key=key)
    server.expect(200, 'POST', path + '/enable', headers=ADMIN)
    server.expect(200, 'GET', '/v1/keys', key=key)
    server.expect(200, 'POST', path + '/revoke', headers=ADMIN)
    unauthorized(server, 'revoked', key=key)
    short = server.manager('keys:read', expiresIn='2s')[0]
    server.expect(200, 'GET', '/v1/keys', key=short)
    time.sleep(2.2)
    unauthorized(server, 'expired', key=short)


def each_scope_opens_its_own_routes(server):
    keys = {scope: server.manager(scope)[0] for scope in SCOPES}
    keys['none of them'] = server.manager('other:thing')[0]
    for method, path, body, needed in GUARDED:
        for scope, key in keys.items():
            _, record = server.create()
            if path.endswith('/enable'):
                server.expect(200, 'POST', f'/v1/keys/{record["id"]}/disable')
            if method == 'DELETE':
                server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke')
            target = path.replace('ID', record['id'])
            before = server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json
            answer = server.call(method, target, body, key=key)
            what = f'{method} {path} with {scope}: {answer.body[:200]!r}'
            if scope == needed:
                check(answer.status < 300, what)
                continue
            equal((answer.status, answer.json['code']), (403, 'FORBIDDEN'), what)
            check(needed in answer.json['detail'], f'{what} does not name the scope')
            check(f'scope="{needed}"' in answer.header('WWW-Authenticate'), f'challenge of {what}')
            equal(server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json, before, f'the record after {what}')
    everything = server.manager('keys:*')[0]
    server.expect(200, 'GET', '/v1/keys', key=everything)


def a_management_key_stays_in_its_project(server):
    key, record = server.manager('keys:*')
    admin = server.manager('keys:read', project='keyward')[0]
    equal(server.expect(200, 'GET', '/v1/keys?limit=1', key=key, headers={'Keyward-Project': 'default'}).status, 200, 'own')
    for project in ('keyward', 'nowhere', '*', 'Default', 'a' * 200, 'default:x'):
        answer = server.call('GET', '/v1/keys', key=key, headers={'Keyward-Project': project})
        equal((answer.status, answer.json['code']), (403, 'FORBIDDEN'), f'{project!r}')
    server.refuse('FORBIDDEN', 'GET', f'/v1/keys/{record["id"]}', key=key, headers=ADMIN)
    server.refuse('KEY_NOT_FOUND', 'GET', f'/v1/keys/{record["id"]}', key=key)
    listed = server.expect(200, 'GET', '/v1/keys', key=admin).json['items']
    check(listed and all(item['projectId'] == 'keyward' for item in listed), 'the project that the key is for')
    server.refuse('FORBIDDEN', 'GET', '/v1/keys', key=admin, headers={'Keyward-Project': 'default'})
    for project in ('nowhere', '*', 'DEFAULT', 'a' * 200):
        server.refuse('PROJECT_NOT_FOUND', 'GET', '/v1/keys', headers={'Keyward-Project': project}, status=404)
    unauthorized(server, 'a project that is not there, without a key', key=None, headers={'Keyward-Project': 'nowhere'})


def nobody_makes_more_of_themselves(server):
    maker, maker_record = server.manager('keys:create', 'keys:rotate', 'keys:update', 'keys:read', project='keyward')
    def body(resources, **more):
        return {'owner': 'service:made', 'resources': resources, **more}
    own = server.create(body({'project:keyward': ['keys:read']}), key=maker)[1]
    equal(own['createdBy'], f'key:{maker_record["id"]}', 'who made it')
    for resources in ({'project:default': ['keys:read']}, {'project:keyward': ['keys:revoke']},
                      {'project:keyward': ['keys:*']}, {'project:keyward': ['*']}):
        server.refuse('FORBIDDEN', 'POST', '/v1/keys', body(resources), key=maker, status=403)
    strong = server.manager('keys:revoke')[1]
    for resources in ({'project:keyward': ['keys:*']}, {'project:default': ['keys:read']}):
        server.refuse('FORBIDDEN', 'PATCH', f'/v1/keys/{own["id"]}', {'resources': resources}, key=maker, status=403)
    server.refuse('FORBIDDEN', 'POST', f'/v1/keys/{strong["id"]}/rotate', key=maker, status=403)
    for wrong, field in ((body({}), 'resources'), (body({'project:nowhere': ['keys:read']}), 'resources'),
                         (body({'website:1': ['keys:read']}), 'resources'), (body({'project:*': ['keys:read']}), 'resources'),
                         (body({'project:default': ['keys:read'], 'project:keyward': ['keys:read']}), 'resources'),
                         (body({'project:default': ['keys:read']}, scopes=['keys:read']), 'scopes'),
                         ({'owner': 'service:made', 'scopes': ['*']}, 'scopes')):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', wrong, field=field, headers=ADMIN)
    server.refuse('FORBIDDEN', 'POST', '/v1/keys', {'owner': 'service:root', 'scopes': ['*']}, headers=ADMIN)
    equal(server.expect(200, 'GET', f'/v1/keys/{own["id"]}', headers=ADMIN).json, own, 'the record after all these')


def who_did_it_is_kept(server):
    key, record = server.manager('keys:create', 'keys:revoke')
    made = server.create({'ownerId': '1'}, key=key)[1]
    equal(made['createdBy'], f'key:{record["id"]}', 'createdBy')
    gone = server.expect(200, 'POST', f'/v1/keys/{made["id"]}/revoke', key=key).json
    equal(gone['revokedBy'], f'key:{record["id"]}', 'revokedBy')


def identity(answer):
    """The identity headers, which stand in every answer, each once."""
    values = [answer.header(name) for name in IDENTITY]
    check(all(value is not None for value in values), f'identity headers: {values}')
    return dict(zip(IDENTITY, values))


def authorize(server, key, method='GET', path='/v1/authorize/default', body=None, **headers):
    sent = {name.replace('_', '-'): value for name, value in headers.items()}
    return server.call(method, path, body, key=key, headers=sent)


def a_gateway_learns_who_it_is(server):
    key, record = server.create({'owner': 'team:a b/ü%', 'orgId': 'acme', 'name': 'Grün & "x"\u2028', 'env': 'test',
                                 'scopes': ['b:read', 'a:*']})
    answer = authorize(server, key)
    equal((answer.status, answer.body), (200, b''), 'answer')
    equal(identity(answer), {
        'Keyward-Valid': 'true', 'Keyward-Code': 'VALID', 'Keyward-Key-Id': record['id'],
        'Keyward-Owner': 'team:a%20b/%C3%BC%25', 'Keyward-Org': 'acme', 'Keyward-Env': 'test',
        'Keyward-Name': 'Gr%C3%BCn%20%26%20%22x%22%E2%80%A8', 'Keyward-Scopes': 'a:* b:read'}, 'identity')
    for method in ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'):
        for path in ('/v1/authorize/default', '/v1/authorize/default/', '/v1/authorize/default/a//b/%2e%2e/c?x=%zz&y'):
            answer = authorize(server, key, method, path)
            equal((answer.status, identity(answer)['Keyward-Valid']), (200, 'true'), f'{method} {path}')
    answer = authorize(server, key, 'POST', body=b'\xff{not json', Content_Type='text/plain')
    equal(answer.status, 200, 'whatever the body')
    equal(authorize(server, key, Keyward_Project='nowhere').status, 200, 'no header chooses the project')


def a_profile_asks_for_what_it_says(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'gated', 'authorize': {
        'live': {'env': 'live'},
        'orders': {'scopes': ['orders:read'], 'require': 'eu OR us'},
        'all': {'scopes': ['a', 'eu', 'b'], 'resource': {'type': 'website', 'id': '7', 'scopes': ['sell']}, 'require': 'c AND (d OR e)'},
        'much': {'scopes': [f'{i}:' + 'x' * 120 for i in range(99)]},
        'site': {'resource': {'type': 'website', 'id': '7', 'scopes': ['write']}}}})
    of = {'Keyward-Project': 'gated'}
    live = server.create({'ownerId': '1', 'scopes': ['orders:*', 'eu']}, headers=of)[0]
    test = server.create({'ownerId': '1', 'env': 'test', 'scopes': ['orders:read'],
                          'resources': {'website:7': ['write'], 'website:8': ['read']}}, headers=of)[0]
    for profile, key, status, code, part in [
            ('gated', live, 200, 'VALID', ''), ('gated', test, 200, 'VALID', ''), ('gated.default', test, 200, 'VALID', ''),
            ('gated.live', live, 200, 'VALID', ''), ('gated.live', test, 403, 'ENVIRONMENT_MISMATCH', ''),
            ('gated.orders', live, 200, 'VALID', ''), ('gated.orders', test, 403, 'INSUFFICIENT_SCOPE', ': eu OR us'),
            ('gated.site', test, 200, 'VALID', ''), ('gated.site', live, 403, 'INSUFFICIENT_SCOPE', ': write on website:7'),
            ('gated.orders', None, 401, 'MISSING_KEY', ''), ('gated.none', live, 404, 'PROFILE_NOT_FOUND', 'PROJECT.PROFILE'),
            ('orders', live, 404, 'PROFILE_NOT_FOUND', ''), ('gated.', live, 404, 'PROFILE_NOT_FOUND', '')]:
        for rest in ('', '/orders/1?env=test&scopes=x'):
            answer = authorize(server, key, path=f'/v1/authorize/{profile}{rest}', Keyward_Project='default')
            shown = identity(answer)
            equal((answer.status, shown['Keyward-Code']), (status, code), f'{profile}{rest}')
            equal(shown['Keyward-Valid'], 'true' if status == 200 else 'false', f'{profile}{rest}')
            check(status == 200 or part in answer.json['detail'], f'{profile}: {answer.body!r}')
    answer = authorize(server, live, 'POST', '/v1/authorize/gated.site', b'{"resource": null, "scopes": []}')
    equal(answer.status, 403, 'whatever the body says')
    equal(answer.header('WWW-Authenticate'), 'Bearer realm="keyward", error="insufficient_scope", scope="write"', 'challenge')
    answer = authorize(server, test, path='/v1/authorize/gated.orders')
    equal(answer.header('WWW-Authenticate'), 'Bearer realm="keyward", error="insufficient_scope"', 'of an expression')
    check(authorize(server, None, path='/v1/authorize/gated').json['detail'].endswith(' as Authorization: Bearer or X-API-Key.'), 'where to')
    server.expect(201, 'POST', '/v1/projects', {'name': 'elsewhere', 'keyHeaders': ['X-Shop-Key', 'X-API-Key'],
                                                'allowKeyInQuery': {'parameter': 'k', 'iUnderstandKeysEndUpInLogs': True}})
    answer = authorize(server, None, path='/v1/authorize/elsewhere', Authorization='Bearer x')
    equal((answer.json['code'], answer.json['detail']),
          ('MISSING_KEY', 'No key was given: send it as X-Shop-Key, X-API-Key or the parameter k.'), 'where this project looks')
    answer = authorize(server, live, path='/v1/authorize/gated.all')
    check(answer.json['detail'].endswith(': a, b, sell on website:7, c, d OR e'), answer.body)
    equal(answer.header('WWW-Authenticate'), 'Bearer realm="keyward", error="insufficient_scope", scope="a b sell c"', 'all of them')
    answer = authorize(server, live, path='/v1/authorize/gated.much')
    check(answer.json['detail'].endswith('x, and 98 more'), answer.body)
    check(answer.header('WWW-Authenticate').endswith('x"'), 'as many as fit')


def a_change_of_a_profile_is_in_force_at_once(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'regated'})
    key = server.create({'ownerId': '1', 'env': 'test'}, headers={'Keyward-Project': 'regated'})[0]
    def asked(profile):
        return authorize(server, key, path=f'/v1/authorize/{profile}').status
    equal((asked('regated'), asked('regated.x')), (200, 404), 'before')
    server.expect(200, 'PATCH', '/v1/projects/regated', {'authorize': {'default': {'env': 'live'}, 'x': {}}})
    equal((asked('regated'), asked('regated.default'), asked('regated.x')), (403, 403, 200), 'narrowed')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/regated', {'authorize': {'x': {'env': 'dev'}}}, field='authorize.x.env')
    equal(asked('regated.x'), 200, 'after a change that was refused')
    server.stop()
    server.start()
    equal((asked('regated'), asked('regated.x')), (403, 200), 'after a restart')
    server.expect(200, 'PATCH', '/v1/projects/regated', {'authorize': None})
    equal((asked('regated'), asked('regated.x')), (200, 404), 'taken back')


def a_gateway_may_send_the_key_either_way(server):
    key, other = server.create()[0], server.create()[0]
    equal(authorize(server, None, X_API_Key=key).status, 200, 'X-API-Key')
    equal(authorize(server, key, X_API_Key=key).status, 200, 'both, alike')
    equal(authorize(server, None, X_API_Key=key, Authorization='Basic dTpw').status, 200, 'Basic is for somebody else')
    def owner(sent, **headers):
        answer = authorize(server, sent, **headers)
        return answer.status, identity(answer)['Keyward-Key-Id']
    ids = {sent: owner(sent)[1] for sent in (key, other)}
    equal(owner(key, X_API_Key=other), (200, ids[key]), 'two keys: the first place decides')
    equal(owner(other, X_API_Key=key), (200, ids[other]), 'the other way round')
    equal(owner('nonsense', X_API_Key=key), (401, ''), 'nor is there a way round a bad one')
    equal(owner(server.root, X_API_Key=key), (401, ''), 'a management key is none of this project')
    equal(authorize(server, key, X_API_Key='').status, 200, 'an empty one beside it')


def refusals_carry_an_empty_identity(server):
    key, record = server.create()
    path = f'/v1/keys/{record["id"]}'
    def refused(status, code, sent, challenge):
        answer = authorize(server, sent)
        equal((answer.status, answer.json['code']), (status, code), 'answer')
        expected = {name: '' for name in IDENTITY}
        equal(identity(answer), {**expected, 'Keyward-Valid': 'false', 'Keyward-Code': code}, 'identity')
        equal(answer.header('WWW-Authenticate'), challenge, 'challenge')
    bad = 'Bearer realm="keyward", error="invalid_token"'
    refused(401, 'MISSING_KEY', None, 'Bearer realm="keyward"')
    refused(401, 'INVALID_FORMAT', 'nonsense', bad)
    refused(401, 'INVALID_FORMAT', server.manager('keys:*')[0], bad)
    refused(401, 'INVALID_KEY', server.run('generate').strip().splitlines()[-1].split()[-1], bad)
    server.expect(200, 'POST', path + '/disable')
    refused(403, 'DISABLED', key, None)
    server.expect(200, 'POST', path + '/revoke')
    refused(401, 'REVOKED', key, bad)
    for profile in ('other', 'Default', 'default%2f', '%64efault', 'x' * 500):
        answer = authorize(server, key, path=f'/v1/authorize/{profile}')
        equal((answer.status, answer.json['code']), (404, 'PROFILE_NOT_FOUND'), profile)
        equal(identity(answer)['Keyward-Valid'], 'false', 'identity')


def scopes_beyond_a_header_are_left_out(server):
    scopes = [f'{i:03}' + 's' * 125 for i in range(128)]
    key = server.create({'ownerId': '1', 'scopes': scopes})[0]
    shown = identity(authorize(server, key))['Keyward-Scopes']
    check(3900 < len(shown) <= 4096, f'{len(shown)} bytes')
    equal(shown.split(), scopes[:len(shown.split())], 'whole scopes only')


def failures_are_limited_by_address(server):
    """Runs last: this address stays over its limit until the minute ends."""
    key = server.create()[0]
    if time.time() % 60 > 50:
        time.sleep(60.5 - time.time() % 60)
    statuses = []
    for _ in range(75):
        answer = authorize(server, 'nonsense')
        statuses.append(answer.status)
    check(set(statuses) == {401, 429} and statuses == sorted(statuses), f'{statuses}')
    check(statuses.count(401) <= 60, 'sixty at most')
    equal((answer.json['code'], identity(answer)['Keyward-Code']), ('TOO_MANY_FAILURES',) * 2, 'code')
    check(1 <= int(answer.header('Retry-After')) <= 60, 'Retry-After')
    equal(authorize(server, key).status, 200, 'a valid key is let through all the same')
    equal(server.verify('x')['code'], 'INVALID_FORMAT', 'other routes are not concerned')


if __name__ == '__main__':
    sys.exit(main([
        nothing_guarded_works_without_a_key, bad_management_keys_are_answered_alike, a_management_key_ends_like_any_other,
        each_scope_opens_its_own_routes, a_management_key_stays_in_its_project, nobody_makes_more_of_themselves,
        who_did_it_is_kept, a_gateway_learns_who_it_is, a_profile_asks_for_what_it_says,
        a_change_of_a_profile_is_in_force_at_once, a_gateway_may_send_the_key_either_way,
        refusals_carry_an_empty_identity, scopes_beyond_a_header_are_left_out, failures_are_limited_by_address]))
