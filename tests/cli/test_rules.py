"""Where keys may be used from, families, and what explains a verdict: on a data folder and behind a server alike."""

import json
import os
import re
import sys

from support import check, check_equal, check_in, main
from test_commands import created, each_way

RULES = ['format', 'known', 'revoked', 'expired', 'disabled', 'address', 'region', 'environment', 'policy', 'scopes',
         'rateLimits', 'quotas']


def test_places_are_given_changed_and_cleared(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1', '--allow-ip', '10.0.0.0/8', '--allow-ip=2001:db8::/32',
                            '--block-ip', '10.6.6.6', '--allow-region', 'EU', '--allow-region', 'US', '--block-region', 'US-CA')
        check_equal(record['allowedIPs'], ['10.0.0.0/8', '2001:db8::/32'])
        check_equal((record['blockedIPs'], record['allowedRegions'], record['blockedRegions']),
                    (['10.6.6.6'], ['EU', 'US'], ['US-CA']))
        changed = world.run('update', record['id'], '--allow-ip', '192.0.2.1', '--block-region', 'DE', '--json', code=0)
        changed = json.loads(changed.out)
        check_equal((changed['allowedIPs'], changed['blockedRegions'], changed['blockedIPs']), (['192.0.2.1'], ['DE'], ['10.6.6.6']))
        told = []
        for arguments, field in ((['--allow-ip', '10.0.0.1/8'], 'allowedIPs[0]'), (['--block-ip', 'home'], 'blockedIPs[0]'),
                                 (['--allow-region', 'US', '--allow-region', 'uk'], 'allowedRegions[1]'),
                                 (['--block-region', 'EU-DE'], 'blockedRegions[0]')):
            for command in (['create', '--owner', 'user:1'], ['update', record['id']]):
                done = world.run(*command, *arguments, '--json', code=2)
                check_equal(json.loads(done.err)['field'], field)
                told.append(world.run(*command, *arguments, code=2).err)
        return told

    each_way(folder, story)


def test_a_verification_states_where_it_comes_from(folder):
    def story(world):
        key, _ = created(world, '--owner', 'user:1', '--allow-ip', '10.0.0.0/8', '--allow-region', 'US-CA', '--scope', 'read',
                         '--scope', 'admin')
        told = []
        for arguments, code, expected in (
                ([], 1, 'IP_NOT_ALLOWED'), (['--ip', '11.0.0.1'], 1, 'IP_NOT_ALLOWED'), (['--ip', '10.0.0.1'], 1, 'REGION_NOT_ALLOWED'),
                (['--ip', '10.0.0.1', '--geo', 'US'], 1, 'REGION_NOT_ALLOWED'), (['--ip', '10.0.0.1', '--geo', 'US-CA'], 0, 'Valid'),
                (['--ip=10.0.0.1', '--geo=US-CA', '--require', 'read AND (x OR admin)'], 0, 'Valid'),
                (['--ip=10.0.0.1', '--geo=US-CA', '--require', 'read AND (x OR y)'], 1, 'Missing: x OR y'),
                (['--ip=10.0.0.1', '--geo=US-CA', '--scope', 'a', '--scope', 'b', '--require', 'read AND (x OR y)'], 1,
                 'Missing: a, b, x OR y\n'),
                (['--ip=10.0.0.1', '--geo=US-CA', '--resource', 'site:1=a,b'], 1,
                 'Missing: a on site:1, b on site:1\n')):
            done = world.run('verify', *arguments, stdin=key, code=code)
            check_in(expected, done.out, arguments)
            told.append(done.out)
        for arguments in (['--ip', 'home'], ['--geo', 'XX'], ['--geo', 'US-'], ['--require', 'read AND']):
            told.append(world.run('verify', *arguments, stdin=key, code=2).err)
        return told

    each_way(folder, story)


def test_rate_limits_are_given_spent_and_cleared(folder):
    def story(world):
        key, record = created(world, '--owner', 'user:1', '--rate-limit', '2/1d', '--rate-limit', 'hourly=100/1h')
        check_equal(record['rateLimits'], [{'name': 'default', 'requests': 2, 'window': '1d'},
                                           {'name': 'hourly', 'requests': 100, 'window': '1h'}])
        card = world.run('show', record['id'], code=0).out
        check_in('default: 2 in 1d', card)
        check_in('hourly: 100 in 1h', card)
        told = []
        for arguments, field in ((['--rate-limit', '0/1m'], 'rateLimits[0].requests'), (['--rate-limit', '1/1x'], 'rateLimits[0].window'),
                                 (['--rate-limit', 'A=1/1m'], 'rateLimits[0].name'),
                                 (['--rate-limit', '1/1m', '--rate-limit', '2/1m'], 'rateLimits[1].name')):
            check_equal(json.loads(world.run('update', record['id'], *arguments, '--json', code=2).err)['field'], field)
            told.append(world.run('update', record['id'], *arguments, code=2).err)
        for wrong in ('100', 'x/1m', '1.5/1m'):
            told.append(world.run('update', record['id'], '--rate-limit', wrong, code=2).err)
            check_in('--rate-limit must read [NAME=]N/WINDOW', told[-1])
        cleared = json.loads(world.run('update', record['id'], '--clear', 'rate-limit', '--json', code=0).out)
        check('rateLimits' not in cleared, 'limits that were cleared')
        check_equal(json.loads(world.run('verify', '--cost', '5', '--json', stdin=key, code=0).out)['valid'], True)
        return told

    each_way(folder, story)


FULL = {'metric': 'requests', 'anchor': 'utc', 'per': 'key', 'onExceeded': 'block', 'warnAt': [80, 100]}


def test_quotas_are_given_shown_and_cleared(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1', '--org', 'acme', '--rate-limit', 'all=100/1m,org', '--quota', '10000/month',
                            '--quota', 'tokens=0.5/day,warn,owner', '--quota', 'cost=2/week,throttle=10/1m,created', '--quota',
                            '{"name": "soft", "limit": 8000, "period": "month", "onExceeded": "warn", "warnAt": [90]}')
        check_equal(record['rateLimits'], [{'name': 'all', 'requests': 100, 'window': '1m', 'per': 'org'}])
        check_equal(record['quotas'], [
            {**FULL, 'name': 'cost-week', 'limit': 2, 'period': 'week', 'metric': 'cost', 'anchor': 'created',
             'onExceeded': 'throttle', 'throttle': {'requests': 10, 'window': '1m'}},
            {**FULL, 'name': 'requests-month', 'limit': 10000, 'period': 'month'},
            {**FULL, 'name': 'soft', 'limit': 8000, 'period': 'month', 'onExceeded': 'warn', 'warnAt': [90]},
            {**FULL, 'name': 'tokens-day', 'limit': 0.5, 'period': 'day', 'metric': 'tokens', 'onExceeded': 'warn', 'per': 'owner'}])
        card = world.run('show', record['id'], code=0).out
        for line in ('all: 100 in 1m, per org', 'requests-month: 10000 requests each month\n', 'soft: 8000 requests each month, then warn\n',
                     'cost-week: 2 cost each week, then throttle, from when it was created\n',
                     'tokens-day: 0.5 tokens each day, per owner, then warn\n'):
            check_in(line, card)
        told = []
        for arguments, field in ((['--quota', '-1/day'], None), (['--quota', '1/fortnight'], 'quotas[0].period'),
                                 (['--quota', '1/day', '--quota', '2/day'], 'quotas[1].name'),
                                 (['--quota', 'images=1/day'], 'quotas[0].metric'),
                                 (['--quota', '{"limit": 1}'], 'quotas[0].period'), (['--quota', '{"limit": 1'], 'quotas'),
                                 (['--quota', '1/day,warn,warn'], 'quotas[0].onExceeded'),
                                 (['--quota', '1/day,owner,created'], 'quotas[0].anchor')):
            if field is not None:
                check_equal(json.loads(world.run('update', record['id'], *arguments, '--json', code=2).err)['field'], field)
            told.append(world.run('update', record['id'], *arguments, code=2).err)
        for wrong in ('100', 'x/day', '1/day,', '1/day,warn,', '1/day,soon', '1/day,throttle', '1/day,throttle=x', '1.0000001/day'):
            told.append(world.run('update', record['id'], '--quota', wrong, code=2).err)
            check_in('--quota must read [METRIC=]N/PERIOD[,WORD]', told[-1])
        for wrong in ('1/1m,warn', '1/1m,', '1/1m,throttle=1/1m'):
            told.append(world.run('update', record['id'], '--rate-limit', wrong, code=2).err)
            check_in('--rate-limit must read [NAME=]N/WINDOW', told[-1])
        cleared = json.loads(world.run('update', record['id'], '--clear', 'quota', '--json', code=0).out)
        check('quotas' not in cleared and 'rateLimits' in cleared, 'quotas that were cleared')
        return told

    each_way(folder, story)


def test_a_batch_gives_quotas(folder):
    rows = os.path.join(folder, 'rows.csv')
    with open(rows, 'w', encoding='utf-8') as file:
        file.write('ownerId,quotas,quota\n1,"[{""limit"":2,""period"":""day""}]",\n2,,"{""limit"":1,""period"":""hour""}"\n'
                   '3,"[{""limit"":1,""period"":""soon""}]",\n')

    def story(world):
        done = world.run('batch', 'create', rows, '--out', '-', code=1)
        made = [json.loads(line) for line in done.out.splitlines()]
        check_equal([item.get('message', '').split(':')[0] for item in made], ['', '', 'quotas[0].period'])
        shown = [json.loads(world.run('show', item['id'], '--json', code=0).out)['quotas'] for item in made[:2]]
        check_equal(shown, [[{**FULL, 'name': 'requests-day', 'limit': 2, 'period': 'day'}],
                            [{**FULL, 'name': 'requests-hour', 'limit': 1, 'period': 'hour'}]])
        return [done.err]

    each_way(folder, story)


def test_a_batch_gives_and_spends_rate_limits(folder):
    rows = os.path.join(folder, 'rows.csv')
    with open(rows, 'w', encoding='utf-8') as file:
        file.write('ownerId,rateLimits,rateLimit\n1,"[{""name"":""a"",""requests"":2,""window"":""1d""}]",\n'
                   '2,,"{""requests"":1,""window"":""1d""}"\n3,"[{""requests"":1,""window"":""soon""}]",\n')

    def story(world):
        made = [json.loads(line) for line in world.run('batch', 'create', rows, '--out', '-', code=1).out.splitlines()]
        check_equal([item.get('message', '').split(':')[0] for item in made], ['', '', 'rateLimits[0].window'])
        shown = [json.loads(world.run('show', item['id'], '--json', code=0).out)['rateLimits'] for item in made[:2]]
        check_equal(shown, [[{'name': 'a', 'requests': 2, 'window': '1d'}], [{'name': 'default', 'requests': 1, 'window': '1d'}]])
        asked = '\n'.join(json.dumps({'key': made[i]['key']}) for i in (0, 1, 0, 1, 0))
        done = world.run('batch', 'verify', '-', '--format', 'ndjson', '--out', '-', stdin=asked, code=1)
        answers = [json.loads(line) for line in done.out.splitlines()]
        check_equal([answer['ok'] for answer in answers], [True, True, True, False, False])
        check_equal([answer.get('code') for answer in answers[3:]], ['RATE_LIMITED'] * 2)
        return [done.err]

    each_way(folder, story)


def test_explain_is_a_checklist(folder):
    def story(world):
        key, record = created(world, '--owner', 'user:1', '--scope', 'read', '--allow-ip', '10.0.0.0/8')
        told = []
        good = world.run('explain', '--ip', '10.0.0.1', '--scope', 'read', stdin=key, code=0).out
        check_in('The key is valid for this request.\n\n', good)
        check_equal([line.split()[1] for line in good.splitlines()[2:]], RULES)
        check_equal([line.split()[0] for line in good.splitlines()[2:]], ['✓', '✓', '✓', '-', '✓', '✓', '-', '-', '-', '✓', '-', '-'])
        world.run('disable', record['id'], code=0)
        bad = world.run('explain', '--scope', 'write', stdin=key, code=1).out
        check_in('The key is refused: DISABLED\n\n', bad)
        check_equal([line.split()[0] for line in bad.splitlines()[2:]], ['✓', '✓', '✓', '-', '✗', '✗', '-', '-', '-', '✗', '-', '-'])
        check_in('Missing: write', bad)
        spent, parent = created(world, '--owner', 'user:1')
        child, _ = created(world, '--parent', parent['id'])
        world.run('update', parent['id'], '--rate-limit', 'slow=1/1d', '--quota', '1/month', code=0)
        for key_of, whose in ((spent, ''), (child, f' The rule is its parent\'s: {parent["id"]}')):
            world.run('verify', stdin=key_of, code=0)
            refused = world.run('verify', stdin=key_of, code=1).out
            check(re.search(r'\nLimit: slow, 1 in 1d; try again in [\d.]+ seconds\.' + whose.replace(' The', '\nThe', 1) + '\n', refused), refused)
            explained = world.run('explain', stdin=key_of, code=1).out
            check(re.search(r'rateLimits +The key was used too often\. Limit: slow, 1 in 1d; try again in [\d.]+ seconds\.' + whose + '\n', explained), explained)
            check(re.search(r'quotas +A quota of the key is used up\. Quota: requests-month, 1 requests each month; the next begins at 20.*Z\.' + whose + '\n', explained), explained)
        dear = world.run('verify', '--cost', '2', stdin=spent, code=1).out
        check_in('\nLimit: slow, 1 in 1d; it costs more than that, and no waiting helps.\n', dear)
        none = world.run('explain', stdin='nonsense', code=1).out
        check_in('The key is refused: INVALID_FORMAT\n\n', none)
        check_equal([line.split()[0] for line in none.splitlines()[2:]], ['✗'] + ['-'] * 11)
        told += [good, bad, none]
        for text, arguments, code in ((key, ['--scope', 'write'], 1), ('nonsense', [], 1), ('', [], 1)):
            done = world.run('explain', *arguments, '--json', stdin=text, code=code)
            verdict = json.loads(done.out)
            check_equal([item['rule'] for item in verdict['checks']], RULES)
            check_equal(next(item['code'] for item in verdict['checks'] if item['outcome'] == 'refused'), verdict['code'])
            check(key not in done.out + done.err, 'the key was repeated')
            told.append(done.out)
        for text, arguments in ((key, ['--ip', 'home']), (key, ['--scope', 'a b']), ('x' * 5000, [])):
            told.append(world.run('explain', *arguments, stdin=text, code=2).err)
        check(key not in world.run('explain', key, code=2).err, 'the key was repeated')
        return told

    each_way(folder, story)


def test_a_child_ends_with_its_parent(folder):
    def story(world):
        _, parent = created(world, '--owner', 'team:9', '--scope', 'read')
        key, child = created(world, '--owner', 'user:1', '--parent', parent['id'], '--scope', 'read')
        check_equal(child['parentId'], parent['id'])
        told = [world.run('verify', stdin=key, code=0).out, world.run('show', child['id'], code=0).out]
        for arguments, field in ((['--parent', parent['id'], '--scope', 'write'], 'scopes'), (['--parent', 'key_1'], 'parentId')):
            done = world.run('create', '--owner', 'user:1', *arguments, '--json', code=2)
            check_equal(json.loads(done.err)['field'], field)
        world.run('disable', parent['id'], code=0)
        done = world.run('verify', stdin=key, code=1)
        check_in('DISABLED', done.out)
        check_in(f'The rule is its parent\'s: {parent["id"]}', done.out)
        told.append(done.out)
        world.run('enable', parent['id'], code=0)
        world.run('revoke', parent['id'], code=0)
        done = world.run('explain', stdin=key, code=1)
        check_in('The key is refused: REVOKED', done.out)
        check_in(f'The rule is its parent\'s: {parent["id"]}', done.out)
        return told + [done.out]

    each_way(folder, story)


if __name__ == '__main__':
    main([test_places_are_given_changed_and_cleared, test_a_verification_states_where_it_comes_from,
          test_rate_limits_are_given_spent_and_cleared, test_a_batch_gives_and_spends_rate_limits,
          test_quotas_are_given_shown_and_cleared, test_a_batch_gives_quotas, test_explain_is_a_checklist,
          test_a_child_ends_with_its_parent])
