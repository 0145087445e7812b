"""Use that is counted, to the built program: by key, owner, organization and project, and when keys were last used."""

import sys
import time

from api_support import check, equal, main, quote

WAIT_SECONDS_MAX = 30


def usage(server, path, **query):
    text = '&'.join(f'{name}={quote(str(value))}' for name, value in query.items())
    return server.expect(200, 'GET', path + ('?' + text if text else '')).json


def of_key(server, record, **query):
    return usage(server, f'/v1/keys/{record["id"]}/usage', **query)


def verifications_are_counted_at_once(server):
    key, record = server.create({'ownerId': 'counted', 'orgId': 'acme', 'scopes': ['read']})
    equal(of_key(server, record)['totals'], {'verifications': 0, 'valid': 0, 'counts': {}}, 'before any')
    for _ in range(3):
        check(server.verify(key, cost=2)['valid'], 'a good key')
    equal(server.verify(key, scopes=['write'])['code'], 'INSUFFICIENT_SCOPE', 'verdict')
    server.verify(key, dryRun=True)
    counts = {'verifications': 4, 'valid': 3, 'counts': {'INSUFFICIENT_SCOPE': 1, 'VALID': 3}}
    answer = of_key(server, record)
    equal(answer['totals'], counts, 'of the key')
    equal([(answer['by'], answer['group']), sum(part['verifications'] for part in answer['series'])], [('hour', 'code'), 4], 'series')
    equal(usage(server, '/v1/usage', ownerId='counted')['totals'], counts, 'of the owner')
    equal(usage(server, '/v1/usage', owner='user:counted', by='day')['totals'], counts, 'of the owner, by day')
    equal(usage(server, '/v1/usage', org='acme')['totals'], counts, 'of the organization')
    equal(of_key(server, record, group='metric')['totals']['counts'], {'requests': 6}, 'what they cost')
    other = {'headers': {'Keyward-Project': 'keyward'}}
    server.refuse('KEY_NOT_FOUND', 'GET', f'/v1/keys/{record["id"]}/usage', status=404, **other)


def the_project_counts_what_is_not_known(server):
    before = usage(server, '/v1/usage')['totals']['counts']
    server.verify('sk_live_nothing')
    unknown = server.create()[0]
    server.verify(unknown[:-40] + ('a' if unknown[-40] != 'a' else 'b') + unknown[-39:])
    after = usage(server, '/v1/usage')['totals']['counts']
    equal(after.get('INVALID_FORMAT', 0) - before.get('INVALID_FORMAT', 0), 2, 'two that are no keys')


def endpoints_regions_and_addresses_are_kept(server):
    key, record = server.create()
    server.verify(key, endpoint='GET /v1/things', ip='192.0.2.7', geo={'country': 'US', 'region': 'CA'})
    server.verify(key, endpoint='GET /v1/things')
    server.verify(key, endpoint='POST /v1/things', ip='2001:db8::1', geo={'country': 'CH'})
    equal(of_key(server, record, group='endpoint')['totals']['counts'], {'GET /v1/things': 2, 'POST /v1/things': 1}, 'endpoints')
    equal(of_key(server, record, group='region')['totals']['counts'], {'CH': 1, 'US': 1}, 'regions')
    shown = server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json
    equal((shown['lastUsedIP'], shown['lastUsedRegion'], shown['version']), ('2001:db8::1', 'CH', 1), 'the latest use')
    for endpoint in ('', 'x' * 65, 'a\nb'):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys/verify', {'key': key, 'endpoint': endpoint}, field='endpoint', status=400)


def lists_show_and_filter_by_the_latest_use(server):
    used, record = server.create({'ownerId': 'lists'})
    unused = server.create({'ownerId': 'lists'})[1]
    server.verify(used)
    of_key(server, record)  # what was counted is written
    path = '/v1/keys?ownerId=lists'
    items = server.expect(200, 'GET', path).json['items']
    equal([('lastUsedAt' in item) for item in items], [True, False], 'in a list')
    moment = items[0]['lastUsedAt']
    later = '2999-01-01T00:00:00Z'
    for query, expected in ((f'usedAfter={moment}', [record['id']]), (f'usedBefore={moment}', [unused['id']]),
                            (f'usedBefore={later}', [unused['id'], record['id']]), (f'usedAfter={later}', []),
                            (f'usedAfter={moment}&usedBefore={later}', [record['id']])):
        equal([item['id'] for item in server.expect(200, 'GET', f'{path}&{query}').json['items']], expected, query)
        equal(server.expect(200, 'GET', f'/v1/keys/count?ownerId=lists&{query}').json, {'count': len(expected), 'atLeast': False}, query)
    for query, expected in (('sort=lastUsedAt', [unused['id'], record['id']]),
                            (f'sort=createdAt&usedBefore={later}', [record['id'], unused['id']])):
        page = server.expect(200, 'GET', f'{path}&{query}&limit=1').json
        rest = server.expect(200, 'GET', f'{path}&{query}&cursor={page["nextCursor"]}').json
        equal([item['id'] for item in page['items'] + rest['items']], expected, query)
        check('nextCursor' not in rest, f'{query} ends')
    server.refuse('INVALID_FIELD', 'GET', '/v1/keys?usedBefore=yesterday', field='usedBefore', status=400)


def reports_are_exact_and_done_once(server):
    _, record = server.create({'ownerId': 'reports'})
    path = f'/v1/keys/{record["id"]}/usage'
    body = {'endpoint': 'POST /v1/chat', 'tokens': 1500, 'cost': 0.002}
    expected = {'keyId': record['id'], 'endpoint': 'POST /v1/chat', 'counted': {'tokens': 1500, 'cost': 0.002}}
    for _ in range(3):
        equal(server.expect(200, 'POST', path, body, headers={'Idempotency-Key': 'r1'}).json, expected, 'a report')
    equal(server.expect(200, 'POST', path, {'cost': 0.000001}).json['counted'], {'cost': 0.000001}, 'a small one')
    equal(of_key(server, record, group='metric')['totals']['counts'], {'cost': 0.002001, 'tokens': 1500}, 'the sum')
    equal(of_key(server, record, group='endpoint')['totals']['amounts'], {'POST /v1/chat': {'cost': 0.002, 'tokens': 1500}}, 'by endpoint')
    equal(usage(server, '/v1/usage', ownerId='reports', group='metric')['totals']['counts'], {'cost': 0.002001, 'tokens': 1500}, 'the owner\'s')
    server.refuse('IDEMPOTENCY_KEY_REUSED', 'POST', path, {'tokens': 1}, headers={'Idempotency-Key': 'r1'}, status=422)
    for wrong, code, field in (({}, 'MISSING_FIELD', 'tokens'), ({'endpoint': 'x'}, 'MISSING_FIELD', 'tokens'),
                               ({'tokens': -1}, 'INVALID_FIELD', 'tokens'), ({'tokens': '5'}, 'INVALID_FIELD', 'tokens'),
                               ({'cost': 0.0000001}, 'INVALID_FIELD', 'cost'), ({'tokens': 1e13}, 'INVALID_FIELD', 'tokens'),
                               ({'requests': 1}, 'INVALID_FIELD', 'requests'), ({'pages': 1}, 'UNKNOWN_FIELD', 'pages'),
                               ({'endpoint': 5, 'tokens': 1}, 'INVALID_FIELD', 'endpoint')):
        server.refuse(code, 'POST', path, wrong, field=field, status=400)
    nobody = path.replace(record['id'], record['id'][:-1] + ('0' if record['id'][-1] != '0' else '1'))
    server.refuse('KEY_NOT_FOUND', 'POST', nobody, {'tokens': 1}, status=404)
    equal(of_key(server, record, group='metric')['totals']['counts'], {'cost': 0.002001, 'tokens': 1500}, 'after refusals')


def questions_that_cannot_be_answered_are_refused(server):
    _, record = server.create()
    path = f'/v1/keys/{record["id"]}/usage'
    for query, field in (('by=week', 'by'), ('group=colour', 'group'), ('from=now', 'from'), ('by=hour&from=2020-01-01T00:00:00Z', 'from'),
                         ('from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z', 'from'),
                         ('by=day&from=1990-01-01T00:00:00Z', 'from')):
        server.refuse('INVALID_FIELD', 'GET', f'{path}?{query}', field=field, status=400)
    server.refuse('INVALID_FIELD', 'GET', '/v1/usage?ownerId=1&org=2', field='org', status=400)
    server.refuse('KEY_NOT_FOUND', 'GET', '/v1/keys/key_nothing/usage', status=404)
    equal(of_key(server, record, **{'from': '2020-01-01T00:00:00Z', 'until': '2026-01-01T00:00:00Z'})['by'], 'day', 'a long time')


def a_management_key_needs_the_scopes(server):
    _, record = server.create()
    path = f'/v1/keys/{record["id"]}/usage'
    reader = server.manager('keys:read')[0]
    reporter = server.manager('keys:report')[0]
    server.expect(200, 'GET', path, key=reader)
    server.expect(200, 'GET', '/v1/usage', key=reader)
    server.expect(200, 'POST', path, {'tokens': 1}, key=reporter)
    server.refuse('FORBIDDEN', 'POST', path, {'tokens': 1}, key=reader, status=403)
    server.refuse('FORBIDDEN', 'GET', path, key=reporter, status=403)


def metric(server, name):
    lines = server.call('GET', '/metrics').body.decode().splitlines()
    return int([line for line in lines if line.startswith(name + ' ')][0].split()[1])


def what_is_counted_is_written_by_itself(server):
    key, record = server.create()
    before = metric(server, 'keyward_uses_written_total')
    server.verify(key)
    until = time.monotonic() + WAIT_SECONDS_MAX
    while metric(server, 'keyward_uses_written_total') <= before:
        check(time.monotonic() < until, 'nothing was written')
    while 'lastUsedAt' not in server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json:
        check(time.monotonic() < until, 'no latest use')
    equal(metric(server, 'keyward_uses_dropped_total'), 0, 'dropped')


def a_project_says_how_long_days_are_kept(server):
    made = server.expect(201, 'POST', '/v1/projects', {'name': 'kept', 'usageRetention': '30d'}).json
    equal(made['usageRetention'], '30d', 'the setting')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/kept', {'usageRetention': '2d'}, field='usageRetention', status=400)
    check('usageRetention' not in server.expect(200, 'PATCH', '/v1/projects/kept', {'usageRetention': None}).json, 'taken back')


if __name__ == '__main__':
    sys.exit(main([verifications_are_counted_at_once, the_project_counts_what_is_not_known, endpoints_regions_and_addresses_are_kept,
                   lists_show_and_filter_by_the_latest_use, reports_are_exact_and_done_once,
                   questions_that_cannot_be_answered_are_refused, a_management_key_needs_the_scopes,
                   what_is_counted_is_written_by_itself, a_project_says_how_long_days_are_kept]))
