"""Idempotency-Key: a request that comes again is done once, its key is shown once, and nobody else's request is taken for it."""

import sys
import threading

from api_support import check, equal, main

OWNER = {'ownerId': 'once'}


def named(name):
    return {'Idempotency-Key': name}


def created(server, name, body=None, **options):
    return server.expect(201, 'POST', '/v1/keys', OWNER if body is None else body, headers=named(name), **options).json


def repeated(server, made, path, body, **options):
    """The answer to a request that was done before: the record of `made`, and no key."""
    answer = server.expect(200, 'POST', path, body, **options)
    again = answer.json
    equal((again['code'], 'key' in again), ('SECRET_ALREADY_SHOWN', False), 'what is said of the key')
    check(again['message'] and again['advice'], 'message and advice')
    equal(again['record']['id'], made['record']['id'], 'the record that was made')
    equal(answer.header('ETag'), f'"{again["record"]["version"]}"', 'ETag')
    equal(answer.header('Location'), None, 'Location')
    check(made['key'] not in answer.body.decode(), 'the key is shown again')
    return again


def count(server):
    return len(server.everything())


def a_creation_is_done_once(server):
    before = count(server)
    made = created(server, 'create-1')
    for _ in range(2):
        again = repeated(server, made, '/v1/keys', OWNER, headers=named('create-1'))
        equal(again['record'], made['record'], 'the record')
    equal(count(server), before + 1, 'keys that were made')
    check(server.verify(made['key'])['valid'], 'the key of the first answer works')
    server.expect(201, 'POST', '/v1/keys', OWNER, headers=named('create-2'))
    equal(count(server), before + 2, 'keys that were made')


def another_body_is_refused(server):
    created(server, 'bodies')
    before = count(server)
    for body in ({'ownerId': 'another'}, {**OWNER, 'name': 'x'}):
        server.refuse('IDEMPOTENCY_KEY_REUSED', 'POST', '/v1/keys', body, headers=named('bodies'), status=422)
    equal(count(server), before, 'keys that were made')


def a_refused_request_can_be_corrected(server):
    server.refuse('INVALID_FIELD', 'POST', '/v1/keys', {**OWNER, 'scopes': ['a b']}, headers=named('wrong'), status=400)
    created(server, 'wrong')


def both_forms_name_the_same_request(server):
    made = created(server, 'form-"1\\')
    repeated(server, made, '/v1/keys', OWNER, headers=named('"form-\\"1\\\\"'))
    longest = created(server, 'x' * 255)
    repeated(server, longest, '/v1/keys', OWNER, headers=named('"' + 'x' * 255 + '"'))


def other_forms_are_refused(server):
    before = count(server)
    for form in ('', '""', '"', '"open', '"a"b', '"a";p=1', 'a b', '"a b"', 'a\tb', 'x' * 256, '"' + 'x' * 256 + '"', 'ä',
                 '"a\\b"'):
        server.refuse('INVALID_FIELD', 'POST', '/v1/keys', OWNER, field='Idempotency-Key', headers=named(form), status=400)
    equal(count(server), before, 'keys that were made')


def callers_and_projects_are_apart(server):
    one, two = server.manager('keys:create')[0], server.manager('keys:create')[0]
    first = created(server, 'mine', key=one)
    second = created(server, 'mine', key=two)
    check(first['record']['id'] != second['record']['id'], 'two callers share a request')
    repeated(server, first, '/v1/keys', OWNER, headers=named('mine'), key=one)
    repeated(server, second, '/v1/keys', OWNER, headers=named('mine'), key=two)
    body = {'owner': 'service:test', 'resources': {'project:default': ['keys:read']}}
    created(server, 'here', body)
    manager = server.expect(201, 'POST', '/v1/keys', body, headers={**named('here'), 'Keyward-Project': 'keyward'}).json
    equal(manager['record']['projectId'], 'keyward', 'project')


def a_rotation_is_done_once(server):
    key, record = server.create(OWNER)
    path, body = f'/v1/keys/{record["id"]}/rotate', {'gracePeriod': '1h'}
    made = server.expect(201, 'POST', path, body, headers={**named('rotate-1'), 'If-Match': '"1"'}).json
    again = repeated(server, made, path, body, headers={**named('rotate-1'), 'If-Match': '"1"'})
    equal((again['record'], again['previous']), (made['record'], made['previous']), 'both records')
    check(server.verify(key)['valid'] and server.verify(made['key'])['valid'], 'both keys work')
    server.refuse('IDEMPOTENCY_KEY_REUSED', 'POST', path, {'gracePeriod': '2h'}, headers=named('rotate-1'), status=422)
    server.refuse('ALREADY_ROTATED', 'POST', path, body, headers=named('rotate-2'), status=409)
    other = f'/v1/keys/{server.create(OWNER)[1]["id"]}/rotate'
    server.refuse('IDEMPOTENCY_KEY_REUSED', 'POST', other, body, headers=named('rotate-1'), status=422)
    server.expect(201, 'POST', other, body, headers=named('rotate-3'))


def routes_are_apart(server):
    made = created(server, 'routes', {'ownerId': 'routes'})
    path = f'/v1/keys/{made["record"]["id"]}/rotate'
    successor = server.expect(201, 'POST', path, headers=named('routes')).json
    repeated(server, made, '/v1/keys', {'ownerId': 'routes'}, headers=named('routes'))
    repeated(server, successor, path, None, headers=named('routes'))


def the_record_is_as_it_is_now(server):
    made = created(server, 'fate')
    path = f'/v1/keys/{made["record"]["id"]}'
    changed = server.expect(200, 'PATCH', path, {'name': 'later'}).json
    equal(repeated(server, made, '/v1/keys', OWNER, headers=named('fate'))['record'], changed, 'a changed record')
    server.expect(200, 'POST', path + '/revoke')
    equal(repeated(server, made, '/v1/keys', OWNER, headers=named('fate'))['record']['status'], 'revoked', 'status')
    server.expect(204, 'DELETE', path)
    server.refuse('KEY_NOT_FOUND', 'POST', '/v1/keys', OWNER, headers=named('fate'), status=404)


def other_operations_do_not_read_it(server):
    key, record = server.create(OWNER)
    path = f'/v1/keys/{record["id"]}'
    for action in ('disable', 'enable', 'disable', 'enable'):
        server.expect(200, 'POST', f'{path}/{action}', headers=named('one name'))
    equal(server.expect(200, 'GET', path, headers=named('not "one')).json['version'], 5, 'version')
    for _ in range(2):
        check(server.expect(200, 'POST', '/v1/keys/verify', {'key': key}, headers=named('')).json['valid'], 'verdict')


def many_at_the_same_time_make_one_key(server):
    before, answers = count(server), []
    def ask():
        answers.append(server.call('POST', '/v1/keys', OWNER, headers=named('crowd')))
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(sorted(answer.status for answer in answers), [200] * 15 + [201], 'statuses')
    equal(len({answer.json['record']['id'] for answer in answers}), 1, 'ids')
    equal(count(server), before + 1, 'keys that were made')


def a_restart_forgets_nothing(server):
    made = created(server, 'restart')
    server.stop()
    server.start()
    repeated(server, made, '/v1/keys', OWNER, headers=named('restart'))
    server.refuse('IDEMPOTENCY_KEY_REUSED', 'POST', '/v1/keys', {'ownerId': 'x'}, headers=named('restart'), status=422)


if __name__ == '__main__':
    sys.exit(main([
        a_creation_is_done_once, another_body_is_refused, a_refused_request_can_be_corrected,
        both_forms_name_the_same_request, other_forms_are_refused, callers_and_projects_are_apart, a_rotation_is_done_once,
        routes_are_apart, the_record_is_as_it_is_now, other_operations_do_not_read_it, many_at_the_same_time_make_one_key,
        a_restart_forgets_nothing]))
