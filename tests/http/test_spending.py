"""What keys spend of quotas and shared limits, to the built program: refused, throttled, reported, credited, and over restarts and kills."""

import signal
import sqlite3
import pathlib
import threading
import time

from api_support import check, equal, main

MONTH = {'limit': 5, 'period': 'month'}


def standing(server, record, name):
    quotas = server.expect(200, 'GET', f'/v1/keys/{record["id"]}/usage').json['quotas']
    return next(quota for quota in quotas if quota['name'] == name)


def used(server, record, name):
    quota = standing(server, record, name)
    return quota['used'], quota['remaining']


def restart(server, with_kill):
    if with_kill:
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(timeout=20)
    else:
        server.stop()
    server.start()


def a_quota_refuses_what_is_beyond_it(server):
    key, record = server.create({'quota': MONTH})
    verdict = server.verify(key, cost=4)
    equal((verdict['valid'], verdict['quota']['used'], verdict['quota']['remaining']), (True, 4, 1), 'first')
    refused = server.verify(key, cost=2)
    equal((refused['valid'], refused['code'], refused['quota']['used']), (False, 'QUOTA_EXCEEDED', 4), 'refused')
    dry = server.verify(key, cost=2, dryRun=True)
    equal((dry['code'], dry['checks'][-1]['rule'], dry['checks'][-1]['code']), ('QUOTA_EXCEEDED', 'quotas', 'QUOTA_EXCEEDED'), 'dry run')
    check(server.verify(key)['valid'], 'the rest')
    equal(used(server, record, 'requests-month'), (5, 0), 'used')
    answer = server.raw('GET', '/v1/authorize/default', None, {'Authorization': f'Bearer {key}'})
    equal(answer.status, 429, 'authorize')
    check(int(answer.header('Retry-After')) > 0, 'Retry-After')
    server.expect(200, 'PATCH', f'/v1/keys/{record["id"]}', {'quota': {**MONTH, 'limit': 6}})
    check(server.verify(key)['valid'], 'a larger quota')
    check(not server.verify(key)['valid'], 'which forgives nothing')


def all_limits_are_taken_or_none(server):
    key, record = server.create({'quota': MONTH, 'rateLimit': {'requests': 3, 'window': '1h'}})
    for cost in (4, 6):
        equal(server.verify(key, cost=cost)['code'], 'RATE_LIMITED', f'cost {cost}')
    equal(used(server, record, 'requests-month'), (0, 5), 'nothing was taken')
    check(server.verify(key, cost=3)['valid'], 'all of the limit')
    equal(used(server, record, 'requests-month'), (3, 2), 'and as much of the quota')
    limit = server.expect(200, 'GET', f'/v1/keys/{record["id"]}/usage').json['rateLimits'][0]
    check(limit.pop('resetsAt') > record['createdAt'], 'when it is back')
    equal(limit, {'name': 'default', 'per': 'key', 'limit': 3, 'window': '1h', 'used': 3, 'remaining': 0}, 'and the limit')
    refused = server.verify(key, scopes=['admin'])
    equal((refused['code'], used(server, record, 'requests-month')), ('INSUFFICIENT_SCOPE', (3, 2)), 'another rule refuses')


def what_is_over_is_warned_of_or_throttled(server):
    key, record = server.create({'quotas': [{**MONTH, 'onExceeded': 'warn', 'warnAt': [40, 100]}]})
    for _ in range(7):
        check(server.verify(key)['valid'], 'only warned of')
    equal(used(server, record, 'requests-month'), (7, 0), 'used beyond')
    marks = []
    until = time.monotonic() + 20
    while len(marks) < 2 and time.monotonic() < until:
        file = next(pathlib.Path(server.folder.name, 'data').glob('*.db'))
        with sqlite3.connect(f'file:{file}?mode=ro', uri=True) as db:
            marks = [body for (body,) in db.execute("SELECT body FROM event WHERE type IN ('key.quota.warning', 'key.quota.exceeded') ORDER BY sequence")]
    check(b'"percent":100' in bytes(marks[-1]), f'events {marks}')
    key, record = server.create({'quotas': [{**MONTH, 'onExceeded': 'throttle', 'throttle': {'requests': 2, 'window': '1h'}}]})
    outcomes = [server.verify(key) for _ in range(9)]
    equal([one['valid'] for one in outcomes], [True] * 7 + [False] * 2, 'throttled')
    equal(outcomes[-1]['code'], 'RATE_LIMITED', 'code')
    equal(used(server, record, 'requests-month'), (7, 0), 'used beyond')


def keys_of_an_owner_share(server):
    shared = {'owner': 'team:9', 'quota': {**MONTH, 'per': 'owner'}, 'rateLimit': {'requests': 4, 'window': '1h', 'per': 'owner'}}
    first, _ = server.create(shared)
    second, record = server.create(shared)
    other, _ = server.create({**shared, 'owner': 'team:10'})
    check(server.verify(first, cost=3)['valid'], 'one key')
    equal(server.verify(second, cost=2)['code'], 'RATE_LIMITED', 'another key of the owner')
    check(server.verify(second)['valid'], 'the rest')
    check(server.verify(other, cost=4)['valid'], 'another owner')
    equal(used(server, record, 'requests-month'), (4, 1), 'one quota')


def what_is_reported_is_spent(server):
    key, record = server.create({'quotas': [{'metric': 'tokens', 'limit': 2000, 'period': 'day'}, {'metric': 'cost', 'limit': 0.01, 'period': 'day'}]})
    path = f'/v1/keys/{record["id"]}/usage'
    check(server.verify(key)['valid'], 'before')
    report = {'endpoint': 'POST /v1/chat', 'tokens': 1500, 'cost': 0.002}
    for _ in range(2):
        server.expect(200, 'POST', path, report, headers={'Idempotency-Key': 'chat-1'})
    equal(used(server, record, 'tokens-day'), (1500, 500), 'tokens, once')
    equal(used(server, record, 'cost-day'), (0.002, 0.008), 'cost, exactly')
    check(server.verify(key)['valid'], 'something is left')
    server.expect(200, 'POST', path, {'tokens': 900})
    equal(used(server, record, 'tokens-day'), (2400, 0), 'what happened counts beyond')
    equal(server.verify(key)['code'], 'QUOTA_EXCEEDED', 'and refuses what comes next')
    server.refuse('UNKNOWN_FIELD', 'POST', path, {'images': 2}, field='images')
    server.expect(200, 'PATCH', '/v1/projects/default', {'metrics': ['images']})
    server.expect(200, 'POST', path, {'images': 2})


def a_credit_gives_back(server):
    key, record = server.create({'quota': MONTH})
    check(server.verify(key, cost=5)['valid'], 'all of it')
    path = f'/v1/keys/{record["id"]}/credit'
    for body, code, field in (({'quota': 'no-such', 'amount': 1}, 'INVALID_FIELD', 'quota'), ({'quota': 'requests-month'}, 'MISSING_FIELD', 'amount'),
                              ({'quota': 'requests-month', 'amount': 1, 'refill': True}, 'MISSING_FIELD', 'amount')):
        server.refuse(code, 'POST', path, body, field=field)
    equal(server.expect(200, 'POST', path, {'quota': 'requests-month', 'amount': 2, 'reason': 'outage'}).json['used'], 3, 'credited')
    check(server.verify(key, cost=2)['valid'], 'again')
    check(not server.verify(key)['valid'], 'and no more')
    equal(server.expect(200, 'POST', path, {'quota': 'requests-month', 'refill': True}).json['remaining'], 5, 'refilled')
    equal(used(server, record, 'requests-month'), (0, 5), 'as it stands')
    server.refuse('KEY_NOT_FOUND', 'POST', '/v1/keys/key_01ARZ3NDEKTSV4RRFFQ69G5FAV/credit', {'quota': 'requests-month', 'amount': 1})


def a_stop_keeps_what_was_spent(server):
    key, record = server.create({'quota': {'limit': 100, 'period': 'month'}, 'rateLimit': {'requests': 50, 'window': '1h'}})
    check(server.verify(key, cost=7)['valid'], 'spent')
    for _ in range(2):
        restart(server, with_kill=False)
        equal(used(server, record, 'requests-month'), (7, 93), 'before it is used again')
    verdict = server.verify(key)
    equal((verdict['quota']['used'], verdict['rateLimit']['remaining']), (8, 42), 'goes on')


def operators_see_it(server):
    def metric(name):
        text = server.raw('GET', '/metrics', None, {}).body.decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    key, _ = server.create({'quota': MONTH, 'rateLimit': {'requests': 3, 'window': '2m'}})
    before = {name: metric(name) for name in ('keyward_ledger_accounts', 'keyward_allowance_reserved_total', 'keyward_allowance_waits_total',
                                              'keyward_allowance_returned_total',
                                              'keyward_verifications_total{code="QUOTA_EXCEEDED"}', 'keyward_verifications_total{code="RATE_LIMITED"}')}
    equal([server.verify(key, cost=cost).get('code') for cost in (3, 1)], [None, 'RATE_LIMITED'], 'verdicts')
    server.verify(key, cost=6)
    for _ in range(32):
        server.verify('nonsense')
    after = {name: metric(name) for name in before}
    check(after['keyward_ledger_accounts'] > before['keyward_ledger_accounts'], f'accounts {after}')
    check(after['keyward_allowance_reserved_total'] >= before['keyward_allowance_reserved_total'] + 2, f'reserved {after}')
    check(after['keyward_allowance_waits_total'] > before['keyward_allowance_waits_total'], f'waits {after}')
    check(after['keyward_verifications_total{code="RATE_LIMITED"}'] >= before['keyward_verifications_total{code="RATE_LIMITED"}'] + 2, f'refusals {after}')
    check(metric('keyward_verification_duration_seconds_count') > 0, 'durations')
    equal(metric('keyward_verification_duration_seconds_bucket{le="+Inf"}'), metric('keyward_verification_duration_seconds_count'), 'all of them')


def kills_give_nothing_back(server):
    """A hundred kills while threads spend: never more than the limit over all lives."""
    limit, admitted = 400, []
    key, _ = server.create({'quotas': [{'limit': limit, 'period': 'year'}], 'rateLimit': {'requests': limit, 'window': '1h'}})
    for life in range(100):
        stop = threading.Event()

        def spend():
            while not stop.is_set():
                try:
                    if server.verify(key)['valid']:
                        admitted.append(life)
                except OSError:
                    return

        threads = [threading.Thread(target=spend) for _ in range(2)]
        for thread in threads:
            thread.start()
        target = len(admitted) + 3
        while len(admitted) < target and any(thread.is_alive() for thread in threads):
            if server.verify(key, dryRun=True)['valid'] is False:
                break
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(timeout=20)
        stop.set()
        for thread in threads:
            thread.join()
        server.start()
        check(len(admitted) <= limit, f'{len(admitted)} admitted in {life + 1} lives')
    lost = limit - len(admitted)
    check(len(admitted) > 0 and lost <= 100 * 2 * (limit // 32 + 2), f'{lost} of {limit} lost')


if __name__ == '__main__':
    main([a_quota_refuses_what_is_beyond_it, all_limits_are_taken_or_none, what_is_over_is_warned_of_or_throttled, keys_of_an_owner_share,
          what_is_reported_is_spent, a_credit_gives_back, a_stop_keeps_what_was_spent, operators_see_it, kills_give_nothing_back])
