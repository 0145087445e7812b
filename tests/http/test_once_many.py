"""Items of batches with an idempotencyKey: each is done once however often its batch comes, alone or all together."""

import sys
import threading

from api_support import check, equal, main
from test_bulk import CREATE, REVOKE, UPDATE, outcomes, read, send

SHOWN, REUSED = 'SECRET_ALREADY_SHOWN', 'IDEMPOTENCY_KEY_REUSED'


def named(name, **fields):
    return {'idempotencyKey': name, **({'ownerId': 'oncemany'} if not fields else fields)}


def count(server):
    return len(server.everything())


def creations_are_done_once(server):
    items = [named(f'c{i}', ownerId=f'u{i}') for i in range(3)]
    made = send(server, CREATE, items)
    before = count(server)
    equal(outcomes(made), [201] * 3, 'first')
    again = send(server, CREATE, [named('c9'), *items, {'ownerId': 'unnamed'}])
    equal(outcomes(again), [201, SHOWN, SHOWN, SHOWN, 201], 'again')
    equal([item['record'] for item in again[1:4]], [item['record'] for item in made], 'records')
    equal([(item['status'], 'key' in item) for item in again[1:4]], [(200, False)] * 3, 'no key')
    equal(count(server), before + 2, 'keys')
    check(all(server.verify(item['key'])['valid'] for item in made), 'the keys of the first answer')


def a_name_stands_for_one_item(server):
    send(server, CREATE, [named('n1', ownerId='a')])
    before = count(server)
    equal(outcomes(send(server, CREATE, [named('n1', ownerId='b'), named('n1', ownerId='a'), named('n2', ownerId='b')])),
          [REUSED, SHOWN, 201], 'each for itself')
    equal(outcomes(send(server, CREATE, [named('n3'), named('n3'), named('n3', ownerId='x')])), [201, SHOWN, REUSED],
          'twice in one batch')
    equal(outcomes(send(server, CREATE, [named('n4'), named('n4')], True)), ['NOT_DONE', REUSED], 'twice, all or none')
    equal(count(server), before + 2, 'keys')
    equal(outcomes(send(server, CREATE, [named('n4')])), [201], 'what was not done is not remembered')


def all_or_none_is_done_once(server):
    items = [named(f'a{i}', ownerId='all') for i in range(3)]
    made = send(server, CREATE, items, True)
    before = count(server)
    equal(outcomes(made), [201] * 3, 'first')
    equal(outcomes(send(server, CREATE, items, True)), [SHOWN] * 3, 'again')
    equal(outcomes(send(server, CREATE, items)), [SHOWN] * 3, 'again, each for itself')
    equal(outcomes(send(server, CREATE, [*items[:2], named('a9')], True)), [SHOWN, SHOWN, 'NOT_DONE'], 'some of them')
    equal(outcomes(send(server, CREATE, [named('a0', ownerId='x'), named('a8')], True)), [REUSED, 'NOT_DONE'], 'another')
    equal(count(server), before, 'keys')


def updates_and_revocations_are_done_once(server):
    records = [server.create({'ownerId': 'changed'})[1] for _ in range(2)]
    update = [{'id': record['id'], 'name': 'x', 'idempotencyKey': 'same'} for record in records[:1]]
    for _ in range(2):
        equal([(item['status'], item['record']['version']) for item in send(server, UPDATE, update)], [(200, 2)], 'update')
    revoke = [{'id': record['id'], 'reason': 'r', 'idempotencyKey': f'same{i}'} for i, record in enumerate(records)]
    for atomic in (True, True, False):
        done = send(server, REVOKE, revoke, atomic)
        equal([(item['status'], 'code' in item) for item in done], [(200, False)] * 2, 'revocations')
    equal(outcomes(send(server, REVOKE, [{**revoke[0], 'reason': 's'}])), [REUSED], 'another reason')
    equal(read(server, records[0])['version'], 3, 'version')
    server.expect(204, 'DELETE', f'/v1/keys/{records[0]["id"]}')
    equal(outcomes(send(server, REVOKE, revoke)), ['KEY_NOT_FOUND', 200], 'once erased')


def bad_names_are_refused(server):
    before = count(server)
    for name in ('', ' ', 'a b', 'x' * 256, 'ä'):
        equal(outcomes(send(server, CREATE, [{'ownerId': '1'}, named(name)], True)), ['NOT_DONE', 'INVALID_FIELD'], name)
        alone = send(server, CREATE, [named(name)])
        equal([(item['status'], item['code'], item['field']) for item in alone], [(400, 'INVALID_FIELD', 'idempotencyKey')], name)
    server.refuse('UNKNOWN_FIELD', 'POST', '/v1/keys', named('x'), field='idempotencyKey', status=400)
    equal(count(server), before, 'keys')
    send(server, CREATE, [named('x' * 255)])


def callers_are_apart_and_a_restart_forgets_nothing(server):
    one, two = server.manager('keys:create')[0], server.manager('keys:create')[0]
    items = [named('mine'), named('mine-too')]
    for key in (one, two):
        equal(outcomes(send(server, CREATE, items, key=key)), [201, 201], 'first')
    server.stop()
    server.start()
    for key in (one, two):
        equal(outcomes(send(server, CREATE, items, True, key=key)), [SHOWN, SHOWN], 'again')


def the_same_batch_from_many_at_once(server):
    items = [named(f'crowd{i}', ownerId='crowd1') for i in range(40)]
    before, answers = count(server), []

    def ask(atomic):
        answers.append(outcomes(send(server, CREATE, items, atomic)))
    threads = [threading.Thread(target=ask, args=(i % 2 == 0,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(len(answers), 12, 'answers')
    equal(sorted(answer.count(201) for answer in answers), [0] * 11 + [40], 'only one of them made keys')
    check(all(set(answer) in ({201}, {SHOWN}) for answer in answers), 'the others are told so')
    equal(count(server), before + 40, 'keys')


if __name__ == '__main__':
    sys.exit(main([
        creations_are_done_once, a_name_stands_for_one_item, all_or_none_is_done_once, updates_and_revocations_are_done_once,
        bad_names_are_refused, callers_are_apart_and_a_restart_forgets_nothing, the_same_batch_from_many_at_once]))
