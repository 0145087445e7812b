"""What keys were used for, on a data folder and behind a server alike: as a table with bars, as JSON and as CSV."""

import csv
import io
import json
import re

from support import check, check_equal, check_in, main
from test_commands import created, each_way

MOMENT = re.compile(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d\.\d{3}Z)?')


def used(world):
    """A key that was used three times, once of it in vain, and one that was not."""
    key, record = created(world, '--owner', 'user:1', '--org', 'acme')
    unused = created(world, '--owner', 'user:2')[1]
    for _ in range(2):
        world.run('verify', '--endpoint', 'GET /v1/things, all', '--ip', '192.0.2.1', '--geo', 'CH', stdin=key, code=0)
    world.run('verify', '--scope', 'write', stdin=key, code=1)
    return record['id'], unused['id']


def test_counts_are_shown(folder):
    def story(world):
        used_id, unused_id = used(world)
        told = [world.run('usage', used_id, code=0).out, world.run('usage', '--owner', 'user:1', code=0).out,
                world.run('usage', used_id, '--group', 'endpoint', '--csv', code=0).out]
        check_in('█', told[0])
        check_equal(told[0], told[1])
        rows = list(csv.reader(io.StringIO(told[2])))
        check_equal([rows[0], rows[1][1:]], [['at', 'endpoint', 'amount'], ['GET /v1/things, all', '2']])
        shown = json.loads(world.run('usage', used_id, '--group', 'metric', '--by', 'day', '--json', code=0).out)
        check_equal(shown['totals'], {'verifications': 3, 'valid': 2, 'counts': {'requests': 2}})
        check_equal(json.loads(world.run('usage', unused_id, '--json', code=0).out)['series'], [])
        check_equal(json.loads(world.run('usage', '--org', 'acme', '--json', code=0).out)['totals']['valid'], 2)
        check(json.loads(world.run('usage', '--json', code=0).out)['totals']['verifications'] >= 3, 'of the project')
        return [MOMENT.sub('TIME', text) for text in told]

    table = each_way(folder, story)[0]
    lines = table.splitlines()
    check_equal(lines[0].split(), ['HOUR', '(UTC)', 'VERIFIED', 'VALID'])
    check_equal(lines[-1].split()[:2], ['VALID', '2'])


def test_the_latest_use_is_shown_and_found(folder):
    def story(world):
        used_id, unused_id = used(world)
        world.run('usage', code=0)
        card = world.run('show', used_id, code=0).out
        check_in('192.0.2.1', card)
        check('Last used' not in world.run('show', unused_id, code=0).out, 'an unused key')
        told = []
        for option, time, expected in (('--used-after', '2020-01-01T00:00:00Z', used_id), ('--used-before', '2020-01-01T00:00:00Z', unused_id)):
            items = json.loads(world.run('list', option, time, '--json', code=0).out)['items']
            check_equal([item['id'] for item in items], [expected])
            told.append(world.run('list', '--count', option, time, code=0).out)
        return told

    check_equal(each_way(folder, story), ['1\n', '1\n'])


def test_quotas_are_shown_and_credited(folder):
    def story(world):
        made = json.loads(world.run('create', '--owner', 'user:1', '--quota', '5/month', '--json', code=0).out)
        key, key_id = made['key'], made['record']['id']
        for _ in range(2):
            world.run('verify', stdin=key, code=0)
        told = [world.run('usage', key_id, code=0).out.split('Quotas')[1]]
        told.append(world.run('credit', key_id, '--quota', 'requests-month', '--amount', '1.5', code=0).out)
        told.append(world.run('credit', key_id, '--quota', 'requests-month', '--refill', '--reason', 'outage', code=0).out)
        told.append(world.run('credit', key_id, '--quota', 'requests-month', code=2).err)
        told.append(world.run('credit', key_id, '--quota', 'no-such', '--refill', code=2).err)
        return [MOMENT.sub('TIME', text) for text in told]

    told = each_way(folder, story)
    check_in('2 of 5 used, 3 left until', told[0])
    check_in('0.5 of 5 used, 4.5 left until', told[1])
    check_in('0 of 5 used', told[2])
    check_in('amount', told[3])
    check_in('none of this key', told[4])


def test_rate_limits_are_shown(folder):
    def story(world):
        made = json.loads(world.run('create', '--owner', 'user:1', '--rate-limit', '5/30m', '--rate-limit', 'all=9/2h,owner', '--json', code=0).out)
        world.run('verify', stdin=made['key'], code=0)
        shown = world.run('usage', made['record']['id'], code=0).out
        check_equal('Quotas' in shown, False)
        return [MOMENT.sub('TIME', shown.split('Rate limits')[1])]

    check_equal(each_way(folder, story), ['\ndefault  1 of 5/30m used, 4 left, all of it at TIME\nall  1 of 9/2h used, 8 left, all of it at TIME\n'])


def test_what_was_used_is_reported_once(folder):
    def story(world):
        key_id = json.loads(world.run('create', '--owner', 'user:1', '--json', code=0).out)['record']['id']
        report = ['report', key_id, '--used', 'tokens=1500', '--endpoint', 'POST /v1/chat', '--used', 'cost=0.002']
        told = [world.run(*report, '--idempotency-key', 'first', code=0).out,
                world.run(*report, '--idempotency-key', 'first', code=0).out,
                world.run('report', key_id, '--used', 'tokens=1', '--idempotency-key', 'first', code=2).err]
        counted = json.loads(world.run('report', key_id, '--used', 'tokens=0.5', '--json', code=0).out)
        check_equal(counted, {'keyId': key_id, 'counted': {'tokens': 0.5}})
        totals = json.loads(world.run('usage', key_id, '--group', 'metric', '--json', code=0).out)['totals']
        check_equal(totals['counts'], {'cost': 0.002, 'tokens': 1500.5})
        for wrong, part in (([], 'MISSING_FIELD'), (['--used', 'tokens'], '--used must read METRIC=N'),
                            (['--used', '=1'], '--used must read METRIC=N'), (['--used', 'tokens='], '--used must read METRIC=N'),
                            (['--used', 'tokens=1,"cost":1'], '--used must read METRIC=N'), (['--used', 'tokens="x"'], 'must be a number'),
                            (['--used', 'apples=1'], 'apples'), (['--used', 'tokens=1', '--used', 'tokens=1'], 'DUPLICATE_FIELD')):
            refused = world.run('report', key_id, *wrong, code=2).err
            check_in(part, refused)
            told.append(refused)
        return [text.replace(key_id, 'ID') for text in told]

    told = each_way(folder, story)
    check_equal(told[:2], ['Counted of ID: tokens 1500, cost 0.002\n'] * 2)
    check_in('IDEMPOTENCY_KEY_REUSED', told[2])


def test_what_cannot_be_asked_is_refused(folder):
    def story(world):
        used_id, _ = used(world)
        return [world.run('usage', *arguments, code=2).err for arguments in (
            (used_id, '--owner', 'user:1'), ('--json', '--csv'), ('--by', 'week'), ('--from', 'yesterday'), ('nothing',),
            ('--group', 'colour'))]

    told = each_way(folder, story)
    check_in('not both', told[0])
    check_in('exclude each other', told[1])
    check_in('by', told[2])


if __name__ == '__main__':
    main([test_counts_are_shown, test_the_latest_use_is_shown_and_found, test_quotas_are_shown_and_credited, test_rate_limits_are_shown,
          test_what_was_used_is_reported_once, test_what_cannot_be_asked_is_refused])
