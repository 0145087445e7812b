"""Rate limits, to the built program: as data of keys, policies, projects and templates, and as they refuse."""

import sys

from api_support import check, equal, main

HOUR = {'name': 'hourly', 'requests': 100, 'window': '1h'}
DAY = {'name': 'daily', 'requests': 3, 'window': '1d'}


def limits_are_kept_updated_and_lifted(server):
    _, record = server.create({'rateLimits': [HOUR, DAY]})
    path = f'/v1/keys/{record["id"]}'
    equal(record['rateLimits'], [DAY, HOUR], 'limits of a new key, by name')
    changed = server.expect(200, 'PATCH', path, {'rateLimit': {'requests': 7, 'window': '90s'}}).json
    equal(changed['rateLimits'], [{'name': 'default', 'requests': 7, 'window': '90s'}], 'one limit without a name')
    equal(server.expect(200, 'GET', path).json, changed, 'read again')
    check('rateLimits' not in server.expect(200, 'PATCH', path, {'rateLimit': None}).json, 'lifted limits')
    server.expect(200, 'PATCH', path, {'rateLimits': [HOUR]})
    check('rateLimits' not in server.expect(200, 'PATCH', path, {'rateLimits': []}).json, 'lifted limits')
    check('rateLimits' not in server.create()[1], 'limits that nobody gave')


def what_is_no_limit_is_refused(server):
    _, record = server.create({'rateLimits': [HOUR]})
    before = server.everything()
    for body, code, field in (
            ({'rateLimit': {'requests': 0, 'window': '1m'}}, 'INVALID_FIELD', 'rateLimit.requests'),
            ({'rateLimits': [HOUR, {'requests': 1.5, 'window': '1m'}]}, 'INVALID_FIELD', 'rateLimits[1].requests'),
            ({'rateLimit': {'requests': 1, 'window': '1 minute'}}, 'INVALID_FIELD', 'rateLimit.window'),
            ({'rateLimit': {'requests': 1, 'window': '32d'}}, 'INVALID_FIELD', 'rateLimits[0].window'),
            ({'rateLimit': {'requests': 1}}, 'MISSING_FIELD', 'rateLimit.window'),
            ({'rateLimit': {'requests': 1, 'window': '1m', 'burst': 2}}, 'UNKNOWN_FIELD', 'rateLimit.burst'),
            ({'rateLimits': [HOUR, HOUR]}, 'DUPLICATE_FIELD', 'rateLimits[1].name'),
            ({'rateLimits': [{**HOUR, 'name': 'A b'}]}, 'INVALID_FIELD', 'rateLimits[0].name'),
            ({'rateLimits': [{**HOUR, 'name': f'l{i}'} for i in range(9)]}, 'INVALID_FIELD', 'rateLimits'),
            ({'rateLimits': HOUR}, 'INVALID_FIELD', 'rateLimits'), ({'rateLimit': [HOUR]}, 'INVALID_FIELD', 'rateLimit')):
        server.refuse(code, 'POST', '/v1/keys', {'ownerId': '1', **body}, field=field, status=400)
        server.refuse(code, 'PATCH', f'/v1/keys/{record["id"]}', body, field=field, status=400)
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'rateLimit': HOUR, 'rateLimits': [DAY]}, status=400)
    equal(server.everything(), before, 'records after refusals')


def a_dry_run_tells_of_limits_whatever_else_refuses(server):
    key, record = server.create({'scopes': ['read'], 'rateLimit': {'requests': 1, 'window': '1h'},
                                 'quotas': [{'limit': 1, 'period': 'month'}]})
    child = server.create({'scopes': ['read'], 'parentId': record['id'], 'ownerId': '1'})[0]
    unlimited = server.create({'scopes': ['read']})[0]
    def outcomes(of, **question):
        verdict = server.verify(of, dryRun=True, **question)
        return [verdict.get('code'), *(check['outcome'] for check in verdict['checks'][-2:])]
    for one in (key, child):
        for _ in range(2):
            equal(outcomes(one, scopes=['write']), ['INSUFFICIENT_SCOPE', 'passed', 'passed'], 'nothing is spent')
        check(server.verify(one)['valid'], 'a good key')
        equal(outcomes(one, scopes=['write']), ['INSUFFICIENT_SCOPE', 'refused', 'refused'], 'all of it is spent')
    equal(outcomes(unlimited, scopes=['write']), ['INSUFFICIENT_SCOPE', 'none', 'none'], 'without limits')
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/disable', {})
    for one in (key, child):
        equal(outcomes(one), ['DISABLED', 'skipped', 'skipped'], 'a key that has nothing to spend')


def a_key_is_refused_beyond_its_limit(server):
    key, record = server.create({'rateLimits': [HOUR, DAY]})
    first = server.verify(key)
    equal((first['valid'], first['rateLimit']['name'], first['rateLimit']['limit'], first['rateLimit']['remaining'],
           first['rateLimit']['window']), (True, 'daily', 3, 2, '1d'), 'the limit that leaves least')
    check('retryAfter' not in first['rateLimit'], 'nothing to wait for')
    refused = server.verify(key, cost=4)
    equal((refused['valid'], refused['code'], refused['rateLimit']['remaining']), (False, 'RATE_LIMITED', 2), 'cost above all')
    check('retryAfter' not in refused['rateLimit'], 'waiting does not help')
    dry = server.verify(key, cost=2, dryRun=True)
    equal((dry['valid'], dry['rateLimit']['remaining'], dry['checks'][-2]), (True, 2, {'rule': 'rateLimits', 'outcome': 'passed'}), 'dry run')
    equal(server.verify(key, cost=2)['rateLimit']['remaining'], 0, 'all spent')
    refused = server.verify(key)
    equal((refused['code'], refused['record']['id']), ('RATE_LIMITED', record['id']), 'refusal')
    check(86390 < refused['rateLimit']['retryAfter'] <= 86400, f'retryAfter {refused["rateLimit"]["retryAfter"]}')
    dry = server.verify(key, dryRun=True)
    equal((dry['code'], dry['checks'][-2]['outcome'], dry['checks'][-2]['code']), ('RATE_LIMITED', 'refused', 'RATE_LIMITED'), 'dry run')
    for cost in (0, -1, 1.5, '1', 1000000001):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'cost': cost}, field='cost', status=400)
    many = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [{'key': server.create({'rateLimits': [DAY]})[0]}] * 5}).json
    equal([item['valid'] for item in many['items']], [True] * 3 + [False] * 2, 'in a batch each is spent')


def items_of_a_batch_have_limits(server):
    items = [{'ownerId': '1', 'rateLimits': [DAY, HOUR]}, {'ownerId': '1', 'rateLimit': {'requests': 2, 'window': '1h'}}]
    made = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': items}).json['items']
    equal([item['record']['rateLimits'] for item in made], [[DAY, HOUR], [{'name': 'default', 'requests': 2, 'window': '1h'}]],
          'what each has')
    for path, item, field in (('create', {'rateLimits': [{**DAY, 'requests': 0}]}, 'rateLimits[0].requests'),
                              ('create', {'ownerId': '1', 'rateLimit': HOUR, 'rateLimits': [DAY]}, 'rateLimit'),
                              ('update', {'id': made[0]['record']['id'], 'rateLimit': HOUR, 'rateLimits': [DAY]}, 'rateLimit')):
        refused = server.expect(200, 'POST', f'/v1/keys/batch/{path}', {'items': [item]}).json['items'][0]
        equal((refused['status'], refused['code'], refused['field']), (400, 'INVALID_FIELD', field), str(item))
        whole = server.expect(200, 'POST', f'/v1/keys/batch/{path}', {'items': [item], 'atomic': True}).json['items']
        equal(whole, [refused], 'all or none')
    ids = [item['record']['id'] for item in made]
    told = server.expect(200, 'POST', '/v1/keys/batch/update', {'items': [
        {'id': ids[0], 'rateLimits': None}, {'id': ids[1], 'rateLimit': DAY, 'ifVersion': 1}]}).json['items']
    equal([item['record'].get('rateLimits') for item in told], [None, [DAY]], 'what each has now')
    answers = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [
        {'key': made[1]['key'], 'cost': 3}, {'key': made[1]['key']}, {'key': made[0]['key']}]}).json['items']
    equal([answer['valid'] for answer in answers], [True, False, True], 'what is spent')
    check('rateLimit' not in answers[2], 'a limit that was lifted')


def a_gateway_reads_it_in_headers(server):
    key, _ = server.create({'rateLimits': [DAY]})
    for remaining in (2, 1, 0):
        answer = server.expect(200, 'GET', '/v1/authorize/default', key=key)
        equal(answer.header('RateLimit-Policy'), '"daily";q=3;w=86400', 'policy')
        start = f'"daily";r={remaining};t='
        check(answer.header('RateLimit').startswith(start), answer.header('RateLimit'))
        check(86390 < int(answer.header('RateLimit')[len(start):]) <= 86400, answer.header('RateLimit'))
    refused = server.expect(429, 'GET', '/v1/authorize/default', key=key)
    equal((refused.json['code'], refused.header('Keyward-Code')), ('RATE_LIMITED', 'RATE_LIMITED'), 'refusal')
    check(86390 < int(refused.header('Retry-After')) <= 86400, 'Retry-After')
    check(refused.header('RateLimit').startswith('"daily";r=0;t='), 'RateLimit of a refusal')
    plain = server.expect(200, 'GET', '/v1/authorize/default', key=server.create()[0])
    equal(plain.header('RateLimit'), None, 'of a key without limits')


def a_management_key_has_limits_too(server):
    made = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', 'resources': {'project:default': ['keys:read']}, 'rateLimits': [DAY]},
                         headers={'Keyward-Project': 'keyward'}).json
    for _ in range(3):
        server.expect(200, 'GET', '/v1/keys', key=made['key'])
    refused = server.expect(429, 'GET', '/v1/keys', key=made['key'])
    equal(refused.json['code'], 'RATE_LIMITED', 'refusal')
    check(86390 < int(refused.header('Retry-After')) <= 86400, 'Retry-After')


def defaults_come_from_policy_environment_and_project(server):
    project = {'name': 'limited', 'rateLimits': [{'name': 'p', 'requests': 1, 'window': '1s'}], 'environments': [
        {'name': 'live', 'secretPrefix': 'sk_lim_live_'},
        {'name': 'test', 'secretPrefix': 'sk_lim_test_', 'rateLimits': [{'name': 'e', 'requests': 2, 'window': '1s'}]},
        {'name': 'free', 'secretPrefix': 'sk_lim_free_', 'rateLimits': []}]}
    here = {'headers': {'Keyward-Project': 'limited'}}
    server.expect(201, 'POST', '/v1/projects', project)
    server.expect(201, 'POST', '/v1/policies', {'name': 'strict', 'rateLimits': [HOUR]}, **here)
    server.expect(201, 'POST', '/v1/templates', {'name': 'form', 'fields': {'rateLimit': {'requests': 9, 'window': '1h'}}}, **here)
    server.expect(201, 'POST', '/v1/templates', {'name': 'none', 'fields': {'rateLimits': []}, 'locked': ['rateLimits']}, **here)

    def names(body):
        record = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', **body}, **here).json['record']
        return [limit['name'] for limit in record.get('rateLimits', [])]
    for body, expected in (({}, ['p']), ({'env': 'test'}, ['e']), ({'env': 'free'}, []), ({'rateLimits': None}, []),
                           ({'policy': 'strict'}, ['hourly']), ({'policy': 'strict', 'env': 'test'}, ['hourly']),
                           ({'template': 'form'}, ['default']), ({'template': 'form', 'rateLimit': DAY}, ['daily']),
                           ({'template': 'none'}, []), ({'template': 'form', 'policy': 'strict'}, ['default'])):
        equal(names(body), expected, f'limits of {body}')
    server.refuse('FIELD_LOCKED', 'POST', '/v1/keys', {'ownerId': '1', 'template': 'none', 'rateLimit': DAY}, field='rateLimits', **here)
    for limits in (None, [], [{**HOUR, 'requests': 101}], [{**HOUR, 'window': '30m'}]):
        server.refuse('POLICY_VIOLATION', 'POST', '/v1/keys', {'ownerId': '1', 'policy': 'strict', 'rateLimits': limits},
                      field='rateLimits', status=403, **here)
    equal(names({'policy': 'strict', 'rateLimits': [{**HOUR, 'requests': 50, 'window': '30m'}]}), ['hourly'], 'just within')


def a_narrowed_policy_takes_effect_at_once(server):
    server.expect(201, 'POST', '/v1/policies', {'name': 'wide', 'rateLimits': [{**DAY, 'requests': 1000}]})
    key, record = server.create({'policy': 'wide'})
    equal(server.verify(key, cost=5)['rateLimit']['remaining'], 995, 'as it was')
    narrowed = server.expect(200, 'PATCH', '/v1/policies/wide', {'rateLimits': [{**DAY, 'requests': 7}]}).json['narrowed']
    equal([(item['id'], item['fields']) for item in narrowed['items']], [(record['id'], ['rateLimits'])], 'whom it narrows')
    equal((server.verify(key, cost=2)['rateLimit']['remaining'], server.verify(key)['code']), (0, 'RATE_LIMITED'), 'as it is')
    server.expect(200, 'PATCH', '/v1/policies/wide', {'rateLimits': None})
    equal(server.verify(key)['rateLimit']['remaining'], 992, 'its own')


def who_refuses_is_named(server):
    once = [{'name': 'once', 'requests': 1, 'window': '1d'}]
    monthly = [{'name': 'few', 'limit': 1, 'period': 'month'}]
    for limits, code, rule, shown in (({'rateLimits': once}, 'RATE_LIMITED', 'rateLimits', 'rateLimit'),
                                      ({'quotas': monthly}, 'QUOTA_EXCEEDED', 'quotas', 'quota')):
        server.expect(201, 'POST', '/v1/policies', {'name': f'few-{rule}'.lower()})
        policy = f'few-{rule}'.lower()
        own, _ = server.create(limits)
        _, parent = server.create({'ownerId': '1'})
        child, _ = server.create({'parentId': parent['id'], 'ownerId': '1'})
        under, _ = server.create({'policy': policy})
        _, bound = server.create({'policy': policy, 'ownerId': '1'})
        grandchild, _ = server.create({'parentId': bound['id'], 'ownerId': '1'})
        server.expect(200, 'PATCH', f'/v1/keys/{parent["id"]}', limits)
        server.expect(200, 'PATCH', f'/v1/policies/{policy}', limits)
        for key, whose in ((own, (None, None)), (child, (parent['id'], None)), (under, (None, policy)), (grandchild, (bound['id'], policy))):
            verdict = server.verify(key)
            equal((verdict['valid'], verdict.get('refusedBy'), verdict.get('refusedByPolicy')), (True, None, None), 'what is let through')
            verdict = server.verify(key)
            equal((verdict['code'], verdict.get('refusedBy'), verdict.get('refusedByPolicy')), (code, *whose), 'who refuses')
            dry = server.verify(key, dryRun=True)
            item = next(item for item in dry['checks'] if item['rule'] == rule)
            equal((item['code'], item.get('refusedBy'), item.get('refusedByPolicy')), (code, *whose), 'in the checks')
            equal(item[shown]['name'], verdict[shown]['name'], 'which one')
            check(rule == 'quotas' or 0 < item['rateLimit']['retryAfter'] <= 86400, f'how long to wait: {item}')
            # Where another rule is the verdict, its own words stand there, and those of the limit in the checks.
            dry = server.verify(key, dryRun=True, scopes=['none'])
            equal((dry['code'], dry.get('refusedBy'), dry.get('refusedByPolicy')), ('INSUFFICIENT_SCOPE', None, None), 'another rule')
            item = next(item for item in dry['checks'] if item['rule'] == rule)
            equal((item.get('refusedBy'), item.get('refusedByPolicy')), whose, 'in the checks of a refusal')
        free = next(item for item in server.verify(server.create()[0], dryRun=True)['checks'] if item['rule'] == rule)
        equal(free, {'rule': rule, 'outcome': 'none'}, 'of a key without')


def a_child_lies_within_its_parent(server):
    _, parent = server.create({'rateLimits': [HOUR]})
    for limits in (None, [], [{**HOUR, 'requests': 101}], [{'requests': 2, 'window': '1m'}]):
        server.refuse('EXCEEDS_PARENT', 'POST', '/v1/keys', {'parentId': parent['id'], 'rateLimits': limits}, field='rateLimits')
    child = server.expect(201, 'POST', '/v1/keys', {'parentId': parent['id']}).json['record']
    equal(child['rateLimits'], [HOUR], 'inherited')
    path = f'/v1/keys/{child["id"]}'
    server.refuse('EXCEEDS_PARENT', 'PATCH', path, {'rateLimits': None}, field='rateLimits')
    server.expect(200, 'PATCH', path, {'rateLimit': {'requests': 1, 'window': '1m'}})


def a_hot_key_shows_its_record_as_it_is(server):
    key, record = server.create({'name': 'a', 'rateLimits': [{'name': 'burst', 'requests': 1000, 'window': '1h'}]})
    path, left = f'/v1/keys/{record["id"]}', 1000

    def shown(code=None):
        nonlocal left
        for _ in range(5):
            verdict = server.verify(key)
            equal(verdict.get('code'), code, 'the verdict on a hot key')
            kept = server.expect(200, 'GET', path).json
            equal(verdict['record'], {name: value for name, value in kept.items() if not name.startswith('lastUsed')}, 'its record')
            left -= code is None
            equal(verdict.get('rateLimit', {}).get('remaining'), left if code is None else None, 'what is left')
    shown()
    for change in ({'name': 'b'}, {'metadata': {'x': '\u00e9' * 400}}, {'metadata': {'x': 'y' * 3000}}, {'metadata': None, 'tags': ['z']}):
        server.expect(200, 'PATCH', path, change)
        shown()
    server.expect(200, 'POST', f'{path}/disable', {})
    shown('DISABLED')
    server.expect(200, 'POST', f'{path}/enable', {})
    shown()
    server.expect(201, 'POST', f'{path}/rotate', {'gracePeriod': '1h'})
    shown()
    server.expect(200, 'POST', f'{path}/revoke', {'reason': 'over'})
    shown('REVOKED')
    server.expect(204, 'DELETE', path)
    equal(server.verify(key)['code'], 'INVALID_KEY', 'an erased key')


CASES = [limits_are_kept_updated_and_lifted, what_is_no_limit_is_refused, a_dry_run_tells_of_limits_whatever_else_refuses,
         a_key_is_refused_beyond_its_limit, items_of_a_batch_have_limits, a_gateway_reads_it_in_headers,
         a_management_key_has_limits_too, defaults_come_from_policy_environment_and_project,
         a_narrowed_policy_takes_effect_at_once, who_refuses_is_named, a_child_lies_within_its_parent,
         a_hot_key_shows_its_record_as_it_is]

if __name__ == '__main__':
    sys.exit(main(CASES))
