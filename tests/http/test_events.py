"""The log of events over HTTP: what it tells of each change, how it is searched, and how cursors hold while it grows."""

import json
import pathlib
import re
import time

from api_support import check, equal, main

PATH = '/v1/events'
PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'events.md'
PATIENCE_S = 60
MONTH = {'metric': 'requests', 'limit': 5, 'period': 'month'}


def events(server, query='', **options):
    return server.expect(200, 'GET', f'{PATH}?{query}', **options).json['items']


def all_events(server, query, limit=3, **options):
    """All pages."""
    items, cursor = [], ''
    while True:
        page = server.expect(200, 'GET', f'{PATH}?{query}&limit={limit}{cursor}', **options).json
        items += page['items']
        if 'nextCursor' not in page:
            return items
        cursor = f'&cursor={page["nextCursor"]}'


def until(server, query, count, **options):
    """The events, once there are so many: of what is told a moment later."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = all_events(server, query, 1000, **options)
        if len(found) >= count:
            return found
        check(time.monotonic() < deadline, f'{count} events of {query} in time: {found}')


def every_change_is_told(server):
    key, record = server.create({'ownerId': 'told', 'name': 'before', 'orgId': 'acme', 'expiresIn': '30d'})
    path = f'/v1/keys/{record["id"]}'
    server.expect(200, 'PATCH', path, {'name': 'after', 'scopes': ['read']})
    server.expect(200, 'POST', f'{path}/disable', {'reason': 'too loud'})
    server.expect(200, 'POST', f'{path}/enable')
    rotated = server.expect(201, 'POST', f'{path}/rotate', {'gracePeriod': '1h'}).json
    server.expect(200, 'POST', f'{path}/revoke', {'reason': 'done'})
    server.expect(204, 'DELETE', path)
    found = events(server, f'key={record["id"]}')
    equal([item['event'] for item in found],
          ['key.created', 'key.updated', 'key.disabled', 'key.enabled', 'key.rotated', 'key.revoked', 'key.erased'], 'events')
    equal(events(server, f'key={record["id"]}&sort=-timestamp'), list(reversed(found)), 'the other way round')
    created, updated, disabled, _, turned, revoked, erased = found
    for item in found:
        equal(set(item), {'id', 'event', 'timestamp', 'data'}, 'members')
        check(re.fullmatch(r'evt_[0-9A-HJKMNP-TV-Z]{26}', item['id']), item['id'])
        equal((item['data']['projectId'], item['data']['keyId'], item['data']['env'], item['data']['lastFour']),
              ('default', record['id'], record['env'], key[-4:]), 'which key')
        check(item['data']['actor'].startswith('key:key_'), item)
    equal(len({item['id'] for item in found}), len(found), 'ids')
    for item in found[:-1]:
        equal((item['data']['owner'], item['data']['ownerId'], item['data']['orgId']), ('user:told', 'told', 'acme'), 'whose')
    equal(created['data']['expiresAt'], record['expiresAt'], 'expiry')
    equal(sorted(updated['data']['changed']), ['name', 'scopes'], 'what changed')
    equal(disabled['data']['reason'], 'too loud', 'reason')
    equal(turned['data']['rotatedTo'], rotated['record']['id'], 'successor')
    check('graceUntil' in turned['data'], turned)
    equal((revoked['data']['reason'], revoked['data']['revokedBy']), ('done', revoked['data']['actor']), 'who revoked it')
    check('owner' not in erased['data'] and 'name' not in erased['data'], erased)
    check(key not in json.dumps(found), 'no key')


def documents_are_told(server):
    server.expect(201, 'POST', '/v1/policies', {'name': 'told'})
    server.expect(200, 'PATCH', '/v1/policies/told', {'maxTtl': '1d'})
    server.expect(204, 'DELETE', '/v1/policies/told')
    server.expect(201, 'POST', '/v1/templates', {'name': 'told'})
    found = [item for item in all_events(server, 'type=policy.changed,template.*') if item['data']['name'] == 'told']
    equal([(item['event'], item['data']['change']) for item in found],
          [('policy.changed', 'created'), ('policy.changed', 'updated'), ('policy.changed', 'deleted'),
           ('template.changed', 'created')], 'documents')
    equal(found[1]['data']['version'], 2, 'version')


def an_import_is_told_once(server):
    lines = b''.join(json.dumps({'id': f'old-{number}', 'key': f'old_{number:032d}', 'ownerId': '1'}).encode() + b'\n'
                     for number in range(3))
    answer = server.expect(200, 'POST', '/v1/import', lines, headers={'Content-Type': 'application/x-ndjson'})
    told = events(server, 'type=keys.imported')
    equal(len(told), 1, f'one event {answer.body[:300]!r}')
    equal((told[0]['data']['count'], len(told[0]['data']['keyIds'])), (3, 3), 'which names all')


def marks_of_quotas_are_told(server):
    key, record = server.create({'ownerId': 'marks', 'name': 'm', 'quotas': [{**MONTH, 'warnAt': [40, 100]}]})
    check(server.verify(key, cost=3)['valid'], 'more than the first mark')
    warned = until(server, f'key={record["id"]}&type=quota.*', 1)[0]
    equal((warned['event'], warned['data']['percent'], warned['data']['limit']), ('key.quota.warning', 40, 5), 'a mark')
    check(server.verify(key, cost=2)['valid'], 'all of it')
    exceeded = until(server, f'key={record["id"]}&type=quota.exceeded', 1)[0]
    equal((exceeded['event'], exceeded['data']['percent'], exceeded['data']['used']), ('key.quota.exceeded', 100, 5), 'the end')
    equal((exceeded['data']['quota'], exceeded['data']['ownerId'], exceeded['data']['lastFour'], exceeded['data']['name']),
          ('requests-month', 'marks', key[-4:], 'm'), 'of which key')
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/credit', {'quota': 'requests-month', 'amount': 2, 'reason': 'outage'})
    credited = events(server, f'key={record["id"]}&type=quota.credited')
    equal([(item['data']['credited'], item['data']['reason']) for item in credited], [(2, 'outage')], 'a credit')


def filters_agree_with_a_plain_search(server):
    for owner in ('user:a', 'team:b', 'user:c'):
        for env in ('live', 'test'):
            _, record = server.create({'owner': owner, 'env': env})
            server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke')
    everything = all_events(server, '', 1000)
    cases = {
        'type=key.revoked': lambda item: item['event'] == 'key.revoked',
        'type=revoked': lambda item: item['event'] == 'key.revoked',
        'type=key.*': lambda item: item['event'].startswith('key.'),
        'type=*': lambda item: True,
        'type=created,revoked': lambda item: item['event'] in ('key.created', 'key.revoked'),
        'type=policy.*,key.revoked': lambda item: item['event'].startswith('policy.') or item['event'] == 'key.revoked',
        'owner=team:b': lambda item: item['data'].get('owner') == 'team:b',
        'ownerId=a': lambda item: item['data'].get('owner') == 'user:a',
        'env=test&type=created': lambda item: item['event'] == 'key.created' and item['data'].get('env') == 'test',
        f'since={everything[len(everything) // 2]["timestamp"]}':
            lambda item: item['timestamp'] >= everything[len(everything) // 2]['timestamp'],
    }
    for query, matches in cases.items():
        wanted = [item for item in everything if matches(item)]
        check(wanted, f'{query} finds something')
        equal(all_events(server, query), wanted, query)
        equal(all_events(server, f'{query}&sort=-timestamp'), list(reversed(wanted)), f'{query}, the other way round')


def a_cursor_holds_while_events_are_added(server):
    seen, cursor = [], server.expect(200, 'GET', f'{PATH}?limit=1000').json['resume']
    made = []
    for round_number in range(6):
        for _ in range(5):
            made.append(server.create()[1]['id'])
        page = server.expect(200, 'GET', f'{PATH}?limit=4&cursor={cursor}').json
        seen += page['items']
        cursor = page['resume']
    while len(seen) < len(made):
        page = server.expect(200, 'GET', f'{PATH}?limit=4&cursor={cursor}').json
        check(page['items'], f'{len(seen)} of {len(made)}')
        seen += page['items']
        cursor = page['resume']
    equal([item['data']['keyId'] for item in seen], made, 'each once, in order')
    page = server.expect(200, 'GET', f'{PATH}?cursor={cursor}').json
    equal((page['items'], page['resume'], 'nextCursor' in page), ([], cursor, False), 'and no more')


def who_may_read(server):
    reader, _ = server.manager('events:read')
    other, _ = server.manager('keys:read', 'audit:read')
    elsewhere = {'Keyward-Project': 'elsewhere'}
    server.expect(201, 'POST', '/v1/projects', {'name': 'elsewhere'})
    server.create({'ownerId': 'there'}, headers=elsewhere)
    check(events(server, key=reader), 'with the scope')
    server.refuse('FORBIDDEN', 'GET', PATH, status=403, key=other)
    server.refuse('UNAUTHORIZED', 'GET', PATH, status=401, key=None)
    server.refuse('FORBIDDEN', 'GET', PATH, status=403, key=reader, headers=elsewhere)
    equal({item['data']['projectId'] for item in all_events(server, '', 1000, headers=elsewhere)}, {'elsewhere'}, 'own events')
    check(all(item['data']['projectId'] == 'default' for item in all_events(server, '', 1000)), 'no others')


def what_cannot_be_asked_is_refused(server):
    for query, field in (('type=key.flown', 'type'), ('type=', 'type'), ('type=created,', 'type'), ('type=ke.*', 'type'),
                         ('type=' + ','.join(['created'] * 33), 'type'), ('key=7', 'key'), ('since=now', 'since'), ('limit=0', 'limit'),
                         ('limit=1001', 'limit'), ('cursor=x', 'cursor'), ('cursor=-1', 'cursor'), ('sort=-timestamp&cursor=5', 'cursor'),
                         ('sort=name', 'sort'), ('env=' + 'e' * 33, 'env')):
        server.refuse('INVALID_FIELD', 'GET', f'{PATH}?{query}', field=field, status=400)
    server.refuse('UNKNOWN_FIELD', 'GET', f'{PATH}?action=key.created', field='action', status=400)


def a_project_says_how_long_they_are_kept(server):
    made = server.expect(201, 'POST', '/v1/projects', {'name': 'kept', 'eventRetention': '7d'}).json
    equal(made['eventRetention'], '7d', 'the setting')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/kept', {'eventRetention': '23h'}, field='eventRetention', status=400)
    check('eventRetention' not in server.expect(200, 'PATCH', '/v1/projects/kept', {'eventRetention': None}).json, 'taken back')
    server.refuse('INVALID_FIELD', 'PATCH', '/v1/projects/kept', {'unusedAfter': '1h'}, field='unusedAfter', status=400)
    equal(server.expect(200, 'PATCH', '/v1/projects/kept', {'unusedAfter': '90d'}).json['unusedAfter'], '90d', 'the other setting')


def documented():
    """What docs/events.md says that events have: {type: (always, sometimes)}."""
    rows = re.findall(r'^\| `([a-z_.]+)` \| [^|]* \| ([^|]*) \| ([^|]*)\|$', PAGE.read_text(encoding='utf-8'), re.M)
    return {name: tuple(set(re.findall(r'`(\w+)`', part)) for part in parts) for name, *parts in rows}


def all_that_was_told_is_as_documented(server):
    catalogue = documented()
    check(len(catalogue) > 15, f'{len(catalogue)} events in docs/events.md')
    told = all_events(server, '', 1000) + all_events(server, '', 1000, headers={'Keyward-Project': 'keyward'})
    for item in told:
        always, sometimes = catalogue[item['event']]
        check(always <= set(item['data']) <= always | sometimes, f'{item["event"]} has {sorted(item["data"])}')
    check(len({item['event'] for item in told}) > 12, 'many kinds were looked at')


if __name__ == '__main__':
    main([every_change_is_told, documents_are_told, an_import_is_told_once, marks_of_quotas_are_told, filters_agree_with_a_plain_search,
          a_cursor_holds_while_events_are_added, who_may_read, what_cannot_be_asked_is_refused,
          a_project_says_how_long_they_are_kept, all_that_was_told_is_as_documented])
