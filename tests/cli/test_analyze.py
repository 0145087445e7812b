"""`keyward analyze`: a card for one key, a table for many, and lines for the shell that do what is recommended."""

import json
import shlex

from support import World, check, check_equal, check_in, main
from test_commands import check_aligned, created, each_way


def test_a_card(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:42', '--scope', 'invoices:read', '--name', 'laptop')
        return [world.run('analyze', record['id'], code=0).out]

    told = each_way(folder, story)[0]
    for line in ('Name          laptop', 'Suggested     user 42: uses invoices (live)', '60 days       0 passed, 0 refused',
                 'Score         45 of 100', '  expiry     0 of 20  It never expires.', 'NO_EXPIRY (medium)', 'NO_LIMIT (low)'):
        check_in(line + '\n', told)


def test_what_is_recommended_can_be_typed(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1')
        lines = [line.strip() for line in world.run('analyze', record['id'], code=0).out.split('\n')]
        typed = [shlex.split(line) for line in lines if line.startswith('keyward ')]
        check_equal([line[3:] for line in typed], [['--expires-in', '90d'], ['--rate-limit', '1000/1h']])
        for line in typed:
            world.run(*line[1:], code=0)
        after = world.run('analyze', record['id'], code=0).out
        check('keyward ' not in after, after)
        return [after]

    check_in('Score         80 of 100', each_way(folder, story)[0])


def test_a_table(folder):
    def story(world):
        bounded = ('--expires-in', '30d')
        made = [created(world, '--owner', owner, *more)[1]['id'] for owner, *more in (
            ('user:1', *bounded, '--rate-limit', '10/1s', '--name', 'nothing to say'), ('user:1', *bounded, '--org', 'acme'),
            ('team:9', '--scope', '*', '--name', 'wide'))]
        done = world.run('analyze', code=0)
        lines = done.out.split('\n')[:-1]
        check_aligned(done.out)
        check_equal(lines[0].split('  ')[0], 'SCORE')
        check_equal([made.index(line.split()[2]) for line in lines[1:]], [2, 1])
        check_equal([line.split()[:2] for line in lines[1:]], [['25', 'medium'], ['65', 'low']])
        check(lines[1].endswith('NO_EXPIRY NO_LIMIT') and lines[2].endswith('NO_LIMIT'), lines)
        told = [done.out, done.err]
        done = world.run('analyze', '--org', 'acme', '--limit', '1', code=0)
        check_equal([line.split()[2] for line in done.out.split('\n')[1:-1]], [made[1]])
        told += [done.out, done.err, world.run('analyze', '--owner', 'user:2', code=0).err]
        answer = json.loads(world.run('analyze', '--json', code=0).out)
        check_equal((answer['keys'], [item['id'] for item in answer['items']]), (3, [made[2], made[1]]))
        check_equal(json.loads(world.run('analyze', made[2], '--json', code=0).out), answer['items'][0])
        return told

    told = each_way(folder, story)
    check_equal(told[1], "3 keys, average score 56.\n'keyward analyze ID' tells more of one.\n")
    check_equal(told[3], "1 key, average score 65.\n'keyward analyze ID' tells more of one.\n")
    check_equal(told[4], '0 keys.\nNothing is recommended.\n')


def test_what_is_wrong(folder):
    with World(folder, 'data') as world:
        key, record = created(world, '--owner', 'user:1')
        check_in('--owner says which keys to look at, and an ID which one',
                 world.run('analyze', record['id'], '--owner', 'user:1', code=2).err)
        check_in('limit: must be a whole number from 1 to 100', world.run('analyze', '--limit', '101', code=2).err)
        check_in('KEY_NOT_FOUND', world.run('analyze', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC', code=2).err)
        told = world.run('analyze', key, code=2).err
        check_in('not the key itself', told)
        check(key not in told, 'the key is shown')
        check_equal(json.loads(world.run('analyze', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC', '--json', code=2).err)['code'], 'KEY_NOT_FOUND')


if __name__ == '__main__':
    main([value for name, value in sorted(globals().items()) if name.startswith('test_')])
