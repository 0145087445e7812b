"""Quotas, and whose spending limits count, to the built program: as data of keys, policies, projects and templates."""

import json
import sys

from api_support import check, equal, main

MONTH = {'name': 'monthly', 'limit': 10000, 'period': 'month'}
TOKENS = {'limit': 0.000001, 'period': 'day', 'metric': 'tokens', 'onExceeded': 'warn', 'warnAt': [50, 100]}
SLOW = {'name': 'slow', 'limit': 1000000000000, 'period': 'week', 'onExceeded': 'throttle', 'anchor': 'created',
        'throttle': {'requests': 10, 'window': '1m'}}
FULL = {'metric': 'requests', 'anchor': 'utc', 'per': 'key', 'onExceeded': 'block', 'warnAt': [80, 100]}


def quotas_are_kept_updated_and_lifted(server):
    _, record = server.create({'quotas': [TOKENS, SLOW, MONTH]})
    path = f'/v1/keys/{record["id"]}'
    equal(record['quotas'], [{**FULL, **MONTH}, {**FULL, **SLOW}, {**FULL, 'name': 'tokens-day', **TOKENS}], 'quotas, by name')
    changed = server.expect(200, 'PATCH', path, {'quota': {'limit': 7.25, 'period': 'hour', 'per': 'owner'}}).json
    equal(changed['quotas'], [{**FULL, 'name': 'requests-hour', 'limit': 7.25, 'period': 'hour', 'per': 'owner'}], 'one')
    equal(server.expect(200, 'GET', path).json, changed, 'read again')
    check('quotas' not in server.expect(200, 'PATCH', path, {'quota': None}).json, 'lifted quotas')
    server.expect(200, 'PATCH', path, {'quotas': [MONTH]})
    check('quotas' not in server.expect(200, 'PATCH', path, {'quotas': []}).json, 'lifted quotas')
    check('quotas' not in server.create()[1], 'quotas that nobody gave')


def what_is_no_quota_is_refused(server):
    _, record = server.create({'quotas': [MONTH]})
    before = server.everything()
    day = {'limit': 1, 'period': 'day'}
    for body, code, field in (
            ({'quota': {'limit': '1', 'period': 'day'}}, 'INVALID_FIELD', 'quota.limit'),
            ({'quota': {'limit': -1, 'period': 'day'}}, 'INVALID_FIELD', 'quota.limit'),
            ({'quota': {'limit': 0.0000005, 'period': 'day'}}, 'INVALID_FIELD', 'quota.limit'),
            ({'quota': {'limit': 1000000000001, 'period': 'day'}}, 'INVALID_FIELD', 'quota.limit'),
            ({'quotas': [MONTH, {'limit': 1}]}, 'MISSING_FIELD', 'quotas[1].period'),
            ({'quotas': [{**day, 'period': 'minute'}]}, 'INVALID_FIELD', 'quotas[0].period'),
            ({'quotas': [{**day, 'onExceeded': 'explode'}]}, 'INVALID_FIELD', 'quotas[0].onExceeded'),
            ({'quotas': [{**day, 'anchor': 'monday'}]}, 'INVALID_FIELD', 'quotas[0].anchor'),
            ({'quotas': [{**day, 'per': 'team'}]}, 'INVALID_FIELD', 'quotas[0].per'),
            ({'quotas': [{**day, 'per': 1}]}, 'INVALID_FIELD', 'quotas[0].per'),
            ({'quotas': [{**day, 'per': 'owner', 'anchor': 'created'}]}, 'INVALID_FIELD', 'quotas[0].anchor'),
            ({'quotas': [{**day, 'warnAt': [100, 80]}]}, 'INVALID_FIELD', 'quotas[0].warnAt'),
            ({'quotas': [{**day, 'warnAt': [80, 0]}]}, 'INVALID_FIELD', 'quotas[0].warnAt[1]'),
            ({'quotas': [{**day, 'throttle': {'requests': 1, 'window': '1m'}}]}, 'INVALID_FIELD', 'quotas[0].throttle'),
            ({'quotas': [{**day, 'onExceeded': 'throttle'}]}, 'MISSING_FIELD', 'quotas[0].throttle'),
            ({'quotas': [{**day, 'onExceeded': 'throttle', 'throttle': {'requests': 1, 'window': '32d'}}]}, 'INVALID_FIELD',
             'quotas[0].throttle.window'),
            ({'quotas': [{**day, 'metric': 'Images'}]}, 'INVALID_FIELD', 'quotas[0].metric'),
            ({'quotas': [day, {**day, 'metric': 'images'}]}, 'INVALID_FIELD', 'quotas[1].metric'),
            ({'quotas': [day, day]}, 'DUPLICATE_FIELD', 'quotas[1].name'),
            ({'quotas': [{**day, 'name': 'A b'}]}, 'INVALID_FIELD', 'quotas[0].name'),
            ({'quotas': [{**day, 'name': f'q{i}'} for i in range(9)]}, 'INVALID_FIELD', 'quotas'),
            ({'quotas': [{**day, 'per': 'org'}]}, 'INVALID_FIELD', 'quotas[0].per'),
            ({'rateLimits': [{'requests': 1, 'window': '1m', 'per': 'org'}]}, 'INVALID_FIELD', 'rateLimits[0].per'),
            ({'rateLimit': {'requests': 1, 'window': '1m', 'per': 'all'}}, 'INVALID_FIELD', 'rateLimit.per'),
            ({'quotas': MONTH}, 'INVALID_FIELD', 'quotas'), ({'quota': [MONTH]}, 'INVALID_FIELD', 'quota')):
        server.refuse(code, 'POST', '/v1/keys', {'ownerId': '1', **body}, field=field, status=400)
        server.refuse(code, 'PATCH', f'/v1/keys/{record["id"]}', body, field=field, status=400)
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'quota': MONTH, 'quotas': [MONTH]}, status=400)
    equal(server.everything(), before, 'records after refusals')


def limits_say_whose_spending_they_count(server):
    limit = {'name': 'all', 'requests': 9, 'window': '1h'}
    _, record = server.create({'orgId': 'acme', 'rateLimits': [{**limit, 'per': 'org'}], 'quota': {**MONTH, 'per': 'org'}})
    equal((record['rateLimits'], record['quotas'][0]['per']), ([{**limit, 'per': 'org'}], 'org'), 'as it was given')
    path = f'/v1/keys/{record["id"]}'
    server.refuse('INVALID_FIELD', 'PATCH', path, {'orgId': None}, field='orgId', status=400)
    changed = server.expect(200, 'PATCH', path, {'orgId': None, 'rateLimit': {**limit, 'per': 'key'}, 'quotas': None}).json
    equal((changed['rateLimits'], 'orgId' in changed), ([limit], False), 'the key\'s own again')
    server.expect(200, 'PATCH', path, {'rateLimit': {**limit, 'per': 'owner'}})
    rotation = f'{path}/rotate'
    server.refuse('INVALID_FIELD', 'POST', rotation, {'rateLimit': limit}, field='rateLimits', status=400)
    rotated = server.expect(201, 'POST', rotation, {}).json['record']
    equal(rotated['rateLimits'], [{**limit, 'per': 'owner'}], 'after a rotation')


def items_of_a_batch_have_quotas(server):
    items = [{'ownerId': '1', 'quotas': [MONTH]}, {'ownerId': '1', 'quota': {'limit': 2, 'period': 'hour'}}]
    made = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': items}).json['items']
    equal([[quota['name'] for quota in item['record']['quotas']] for item in made], [['monthly'], ['requests-hour']], 'each')
    refused = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': [
        {'quotas': [{**MONTH, 'limit': -1}]}, {'quotas': [MONTH], 'quota': MONTH}]}).json['items']
    equal([(item['code'], item['field']) for item in refused], [('INVALID_FIELD', 'quotas[0].limit'), ('INVALID_FIELD', 'quota')], 'refused')
    told = server.expect(200, 'POST', '/v1/keys/batch/update', {'items': [
        {'id': made[0]['record']['id'], 'quotas': None}, {'id': made[1]['record']['id'], 'quota': MONTH},
        {'id': made[1]['record']['id'], 'quota': {**MONTH, 'metric': 'images'}}]}).json['items']
    equal([item.get('field') for item in told], [None, None, 'quotas[0].metric'], 'what is refused')
    equal([item['record'].get('quotas') for item in told[:2]], [None, [{**FULL, **MONTH}]], 'what each has now')


def a_project_declares_its_metrics(server):
    here = {'headers': {'Keyward-Project': 'shop'}}
    images = {'limit': 5, 'period': 'day', 'metric': 'images'}
    server.refuse('INVALID_FIELD', 'POST', '/v1/projects', {'name': 'shop', 'metrics': ['tokens']}, field='metrics[0]')
    server.refuse('INVALID_FIELD', 'POST', '/v1/projects', {'name': 'shop', 'quotas': [images]}, field='quotas[0].metric')
    made = server.expect(201, 'POST', '/v1/projects', {'name': 'shop', 'metrics': ['images'], 'quotas': [images]}).json
    equal((made['metrics'], made['quotas']), (['images'], [images]), 'as it was given')
    for kind, body in (('policies', {'quotas': [images]}), ('templates', {'fields': {'quota': images}})):
        field = 'quotas[0].metric' if kind == 'policies' else 'fields.quotas[0].metric'
        server.refuse('INVALID_FIELD', 'POST', f'/v1/{kind}', {'name': 'a', **body}, field=field)
        server.expect(201, 'POST', f'/v1/{kind}', {'name': 'a', **body}, **here)
    record = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1'}, **here).json['record']
    equal(record['quotas'][0]['metric'], 'images', 'the project\'s default')
    # What the project forgets stays where it is, and comes with what is there; nobody asks for it anew.
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/shop', {'metrics': None}, field='quotas[0].metric')
    server.expect(200, 'PATCH', '/v1/projects/shop', {'metrics': None, 'quotas': None})
    server.expect(200, 'PATCH', '/v1/policies/a', {'description': 'x'}, **here)
    server.expect(200, 'PATCH', '/v1/templates/a', {'description': 'x'}, **here)
    for body in ({'policy': 'a'}, {'template': 'a'}):
        told = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', **body}, **here).json['record']
        equal(told['quotas'][0]['metric'], 'images', f'with {body}')
    path = f'/v1/keys/{record["id"]}'
    server.expect(200, 'PATCH', path, {'name': 'x'}, **here)
    server.refuse('INVALID_FIELD', 'PATCH', path, {'quotas': [images]}, field='quotas[0].metric', **here)
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/policies/a', {'quotas': [{**images, 'limit': 4}]}, field='quotas[0].metric', **here)
    server.expect(201, 'POST', f'{path}/rotate', {}, **here)


def defaults_come_from_policy_environment_and_project(server):
    def named(name, **more):
        return {'name': name, 'limit': 1, 'period': 'day', **more}
    project = {'name': 'limited', 'quotas': [named('p'), named('po', per='org')], 'environments': [
        {'name': 'live', 'secretPrefix': 'sk_lim_live_'},
        {'name': 'test', 'secretPrefix': 'sk_lim_test_', 'quotas': [named('e')]},
        {'name': 'free', 'secretPrefix': 'sk_lim_free_', 'quotas': []}]}
    here = {'headers': {'Keyward-Project': 'limited'}}
    server.expect(201, 'POST', '/v1/projects', project)
    server.expect(201, 'POST', '/v1/policies', {'name': 'strict', 'quotas': [MONTH]}, **here)
    server.expect(201, 'POST', '/v1/policies', {'name': 'shared', 'quotas': [{**MONTH, 'per': 'org'}]}, **here)
    server.expect(201, 'POST', '/v1/templates', {'name': 'form', 'fields': {'quota': named('t')}}, **here)
    server.expect(201, 'POST', '/v1/templates', {'name': 'none', 'fields': {'quotas': []}, 'locked': ['quotas']}, **here)

    def names(body):
        record = server.expect(201, 'POST', '/v1/keys', {'ownerId': '1', **body}, **here).json['record']
        return [quota['name'] for quota in record.get('quotas', [])]
    for body, expected in (({}, ['p']), ({'orgId': 'acme'}, ['p', 'po']), ({'env': 'test'}, ['e']), ({'env': 'free'}, []),
                           ({'quotas': None}, []), ({'policy': 'strict'}, ['monthly']), ({'template': 'form'}, ['t']),
                           ({'policy': 'shared', 'orgId': 'acme'}, ['monthly']), ({'template': 'none'}, []),
                           ({'template': 'form', 'quota': named('own')}, ['own'])):
        equal(names(body), expected, f'quotas of {body}')
    server.refuse('FIELD_LOCKED', 'POST', '/v1/keys', {'ownerId': '1', 'template': 'none', 'quota': MONTH}, field='quotas', **here)
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', 'policy': 'shared'}, field='quotas[0].per', **here)
    for quotas in (None, [], [{**MONTH, 'limit': 10001}], [{**MONTH, 'period': 'day'}], [{**MONTH, 'onExceeded': 'warn'}],
                   [{**MONTH, 'metric': 'tokens'}], [{**MONTH, 'anchor': 'created'}]):
        server.refuse('POLICY_VIOLATION', 'POST', '/v1/keys', {'ownerId': '1', 'policy': 'strict', 'quotas': quotas},
                      field='quotas', status=403, **here)
    for quota in (MONTH, {**MONTH, 'limit': 9999.999999}, {**MONTH, 'period': 'year'}, {**MONTH, 'per': 'owner'}):
        equal(names({'policy': 'strict', 'quotas': [quota]}), ['monthly'], f'just within: {quota}')


def a_narrowed_policy_says_whom_it_narrows(server):
    server.expect(201, 'POST', '/v1/policies', {'name': 'wide', 'quotas': [MONTH]})
    _, record = server.create({'policy': 'wide'})
    _, small = server.create({'policy': 'wide', 'quotas': [{**MONTH, 'limit': 10}]})
    less = {'quotas': [{**MONTH, 'limit': 11}]}
    narrowed = server.expect(200, 'PATCH', '/v1/policies/wide?dryRun=true', less).json['narrowed']
    equal([(item['id'], item['fields']) for item in narrowed['items']], [(record['id'], ['quotas'])], 'whom it narrows')
    server.expect(200, 'PATCH', '/v1/policies/wide', less)
    server.refuse('POLICY_VIOLATION', 'PATCH', f'/v1/keys/{record["id"]}', {'name': 'x'}, field='quotas', status=403)
    server.expect(200, 'PATCH', f'/v1/keys/{small["id"]}', {'name': 'x'})


def a_child_lies_within_its_parent(server):
    _, parent = server.create({'quotas': [MONTH]})
    for quotas in (None, [], [{**MONTH, 'limit': 10001}], [{'limit': 1, 'period': 'day'}]):
        server.refuse('EXCEEDS_PARENT', 'POST', '/v1/keys', {'parentId': parent['id'], 'quotas': quotas}, field='quotas')
    child = server.expect(201, 'POST', '/v1/keys', {'parentId': parent['id']}).json['record']
    equal(child['quotas'], [{**FULL, **MONTH}], 'inherited')
    path = f'/v1/keys/{child["id"]}'
    server.refuse('EXCEEDS_PARENT', 'PATCH', path, {'quotas': None}, field='quotas')
    server.expect(200, 'PATCH', path, {'quota': {**MONTH, 'limit': 1}})
    server.refuse('INVALID_FIELD', 'POST', f'{path}/rotate', {'quota': {**MONTH, 'limit': 2}}, field='quotas')


def imports_take_what_the_project_counts(server):
    here = {'Keyward-Project': 'there'}
    server.expect(201, 'POST', '/v1/projects', {'name': 'there', 'metrics': ['images']})
    images = {'limit': 5, 'period': 'day', 'metric': 'images'}
    line = json.dumps({'keyHash': 'a' * 64, 'ownerId': '1', 'prefix': 'old_', 'quotas': [images]})

    def send(text, headers):
        headers = {'Content-Type': 'application/x-ndjson', **headers}
        return server.expect(200, 'POST', '/v1/import?onConflict=overwrite', text.encode(), headers=headers).json
    report = send(line, {})
    equal([(told['code'], told['field']) for told in report['lines']], [('INVALID_FIELD', 'quotas')], 'where nobody counts it')
    equal(send(line, here)['created'], 1, 'where it is counted')
    exported = server.expect(200, 'GET', '/v1/export', headers=here).body.decode()
    server.expect(200, 'PATCH', '/v1/projects/there', {'metrics': None})
    equal(send(line.replace('aa', 'ab'), here)['refused'], 1, 'where it is not counted any more')
    report = send(exported.replace('"limit":5', '"limit":6'), here)
    equal((report['refused'], report['overwritten']), (0, 1), 'an export comes in as it is')


CASES = [quotas_are_kept_updated_and_lifted, what_is_no_quota_is_refused, limits_say_whose_spending_they_count,
         items_of_a_batch_have_quotas, a_project_declares_its_metrics, defaults_come_from_policy_environment_and_project,
         a_narrowed_policy_says_whom_it_narrows, a_child_lies_within_its_parent,
         imports_take_what_the_project_counts]

if __name__ == '__main__':
    sys.exit(main(CASES))
