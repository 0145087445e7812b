"""Schedules over HTTP: given, shown, changed and removed; done at their time, once, and told of before."""

import calendar
import sys
import time

from api_support import check, equal, main

PATH = '/v1/keys'
PATIENCE_S = 60
FAR, FARTHER = '2098-01-31T12:00:00.000Z', '2099-01-31T12:00:00.000Z'


def at(server, seconds):
    """A time so many seconds from the server's own, as an answer of it would show it."""
    record = server.create({'ownerId': 'clock'})[1]
    seconds += calendar.timegm(time.strptime(record['createdAt'][:19], '%Y-%m-%dT%H:%M:%S')) + 1
    return time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(seconds))


def shown(server, record):
    return server.expect(200, 'GET', f'{PATH}/{record["id"]}').json


def change(server, record, schedule):
    return server.expect(200, 'PATCH', f'{PATH}/{record["id"]}', {'schedule': schedule}).json


def actions(server, record):
    """What the log says of a key, the first first, with what it was told of."""
    found = server.expect(200, 'GET', f'/v1/audit?key={record["id"]}&sort=timestamp').json['items']
    return [(item['action'], item['actor']) for item in found]


def wait_for(server, record, action):
    deadline = time.monotonic() + PATIENCE_S
    while action not in [name for name, _ in actions(server, record)]:
        check(time.monotonic() < deadline, f'{action} does not come')
    return actions(server, record)


def a_schedule_is_shown_and_changed_by_its_members(server):
    _, record = server.create({'ownerId': '1', 'schedule': {'disableAt': FAR, 'notifyBefore': '7d'}})
    equal(record['schedule'], {'disableAt': FAR, 'notifyBefore': '1w'}, 'a creation')
    equal(change(server, record, {'revokeAt': FARTHER})['schedule'],
          {'disableAt': FAR, 'revokeAt': FARTHER, 'notifyBefore': '1w'}, 'a member more')
    equal(change(server, record, {'disableAt': None})['schedule'], {'revokeAt': FARTHER, 'notifyBefore': '1w'}, 'one less')
    equal(server.expect(200, 'PATCH', f'{PATH}/{record["id"]}', {'name': 'x'}).json['schedule'],
          {'revokeAt': FARTHER, 'notifyBefore': '1w'}, 'another change')
    successor = server.expect(201, 'POST', f'{PATH}/{record["id"]}/rotate', {'gracePeriod': '1h'}).json['record']
    equal(successor['schedule'], {'revokeAt': FARTHER, 'notifyBefore': '1w'}, 'a rotation carries it')
    successor = server.expect(201, 'POST', f'{PATH}/{successor["id"]}/rotate', {'schedule': {'revokeAt': FAR}}).json['record']
    equal(successor['schedule'], {'revokeAt': FAR, 'notifyBefore': '1w'}, 'a rotation changes it')
    check('schedule' not in change(server, successor, None), 'all of it is removed')
    found = server.expect(200, 'GET', f'/v1/audit?key={successor["id"]}&action=key.updated').json['items'][0]
    equal(found['details']['changes']['schedule'], {'from': {'revokeAt': FAR, 'notifyBefore': '1w'}, 'to': None}, 'the log')


def what_no_schedule_can_be_is_refused(server):
    past = '2020-01-31T12:00:00Z'
    for schedule, field in (({'disableAt': past}, 'schedule.disableAt'), ({'revokeAt': past}, 'schedule.revokeAt'),
                            ({'notifyBefore': '2y'}, 'schedule.notifyBefore'), ({'notifyBefore': 7}, 'schedule.notifyBefore'),
                            ({'revokeAt': 'soon'}, 'schedule.revokeAt'), ('never', 'schedule')):
        server.refuse('INVALID_FIELD', 'POST', PATH, {'ownerId': '1', 'schedule': schedule}, field=field)
    server.refuse('UNKNOWN_FIELD', 'POST', PATH, {'ownerId': '1', 'schedule': {'enableAt': FAR}}, field='schedule.enableAt')


def a_key_is_disabled_and_enabled_again(server):
    key, record = server.create({'ownerId': '1', 'schedule': {'disableAt': at(server, 1), 'revokeAt': FAR, 'notifyBefore': '1h'}})
    told = wait_for(server, record, 'key.disabled')
    equal([name for name, _ in told], ['key.created', 'key.expiring', 'key.disabled'], 'the log')
    equal(told[2][1], 'system:schedule', 'who did it')
    equal(server.verify(key)['code'], 'DISABLED', 'the verdict')
    now = shown(server, record)
    equal((now['status'], now['enabled'], now['schedule']), ('disabled', False, {'revokeAt': FAR, 'notifyBefore': '1h'}), 'the record')
    server.expect(200, 'POST', f'{PATH}/{record["id"]}/enable', {})
    equal(server.verify(key)['valid'], True, 'enabled')


def a_key_is_revoked_and_stays_so(server):
    when = at(server, 1)
    key, record = server.create({'ownerId': 'gone', 'tags': ['gone'], 'schedule': {'revokeAt': when}})
    _, child = server.create({'ownerId': 'gone', 'parentId': record['id']})
    deadline = time.monotonic() + PATIENCE_S
    while server.verify(key).get('code') != 'REVOKED':
        check(time.monotonic() < deadline, 'it is not revoked')
    # Whether anybody has written it down by now or not: list, count and record say what the verdict says.
    now = shown(server, record)
    equal((now['status'], now['revokedAt'], now['revokedBy'], now['revokeReason']),
          ('revoked', when, 'system:schedule', 'scheduled'), 'the record')
    listed = server.expect(200, 'GET', f'{PATH}?status=revoked&owner=user:gone').json['items']
    equal(sorted(item['id'] for item in listed), sorted([record['id'], child['id']]), 'the list')
    server.refuse('CANNOT_MODIFY_REVOKED', 'PATCH', f'{PATH}/{record["id"]}', {'schedule': {'revokeAt': FAR}})
    server.refuse('INVALID_FIELD', 'POST', PATH, {'parentId': record['id']}, field='parentId')
    equal([name for name, _ in wait_for(server, record, 'key.revoked')], ['key.created', 'key.revoked'], 'the log')


def an_event_says_what_will_happen_when(server):
    when = at(server, 600)
    _, record = server.create({'ownerId': '1', 'expiresAt': when, 'schedule': {'notifyBefore': '1d'}})
    wait_for(server, record, 'key.expiring')
    found = server.expect(200, 'GET', f'/v1/audit?key={record["id"]}&action=key.expiring').json['items']
    equal([item['details']['expiring'] for item in found], [{'action': 'expire', 'at': when}], 'what is told')


def batches_and_templates_take_schedules(server):
    items = [{'ownerId': '1', 'schedule': {'revokeAt': FAR}}, {'ownerId': '1', 'schedule': {'revokeAt': 'soon'}}]
    made = server.expect(200, 'POST', f'{PATH}/batch/create', {'items': items}).json['items']
    equal(made[0]['record']['schedule'], {'revokeAt': FAR}, 'of a batch')
    equal(made[1]['error']['field'] if 'error' in made[1] else made[1].get('field'), 'schedule.revokeAt', 'a bad item')
    server.expect(201, 'POST', '/v1/templates', {'name': 'temporary', 'fields': {'schedule': {'revokeAt': FAR, 'notifyBefore': '1d'}},
                                                 'locked': ['schedule']})
    record = server.expect(201, 'POST', PATH, {'template': 'temporary', 'ownerId': '1'}).json['record']
    equal(record['schedule'], {'revokeAt': FAR, 'notifyBefore': '1d'}, 'of a template')
    server.refuse('FIELD_LOCKED', 'POST', PATH, {'template': 'temporary', 'ownerId': '1', 'schedule': {}}, field='schedule')


if __name__ == '__main__':
    sys.exit(main([a_schedule_is_shown_and_changed_by_its_members, what_no_schedule_can_be_is_refused,
                   a_key_is_disabled_and_enabled_again, a_key_is_revoked_and_stays_so, an_event_says_what_will_happen_when,
                   batches_and_templates_take_schedules]))
