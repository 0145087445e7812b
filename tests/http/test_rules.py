"""Addresses, regions, requirements, families and dry runs, to the built program."""

import sys

from api_support import check, equal, main
from test_routes import UNKNOWN_ID

RULES = ['format', 'known', 'revoked', 'expired', 'disabled', 'address', 'region', 'environment', 'policy', 'scopes', 'rateLimits', 'quotas']
PLACES = {'allowedIPs': ['10.0.0.0/8', '2001:db8::/32'], 'blockedIPs': ['10.6.6.6'],
          'allowedRegions': ['EU', 'US'], 'blockedRegions': ['US-CA']}


def outcomes(verdict):
    equal([item['rule'] for item in verdict['checks']], RULES, 'the order of the rules')
    return {item['rule']: item['outcome'] for item in verdict['checks']}


def check_of(verdict, rule):
    return next(item for item in verdict['checks'] if item['rule'] == rule)


def places_are_kept_updated_and_cleared(server):
    _, record = server.create({**PLACES, 'allowedIPs': ['2001:DB8:0::/32', '10.0.0.0/8', '::ffff:10.0.0.0/104']})
    path = f'/v1/keys/{record["id"]}'
    for name, value in PLACES.items():
        equal(sorted(record[name]), sorted(value), f'{name} of a new key')
    for name, value in (('allowedIPs', ['192.0.2.1']), ('blockedIPs', ['::1']), ('allowedRegions', ['EEA']),
                        ('blockedRegions', ['DE-BY', 'FR'])):
        changed = server.expect(200, 'PATCH', path, {name: value}).json
        equal(changed[name], value, f'{name} as it was changed')
        equal(server.expect(200, 'GET', path).json[name], value, f'{name} as it is kept')
        cleared = server.expect(200, 'PATCH', path, {name: None}).json
        check(name not in cleared, f'{name} is still there')
        server.expect(200, 'PATCH', path, {name: value})
        check(name not in server.expect(200, 'PATCH', path, {name: []}).json, f'{name} is still there')
    _, plain = server.create()
    check(not set(PLACES) & set(plain), 'rules that nobody gave')


def places_that_are_none_are_refused(server):
    _, record = server.create()
    before = server.everything()
    for body, field in (({'allowedIPs': ['10.0.0.1/8']}, 'allowedIPs[0]'), ({'blockedIPs': ['::1', '010.0.0.1']}, 'blockedIPs[1]'),
                        ({'allowedIPs': '10.0.0.1'}, 'allowedIPs'), ({'allowedIPs': ['::1'] * 65}, 'allowedIPs'),
                        ({'blockedIPs': [1]}, 'blockedIPs[0]'), ({'blockedIPs': ['1' * 65]}, 'blockedIPs[0]'),
                        ({'allowedRegions': ['us']}, 'allowedRegions[0]'), ({'allowedRegions': ['US', 'US-ZZ']}, 'allowedRegions[1]'),
                        ({'blockedRegions': ['FR-ZZ']}, 'blockedRegions[0]'), ({'blockedRegions': ['US', 'UK']}, 'blockedRegions[1]'),
                        ({'allowedRegions': ['US'] * 129}, 'allowedRegions'), ({'blockedRegions': {}}, 'blockedRegions')):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'ownerId': '1', **body}, field=field, status=400)
        server.refuse('INVALID_FIELD', 'PATCH', f'/v1/keys/{record["id"]}', body, field=field, status=400)
    equal(server.everything(), before, 'records after refusals')


def addresses_and_regions_are_asked(server):
    key, _ = server.create(PLACES)
    rows = [({}, 'IP_NOT_ALLOWED'), ({'ip': '10.1.2.3'}, 'REGION_NOT_ALLOWED'), ({'geo': {'country': 'DE'}}, 'IP_NOT_ALLOWED')]
    rows += [({'ip': ip, 'geo': {'country': 'DE'}}, code) for ip, code in (
        ('10.1.2.3', None), ('::ffff:10.1.2.3', None), ('2001:db8::9', None), ('10.6.6.6', 'IP_NOT_ALLOWED'),
        ('::ffff:10.6.6.6', 'IP_NOT_ALLOWED'), ('11.0.0.1', 'IP_NOT_ALLOWED'), ('::1', 'IP_NOT_ALLOWED'))]
    rows += [({'ip': '10.0.0.1', 'geo': geo}, code) for geo, code in (
        ({'country': 'FR', 'region': 'IDF'}, None), ({'country': 'US', 'region': 'US-NY'}, None),
        ({'country': 'US', 'region': 'CA'}, 'REGION_NOT_ALLOWED'), ({'country': 'US', 'region': 'US-CA'}, 'REGION_NOT_ALLOWED'),
        ({'country': 'US'}, 'REGION_NOT_ALLOWED'), ({'country': 'NO'}, 'REGION_NOT_ALLOWED'))]
    for question, code in rows:
        verdict = server.verify(key, **question)
        equal(verdict.get('code'), code, f'{question}')
        equal(verdict['valid'], code is None, f'{question}')
    answer = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': [{'key': key, **question} for question, _ in rows]})
    equal([item.get('code') for item in answer.json['items']], [code for _, code in rows], 'all of them at once')


def what_is_stated_must_be_something(server):
    key, _ = server.create()
    for question, field in (({'ip': 'localhost'}, 'ip'), ({'ip': '10.0.0.0/8'}, 'ip'), ({'ip': '1.2.3.04'}, 'ip'), ({'ip': ''}, 'ip'),
                            ({'geo': {'country': 'XX'}}, 'geo'), ({'geo': {'country': 'us'}}, 'geo'), ({'geo': {'country': 'EU'}}, 'geo'),
                            ({'geo': {'country': 'US', 'region': 'DE-BY'}}, 'geo'), ({'geo': {'country': 'USA'}}, 'geo.country'),
                            ({'require': 'a AND'}, 'require'), ({'require': 'a b'}, 'require'), ({'require': '(' * 9 + 'a' + ')' * 9}, 'require'),
                            ({'require': ' OR '.join(['a'] * 33)}, 'require'), ({'require': 'a' * 513}, 'require'), ({'require': ''}, 'require')):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, **question}, field=field, status=400)
    server.refuse('MISSING_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'geo': {'region': 'CA'}}, status=400)
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'dryRun': 'yes'}, field='dryRun', status=400)


def requirements_are_judged(server):
    key, _ = server.create({'scopes': ['read', 'invoices:*']})
    for text, missing in (('read', None), ('read AND (invoices:see OR admin)', None), ('admin OR read', None),
                          ('read AND admin', 'admin'), ('admin OR (root AND read)', 'admin OR (root AND read)'),
                          ('read AND (admin OR root)', 'admin OR root'), ('invoices', 'invoices')):
        verdict = server.verify(key, require=text)
        equal((verdict['valid'], verdict.get('code'), verdict.get('missing')),
              (missing is None, missing and 'INSUFFICIENT_SCOPE', missing), text)


def all_that_is_missing_is_named(server):
    key, _ = server.create({'scopes': ['read'], 'resources': {'website:1': ['write']}})
    on = {'type': 'website', 'id': '1', 'scopes': ['write', 'sell', 'read', 'lend']}
    for question, missing in (
            ({'scopes': ['read', 'a', 'b', 'a:*']}, {'scopes': ['a', 'b', 'a:*']}),
            ({'scopes': ['a'], 'resource': on}, {'scopes': ['a'], 'resources': {'website:1': ['sell', 'lend']}}),
            ({'require': 'a AND read AND (b OR (c AND d)) AND (e AND (f OR g))'},
             {'scopes': ['a', 'e'], 'require': ['b OR (c AND d)', 'f OR g']}),
            ({'scopes': ['a'], 'resource': on, 'require': 'b OR c'},
             {'scopes': ['a'], 'resources': {'website:1': ['sell', 'lend']}, 'require': ['b OR c']})):
        verdict = server.verify(key, **question)
        equal((verdict['code'], verdict['missingAll']), ('INSUFFICIENT_SCOPE', missing), f'{question}')
        equal(check_of(server.verify(key, dryRun=True, **question), 'scopes')['missingAll'], missing, f'{question}, as a dry run')
    bare, _ = server.create({'resources': {'website:1': ['write']}})
    verdict = server.verify(bare, resource={'type': 'shop', 'id': '9'}, scopes=['a'])
    equal(verdict['missingAll'], {'scopes': ['a'], 'resources': {'shop:9': []}}, 'where any scope would do')
    check('missingAll' not in server.verify(key) and 'missingAll' not in server.verify(key, env='test', scopes=['a']), 'other verdicts')


def a_dry_run_says_what_each_rule_says(server):
    server.expect(201, 'POST', '/v1/policies', {'name': 'checked', 'environments': ['live']})
    key, record = server.create({**PLACES, 'scopes': ['read'], 'expiresIn': '1h', 'policy': 'checked'})
    good = {'ip': '10.0.0.1', 'geo': {'country': 'DE'}, 'env': 'live', 'scopes': ['read'], 'dryRun': True}
    verdict = server.verify(key, **good)
    check(verdict['valid'], verdict)
    equal(outcomes(verdict), {**{rule: 'passed' for rule in RULES}, 'rateLimits': 'none', 'quotas': 'none'}, 'of a good key')
    plain, _ = server.create()
    equal(outcomes(server.verify(plain, dryRun=True)), {**{rule: 'passed' for rule in RULES}, 'expired': 'none', 'address': 'none',
          'region': 'none', 'environment': 'none', 'policy': 'none', 'scopes': 'none', 'rateLimits': 'none', 'quotas': 'none'}, 'where there is nothing to refuse by')
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/disable', {})
    server.expect(200, 'PATCH', '/v1/policies/checked', {'environments': ['test']})
    bad = server.verify(key, dryRun=True, env='test', scopes=['write'])
    equal(bad['code'], 'DISABLED', 'the first refusal is the verdict')
    equal(outcomes(bad), {**{rule: 'refused' for rule in RULES}, 'format': 'passed', 'known': 'passed', 'revoked': 'passed',
          'expired': 'passed', 'rateLimits': 'none', 'quotas': 'none'}, 'of a bad key')
    equal([item.get('code') for item in bad['checks']], [None] * 4 + ['DISABLED', 'IP_NOT_ALLOWED', 'REGION_NOT_ALLOWED',
          'ENVIRONMENT_MISMATCH', 'POLICY_VIOLATION', 'INSUFFICIENT_SCOPE', None, None], 'codes of the refusals')
    equal((check_of(bad, 'policy')['field'], check_of(bad, 'policy')['refusedByPolicy']), ('env', 'checked'), 'what violates it')
    check('missing' not in check_of(bad, 'policy') and 'field' not in check_of(bad, 'scopes'), bad)
    equal(check_of(bad, 'scopes')['missingAll'], {'scopes': ['write']}, 'all that is missing')
    check('refusedByPolicy' not in check_of(bad, 'scopes'), bad)
    equal(check_of(bad, 'scopes')['missing'], 'write', 'what is missing')
    check(all(item['detail'] for item in bad['checks'] if item['outcome'] == 'refused'), bad)
    check('checks' not in server.verify(key), 'checks that nobody asked for')
    check('checks' not in server.verify(key, dryRun=False), 'checks that nobody asked for')


def a_dry_run_of_what_is_no_key(server):
    key, record = server.create()
    skipped = {rule: 'skipped' for rule in RULES}
    for text, code in (('', 'MISSING_KEY'), ('nonsense', 'INVALID_FORMAT'), (key[:-1] + ('a' if key[-1] != 'a' else 'b'), 'INVALID_FORMAT')):
        verdict = server.verify(text, dryRun=True)
        equal((verdict['valid'], verdict['code']), (False, code), text[:8])
        equal(outcomes(verdict), {**skipped, 'format': 'refused'}, code)
        equal(check_of(verdict, 'format')['code'], code, 'the code of the form')
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', {})
    server.expect(204, 'DELETE', f'/v1/keys/{record["id"]}')
    verdict = server.verify(key, dryRun=True)
    equal(verdict['code'], 'INVALID_KEY', 'an erased key')
    equal(outcomes(verdict), {**skipped, 'format': 'passed', 'known': 'refused'}, 'INVALID_KEY')


def a_child_stands_under_its_parent(server):
    _, parent = server.create({'owner': 'team:9', 'orgId': 'acme', 'scopes': ['read', 'write'], 'expiresIn': '1h'})
    key, child = server.create({'owner': 'user:5', 'parentId': parent['id'], 'scopes': ['read', 'write']})
    equal((child['parentId'], child['expiresAt'], child['owner']), (parent['lineageId'], parent['expiresAt'], 'user:5'), 'a child')
    heir = server.expect(201, 'POST', '/v1/keys', {'parentId': parent['id']}).json['record']
    equal((heir['owner'], heir['orgId']), ('team:9', 'acme'), 'a child without an owner')
    path = f'/v1/keys/{parent["id"]}'
    server.expect(200, 'PATCH', path, {'scopes': ['read']})
    check(server.verify(key, scopes=['read'])['valid'], 'what is left')
    verdict = server.verify(key, scopes=['write'], dryRun=True)
    equal((verdict['code'], verdict['missing'], verdict['refusedBy']), ('INSUFFICIENT_SCOPE', 'write', parent['id']), 'a narrowed parent')
    equal(check_of(verdict, 'scopes')['refusedBy'], parent['id'], 'in the checks')
    server.expect(200, 'POST', f'{path}/disable', {})
    verdict = server.verify(key, dryRun=True)
    equal((verdict['code'], verdict['refusedBy']), ('DISABLED', parent['id']), 'a disabled parent')
    server.expect(200, 'POST', f'{path}/enable', {})
    made = server.expect(201, 'POST', f'{path}/rotate', {'gracePeriod': '1h'}).json
    check(server.verify(key)['valid'], 'the child of a rotated parent')
    for parent in (made['record'], made['previous']):
        query = f'parent={parent["id"]}'
        children = [item['id'] for item in server.expect(200, 'GET', f'/v1/keys?{query}').json['items']]
        check(child['id'] in children, 'the children of every key of a line')
        equal(server.expect(200, 'GET', f'/v1/keys/count?{query}').json['count'], len(children), 'and their count')
    equal(server.expect(200, 'GET', f'/v1/keys/{child["id"]}').json['parentId'], parent['lineageId'], 'its parent is the line')
    newest = made['record']['id']
    server.expect(200, 'POST', f'/v1/keys/{newest}/revoke', {})
    verdict = server.verify(key)
    equal((verdict['code'], verdict['refusedBy']), ('REVOKED', newest), 'a revoked parent')
    equal(server.verify(made['key']).get('refusedBy'), None, 'refused by itself')


def a_child_is_held_to_its_parent(server):
    _, parent = server.create({'scopes': ['read'], 'resources': {'website:1': ['write']}, 'expiresIn': '1h',
                               'allowedIPs': ['10.0.0.0/8'], 'allowedRegions': ['EU']})
    _, child = server.create({'owner': 'user:1', 'parentId': parent['id']})
    rows = [({'scopes': ['write']}, 'scopes'), ({'resources': {'website:2': ['write']}}, 'resources'),
            ({'expiresIn': '2h'}, 'expiresAt'), ({'allowedIPs': ['11.0.0.0/8']}, 'allowedIPs'), ({'allowedRegions': ['US']}, 'allowedRegions')]
    before = server.everything()
    for body, field in rows:
        server.refuse('EXCEEDS_PARENT', 'POST', '/v1/keys', {'parentId': parent['id'], **body}, field=field)
        server.refuse('EXCEEDS_PARENT', 'PATCH', f'/v1/keys/{child["id"]}', body, field=field)
    server.refuse('EXCEEDS_PARENT', 'POST', '/v1/keys', {'parentId': parent['id'], 'env': 'test'}, field='env')
    server.refuse('EXCEEDS_PARENT', 'PATCH', f'/v1/keys/{child["id"]}', {'expiresAt': None}, field='expiresAt')
    server.refuse('EXCEEDS_PARENT', 'POST', f'/v1/keys/{child["id"]}/rotate', {'expiresIn': '2h'}, field='expiresAt')
    for path, method in ((f'/v1/keys/{child["id"]}', 'PATCH'), (f'/v1/keys/{child["id"]}/rotate', 'POST')):
        server.refuse('CANNOT_CHANGE_FIELD', method, path, {'parentId': parent['id']}, field='parentId')
    for text in ('key_', 'x', parent['id'][:-1], UNKNOWN_ID):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'parentId': text}, field='parentId')
    server.refuse('MISSING_FIELD', 'POST', '/v1/keys', {})
    equal(server.everything(), before, 'records after refusals')


def families_have_an_end(server):
    _, key = server.create()
    for _ in range(8):
        key = server.expect(201, 'POST', '/v1/keys', {'parentId': key['id']}).json['record']
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {'parentId': key['id']}, field='parentId')


def a_management_child_hands_on_what_is_left_to_it(server):
    header = {'Keyward-Project': 'keyward'}
    both = ['keys:create', 'keys:revoke']
    _, parent = server.manager(*both, project='keyward')
    key, _ = server.manager(*both, project='keyward', parentId=parent['id'])
    body = {'owner': 'service:new', 'resources': {'project:keyward': ['keys:revoke']}}
    server.create(body, key=key, headers=header)
    server.expect(200, 'PATCH', f'/v1/keys/{parent["id"]}', {'resources': {'project:keyward': ['keys:create']}}, headers=header)
    server.refuse('FORBIDDEN', 'POST', f'/v1/keys/{parent["id"]}/revoke', {}, key=key, headers=header)
    server.refuse('FORBIDDEN', 'POST', '/v1/keys', body, key=key, headers=header)
    server.create({'owner': 'service:new', 'resources': {'project:keyward': ['keys:create']}}, key=key, headers=header)
    server.expect(200, 'PATCH', f'/v1/keys/{parent["id"]}', {'expiresIn': '1h'}, headers=header)
    late = {'owner': 'service:new', 'resources': {'project:keyward': ['keys:create']}}
    server.refuse('FORBIDDEN', 'POST', '/v1/keys', late, key=key, headers=header)
    server.create({**late, 'expiresIn': '30m'}, key=key, headers=header)


def a_child_that_would_live_longer_is_told_until_when(server):
    _, parent = server.create({'ownerId': '1', 'expiresIn': '1h'})
    problem = server.refuse('EXCEEDS_PARENT', 'POST', '/v1/keys', {'parentId': parent['id'], 'expiresIn': '2h'}, field='expiresAt')
    check(parent['expiresAt'] in problem['detail'], problem)
    server.expect(201, 'POST', '/v1/keys', {'parentId': parent['id'], 'expiresAt': parent['expiresAt']})


def grace_periods_are_told_their_bounds(server):
    _, record = server.create()
    problem = server.refuse('INVALID_FIELD', 'POST', f'/v1/keys/{record["id"]}/rotate', {'gracePeriod': '2y'}, field='gracePeriod')
    check('1y' in problem['detail'] and '15m' in problem['detail'], problem)


def a_careful_revocation_leaves_no_orphan(server):
    _, parent = server.create({'scopes': ['read']})
    _, child = server.create({'parentId': parent['id'], 'scopes': ['read']})
    revoke = '/v1/keys/{}/revoke'
    server.refuse('HAS_CHILDREN', 'POST', revoke.format(parent['id']), {'cascade': False}, status=409)
    server.refuse('INVALID_FIELD', 'POST', revoke.format(parent['id']), {'cascade': 'no'}, field='cascade', status=400)
    equal(server.expect(200, 'GET', f'/v1/keys/{parent["id"]}').json['status'], 'active', 'the parent after a refusal')
    server.expect(200, 'POST', revoke.format(child['id']), {'cascade': False})
    equal(server.expect(200, 'POST', revoke.format(parent['id']), {'cascade': False}).json['status'], 'revoked',
          'a parent whose children are revoked')
    _, other = server.create({'scopes': ['read']})
    key, _ = server.create({'parentId': other['id'], 'scopes': ['read']})
    server.expect(200, 'POST', revoke.format(other['id']), {'cascade': True})
    equal(server.expect(200, 'POST', '/v1/keys/verify', {'key': key}).json['code'], 'REVOKED', 'a child of a revoked key')


def a_record_says_what_its_family_says(server):
    """A child keeps its own status; what it comes to stands beside it, wherever one record is shown."""
    _, parent = server.create({'scopes': ['read']})
    key, child = server.create({'parentId': parent['id'], 'scopes': ['read']})
    _, grandchild = server.create({'parentId': child['id'], 'scopes': ['read']})
    equal((parent.get('effectiveStatus'), child['effectiveStatus'], grandchild['effectiveStatus']), (None, 'active', 'active'),
          'when they are made')

    def statuses(record):
        return record['status'], record.get('effectiveStatus')

    def seen(record):
        path = f'/v1/keys/{record["id"]}'
        changed = server.expect(200, 'PATCH', path, {'name': 'x'}).json
        equal(statuses(changed), statuses(server.expect(200, 'GET', path).json), 'changed and read')
        return statuses(changed)

    for action, code in (('disable', 'DISABLED'), ('enable', None), ('revoke', 'REVOKED')):
        server.expect(200, 'POST', f'/v1/keys/{parent["id"]}/{action}')
        comes_to = {'disable': 'disabled', 'enable': 'active', 'revoke': 'revoked'}[action]
        equal((seen(child), seen(grandchild)), (('active', comes_to),) * 2, action)
        verdict = server.verify(key)
        equal((verdict.get('code'), statuses(verdict['record'])), (code, ('active', comes_to)), 'a verdict')
        found = server.expect(200, 'POST', '/v1/keys/lookup', {'key': key}).json
        equal(statuses(found.get('record', found)), ('active', comes_to), 'found by the key')
    item = server.expect(200, 'POST', '/v1/keys/batch/update', {'items': [{'id': child['id'], 'name': 'y'}]}).json['items'][0]
    equal(statuses(item['record']), ('active', 'revoked'), 'an item of a batch')
    listed = server.expect(200, 'GET', f'/v1/keys?parent={parent["id"]}').json['items']
    equal([statuses(record) for record in listed], [('active', 'revoked')], 'in a list')
    for status, count in (('active', 0), ('revoked', 1)):
        query = f'parent={parent["id"]}&status={status}'
        equal(len(server.expect(200, 'GET', f'/v1/keys?{query}').json['items']), count, f'{status} ones')
        equal(server.expect(200, 'GET', f'/v1/keys/count?{query}').json, {'count': count, 'atLeast': False}, f'{status} ones')
    path = f'/v1/keys/{grandchild["id"]}'
    refused = server.refuse('INVALID_FIELD', 'POST', path + '/rotate', {}, field='parentId', status=400)
    check(parent['id'] in refused['detail'], refused)
    for action, statuses_then in (('disable', ('disabled', 'revoked')), ('enable', ('active', 'revoked'))):
        equal(statuses(server.expect(200, 'POST', f'{path}/{action}').json), statuses_then, action)
    server.stop()
    server.start()
    equal(statuses(server.expect(200, 'GET', f'/v1/keys/{child["id"]}').json), ('active', 'revoked'), 'after a restart')


CASES = [places_are_kept_updated_and_cleared, places_that_are_none_are_refused, addresses_and_regions_are_asked,
         what_is_stated_must_be_something, requirements_are_judged, all_that_is_missing_is_named, a_dry_run_says_what_each_rule_says,
         a_dry_run_of_what_is_no_key, a_child_stands_under_its_parent, a_child_is_held_to_its_parent, families_have_an_end,
         a_management_child_hands_on_what_is_left_to_it, a_child_that_would_live_longer_is_told_until_when,
         grace_periods_are_told_their_bounds, a_careful_revocation_leaves_no_orphan,
         a_record_says_what_its_family_says]

if __name__ == '__main__':
    sys.exit(main(CASES))
