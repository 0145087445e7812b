"""Insight, to the built program: what is told of a key and of a project, and what following it does."""

import sys

from api_support import check, equal, main


def codes_of(insight):
    return [item['code'] for item in insight['recommendations']]


def a_key_is_told(server):
    _, record = server.create({'ownerId': '42', 'scopes': ['invoices:read'], 'name': 'laptop'})
    told = server.expect(200, 'GET', f'/v1/keys/{record["id"]}/insights').json
    equal({name: told[name] for name in ('id', 'name', 'owner', 'env', 'status')},
          {'id': record['id'], 'name': 'laptop', 'owner': 'user:42', 'env': 'live', 'status': 'active'}, 'the key')
    equal(told['suggestedName'], 'user 42: uses invoices (live)', 'name')
    equal(told['securityScore'], 45, 'score')
    equal(sum(part['points'] for part in told['scoreParts']), 45, 'sum of the parts')
    equal(sum(part['of'] for part in told['scoreParts']), 100, 'what there is to have')
    equal(codes_of(told), ['NO_EXPIRY', 'NO_LIMIT'], 'recommendations')


def what_is_suggested_can_be_done(server):
    _, record = server.create({'scopes': ['*']})
    path = f'/v1/keys/{record["id"]}'
    for item in server.expect(200, 'GET', f'{path}/insights').json['recommendations']:
        equal(item['action'], 'update', 'action')
        server.expect(200, 'PATCH', path, item['suggested'])
    told = server.expect(200, 'GET', f'{path}/insights').json
    equal((told['recommendations'], told['securityScore']), ([], 60), 'after it was followed')


def what_has_ended_is_left_alone(server):
    _, record = server.create()
    path = f'/v1/keys/{record["id"]}'
    successor = server.expect(201, 'POST', f'{path}/rotate', {'gracePeriod': '1h'}).json['record']
    equal(server.expect(200, 'GET', f'{path}/insights').json['recommendations'], [], 'of a rotated key')
    equal(codes_of(server.expect(200, 'GET', f'/v1/keys/{successor["id"]}/insights').json), ['NO_EXPIRY', 'NO_LIMIT'], 'of its successor')
    server.expect(200, 'POST', f'/v1/keys/{successor["id"]}/revoke')
    told = server.expect(200, 'GET', f'/v1/keys/{successor["id"]}/insights').json
    equal((told['status'], told['recommendations']), ('revoked', []), 'of a revoked key')


def a_project_shows_what_to_look_at_first(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'shop', 'digest': 'sha256'})
    shop = {'Keyward-Project': 'shop'}

    def insights(query=''):
        return server.expect(200, 'GET', f'/v1/insights{query}', headers=shop).json

    equal(insights(), {'keys': 0, 'complete': True, 'recommended': {}, 'items': []}, 'without a key')
    limit = {'requests': 10, 'window': '1s'}
    made = [server.expect(201, 'POST', '/v1/keys', body, headers=shop).json['record'] for body in (
        {'owner': 'team:1', 'expiresIn': '30d', 'rateLimit': limit},
        {'owner': 'team:1', 'expiresIn': '30d', 'orgId': 'acme', 'tags': ['ci']},
        {'owner': 'team:2', 'rateLimit': limit, 'env': 'test'},
        {'owner': 'team:2', 'scopes': ['*']},
        {'owner': 'team:2'})]
    server.expect(200, 'POST', f'/v1/keys/{made[4]["id"]}/revoke', headers=shop)
    told = insights()
    equal([item['id'] for item in told['items']], [made[3]['id'], made[2]['id'], made[1]['id']], 'order')
    equal((told['keys'], told['complete'], told['recommended']), (4, True, {'NO_EXPIRY': 2, 'NO_LIMIT': 2}), 'counts')
    equal(told['averageScore'], (77 + 62 + 57 + 22) // 4, 'average')
    equal([item['securityScore'] for item in told['items']], [22, 57, 62], 'scores')
    for query, wanted in (('?limit=1', [3]), ('?owner=team:1', [1]), ('?org=acme', [1]), ('?tag=ci', [1]), ('?env=test', [2])):
        equal([item['id'] for item in insights(query)['items']], [made[at]['id'] for at in wanted], query)
    equal(insights('?limit=1')['keys'], 4, 'looked at')
    single = server.expect(200, 'GET', f'/v1/keys/{made[2]["id"]}/insights', headers=shop).json
    equal(single, told['items'][1], 'of a key, and of a project')
    equal(single['scoreParts'][4], {'part': 'digest', 'points': 12, 'of': 15,
                                    'why': 'Its digest is as the project wants it, but under no pepper.'}, 'digest')


def use_is_told(server):
    key, record = server.create({'ownerId': '7', 'scopes': ['read', 'write']})
    path = f'/v1/keys/{record["id"]}/insights'
    for _ in range(12):
        server.verify(key, endpoint='GET /v1/invoices/{id}', scopes=['read'], ip='192.0.2.1')
        server.verify(key, endpoint='POST /v1/reports', ip='192.0.2.1')
    equal(server.verify(key, scopes=['admin'])['valid'], False, 'refusal')
    server.verify(key, endpoint='DELETE /v1/x', dryRun=True)
    told = server.expect(200, 'GET', path).json
    use = told['usagePattern']
    equal((use['passed'], use['refused'], use['kind'], use['readPercent']), (24, 1, 'mixed', 50), 'use')
    equal(use['endpoints'], [{'endpoint': 'GET /v1/invoices/{id}', 'count': 12}, {'endpoint': 'POST /v1/reports', 'count': 12}], 'endpoints')
    equal(told['suggestedName'], 'user 7: uses invoices and reports (live)', 'name')
    check('lastUsedAt' in told, 'last use')
    check('UNUSED_SCOPES' not in codes_of(told), 'too little is known of scopes')
    for _ in range(88):
        server.verify(key, scopes=['read'])
    unused = {item['code']: item for item in server.expect(200, 'GET', path).json['recommendations']}['UNUSED_SCOPES']
    equal(unused['suggested'], {'scopes': ['read']}, 'used scopes')


def use_in_many_countries_comes_first(server):
    key, record = server.create()
    for count, country in enumerate(('DE', 'FR', 'US', 'JP', 'BR'), 1):
        server.verify(key, geo={'country': country})
        told = server.expect(200, 'GET', f'/v1/keys/{record["id"]}/insights').json
        equal('MANY_COUNTRIES' in codes_of(told), count == 5, f'{count} countries')
    first = server.expect(200, 'GET', '/v1/insights?limit=1').json['items'][0]
    equal((first['id'], first['recommendations'][0]['urgency'], first['recommendations'][0]['action']),
          (record['id'], 'high', 'rotate'), 'what to look at first')


def what_is_not_there_is_refused(server):
    _, record = server.create()
    server.refuse('KEY_NOT_FOUND', 'GET', '/v1/keys/key_01J9ZV3T5K8W2Q7R4M6N0PXYBC/insights', status=404)
    server.refuse('KEY_NOT_FOUND', 'GET', '/v1/keys/nonsense/insights', status=404)
    server.expect(201, 'POST', '/v1/projects', {'name': 'elsewhere'})
    server.refuse('KEY_NOT_FOUND', 'GET', f'/v1/keys/{record["id"]}/insights', headers={'Keyward-Project': 'elsewhere'}, status=404)
    for query, code, field in (('limit=0', 'INVALID_FIELD', 'limit'), ('limit=101', 'INVALID_FIELD', 'limit'),
                               ('status=active', 'UNKNOWN_FIELD', 'status'), ('cursor=x', 'UNKNOWN_FIELD', 'cursor'),
                               ('env=nowhere', 'INVALID_FIELD', 'env')):
        server.refuse(code, 'GET', f'/v1/insights?{query}', field=field, status=400)
    server.refuse('UNKNOWN_FIELD', 'GET', f'/v1/keys/{record["id"]}/insights?limit=1', field='limit', status=400)


def a_management_key_needs_the_scope(server):
    _, record = server.create()
    for scopes, status in ((['keys:verify'], 403), (['keys:read'], 200)):
        key, _ = server.manager(*scopes)
        for path in (f'/v1/keys/{record["id"]}/insights', '/v1/insights'):
            check(server.expect(status, 'GET', path, key=key).json, path)


CASES = [a_key_is_told, what_is_suggested_can_be_done, what_has_ended_is_left_alone, a_project_shows_what_to_look_at_first,
         use_is_told, use_in_many_countries_comes_first,
         what_is_not_there_is_refused, a_management_key_needs_the_scope]

if __name__ == '__main__':
    sys.exit(main(CASES))
