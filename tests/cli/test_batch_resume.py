"""
'keyward batch' stopped, killed, and gone on with: whatever ends client or server, and wherever, no item is done twice, and
what is said of keys and secrets is exact. KW_TEST_SEED replays the places.
"""

import json
import os
import random
import signal
import subprocess

from batch_support import Fragile, check_whole, read_lines, read_state, secrets_of, write_csv, write_ndjson
from support import PROGRAM, World, check, check_equal, check_in, environment, generate_root_key, main, run

SEED = int(os.environ.get('KW_TEST_SEED') or random.SystemRandom().randrange(2**32))
ITEMS = 400
CHUNK = 40
ROUNDS_MAX = 14


def items_of(folder, count=ITEMS):
    return write_csv(os.path.join(folder, 'items.csv'), ['ownerId', 'name'], [[f'u{i}', f'n{i}'] for i in range(count)])


def everything(fragile):
    """All records, by id."""
    found = {}
    out = fragile.run('list', '--all', '--json').out
    for line in out.splitlines():
        page = json.loads(line)
        found.update((record['id'], record) for record in page.get('items', [page]))
    return found


def tear(out, chance):
    """What a crash of the machine may leave of lines that nothing has promised to be on the disk."""
    if os.path.exists(out) and os.path.exists(out + '.state') and chance.random() < 0.5:
        promised, size = read_state(out)['outSize'], os.path.getsize(out)
        check(size >= promised, 'the state is ahead of the output')
        os.truncate(out, chance.randrange(promised, size + 1))


def go_on(fragile, chance, arguments, out):
    """Runs until it is through; each run but the last ends with client or server killed at some byte."""
    for number in range(ROUNDS_MAX):
        client = []
        if number < ROUNDS_MAX - 1:
            act = chance.choice([fragile.kill, lambda: client[0].kill()])
            fragile.between.plan(chance.choice(['asked', 'answered']), chance.randrange(1, 30000), act)
        resume = ['--resume'] if os.path.exists(out + '.state') else []
        done = fragile.run('batch', *arguments, '--out', out, *resume, client_is_killed=client.append)
        fragile.between.plan(None, 0, None)
        if fragile.server.process.poll() is not None or done.code == 2:
            fragile.server.process.kill()
            fragile.restart_if_dead()
        if done.code in (0, 1):
            check(not os.path.exists(out + '.state'), 'the state is left')
            return done
        check(done.code in (2, -signal.SIGKILL), done)
        check(done.code != 2 or 'no answer from' in done.err or 'no server answers' in done.err, done)
        tear(out, chance)
    raise AssertionError('never through')


def killed(folder, chance, name, *arguments, write=items_of):
    """All of a run that is killed again and again, on a server of its own; gives the lines, and the records behind them."""
    data, out = os.path.join(folder, name), os.path.join(folder, name + '.out')
    with Fragile(data, generate_root_key()) as fragile:
        done = go_on(fragile, chance, ['create', write(folder), '--chunk', str(CHUNK), *arguments], out)
        lines, found = read_lines(out), everything(fragile)
        check_whole(lines, ITEMS, 2)
        check_equal(len([record for record in found.values() if not record.get('rotatedFrom')]), ITEMS, 'keys that were made')
        check_equal({record['owner'] for record in found.values()}, {f'user:u{i}' for i in range(ITEMS)}, 'one for each row')
        for line, owner in zip(lines, (f'user:u{i}' for i in range(ITEMS))):
            check_equal(found[line['id']]['owner'], owner, 'the key of another row')
        keys = write_ndjson(os.path.join(folder, name + '.keys'), [{'key': key} for key in secrets_of(lines)])
        valid = fragile.run('batch', 'verify', keys, '--format', 'ndjson')
        check_equal((valid.code, len(valid.out.splitlines())), (0, len(secrets_of(lines))), 'every secret is that of a key')
        return done, lines, found


def test_killed_anywhere(folder):
    for number in range(3):
        chance = random.Random(f'{SEED} {number}')
        done, lines, found = killed(folder, chance, f'd{number}')
        lost = [line for line in lines if not line['ok']]
        check_equal({line['code'] for line in lost} - {'SECRET_ALREADY_SHOWN'}, set(), f'seed {SEED}')
        check_equal(len(secrets_of(lines)) + len(lost), ITEMS, 'secrets and losses')
        check_equal((done.code, len(found)), (1 if lost else 0, ITEMS))
        if lost:
            check_in(f'{len(lost)} more key', done.out)
        print(f'# seed {SEED} {number}: {len(lost)} secrets lost', flush=True)


def test_killed_anywhere_and_rotated(folder):
    for number in range(3):
        chance = random.Random(f'{SEED} r{number}')
        done, lines, found = killed(folder, chance, f'd{number}', '--rotate-unseen')
        check_equal(done.code, 0, f'seed {SEED}\n{done}')
        check_equal(len(secrets_of(lines)), ITEMS, 'secrets')
        active = [record for record in found.values() if record['status'] == 'active']
        check_equal(len(active), ITEMS, 'keys that work')
        check_equal({record['id'] for record in active}, {line['id'] for line in lines})
        rotated = [line for line in lines if 'rotatedFrom' in line]
        check(all(found[line['rotatedFrom']]['status'] == 'revoked' for line in rotated), 'what nobody has seen is revoked')
        print(f'# seed {SEED} r{number}: {len(rotated)} rotated', flush=True)


def test_killed_anywhere_all_or_none(folder):
    for number in range(3):
        chance = random.Random(f'{SEED} a{number}')
        _, lines, found = killed(folder, chance, f'd{number}', '--atomic')
        check_equal(len(found), ITEMS)
        check_equal({line.get('code', 'SECRET_ALREADY_SHOWN') for line in lines}, {'SECRET_ALREADY_SHOWN'}, f'seed {SEED}')


def test_updates_and_revocations_are_done_once(folder):
    chance = random.Random(f'{SEED} u')
    out = os.path.join(folder, 'out')
    with Fragile(os.path.join(folder, 'data'), generate_root_key()) as fragile:
        done = fragile.run('batch', 'create', items_of(folder), '--out', out)
        check_equal(done.code, 0, done)
        ids = [line['id'] for line in read_lines(out)]
        for version, (action, field) in enumerate((('update', 'description'), ('revoke', 'reason')), 2):
            rows = write_csv(os.path.join(folder, action + '.csv'), ['id', field], [[key_id, 'x'] for key_id in ids])
            done = go_on(fragile, chance, [action, rows, '--chunk', str(CHUNK)], out + action)
            check_equal(done.code, 0, f'seed {SEED}\n{done}')
            lines = read_lines(out + action)
            check_equal([(line['line'], line['ok'], line['id']) for line in lines],
                        [(i, True, key_id) for i, key_id in enumerate(ids, 2)])
            check_equal({record['version'] for record in everything(fragile).values()}, {version}, f'{action} seed {SEED}')


def stopped(world, number, out, *arguments, items=20):
    """A run that is stopped by a signal when it has done so many items and waits for more: its exit code and what it said."""
    process = subprocess.Popen([PROGRAM, 'batch', 'create', '-', '--format', 'csv', '--chunk', '10', '--out', out, *arguments,
                                *world.where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(**world.env))
    process.stdin.write(b'ownerId\n' + b''.join(b'u%d\n' % i for i in range(items + 5)))
    process.stdin.flush()
    while not os.path.exists(out + '.state') or read_state(out)['items'] < items:
        check(process.poll() is None, 'it ended by itself')
    process.send_signal(number)
    said, err = process.communicate()
    return process.returncode, said.decode(), err.decode()


def test_stopped_by_a_signal(folder):
    rows = 'ownerId\n' + ''.join(f'u{i}\n' for i in range(35))
    for way in ('data', 'url'):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with World(folder, way) as world:
                out = os.path.join(folder, f'{way}{number}.out')
                code, said, err = stopped(world, number, out)
                check_equal((code, said), (4, 'Created 20 keys.\n'), err)
                check_in('20 items are done. The same command with --resume goes on', err)
                check_equal((len(read_lines(out)), read_state(out)['mayBeUnderWay']), (20, False))
                done = world.run('batch', 'create', '-', '--format', 'csv', '--chunk', '10', '--out', out, '--resume', '--json',
                                 stdin=rows, code=0)
                check_equal(json.loads(done.out), {'items': 35, 'done': 35, 'refused': 0, 'lost': 0, 'stopped': False})
                lines = read_lines(out)
                check_whole(lines, 35, 2)
                check_equal(len(secrets_of(lines)), 35)
                check_equal(world.run('list', '--count', code=0).out, '35\n')
                check_in('there is no run to go on with', world.run('batch', 'create', '-', '--format', 'csv', '--chunk', '10',
                                                                   '--out', out, '--resume', stdin=rows, code=2).err)
            for part in os.listdir(os.path.join(folder, way)):
                os.unlink(os.path.join(folder, way, part))


def test_what_a_run_goes_on_with(folder):
    """Everything that would make another run of it is refused, and changes nothing."""
    rows = ['ownerId\n', *(f'u{i}\n' for i in range(35))]
    with World(folder, 'data') as world:
        out = os.path.join(folder, 'out')
        stopped(world, signal.SIGINT, out)
        kept = open(out, 'rb').read(), open(out + '.state', 'rb').read()

        def refused(part, *arguments, text=''.join(rows), action='create', form='csv', chunk='10', where=None):
            done = run('batch', action, '-', '--format', form, '--chunk', chunk, '--out', out, '--resume', *arguments,
                       *(where or world.where), stdin=text, code=2)
            check_in(part, done.err)

        refused('is not what it was', text=''.join(rows[:2] + ['other\n'] + rows[3:]))
        refused('is not what it was', text=''.join(rows[:15]))
        refused('--chunk was another one', chunk='11')
        refused('--format was another one', form='ndjson')
        refused('--out-format was another one', '--out-format', 'csv')
        refused('--atomic was another one', '--atomic')
        refused('--project was another one', '--project', 'other')
        refused('--map was another one', '--map', 'ownerId=owner')
        run('create', '--owner', 'user:1', '--data', os.path.join(folder, 'other'), code=0)
        refused('the place, or the management key, was another one', where=['--data', os.path.join(folder, 'other')])
        check_equal((open(out, 'rb').read(), open(out + '.state', 'rb').read()), kept, 'nothing is changed')
        os.truncate(out, len(kept[0]) - 1)
        refused('is shorter than this run left it')
        os.unlink(out)
        refused('is not there')
        with open(out, 'wb') as file:
            file.write(kept[0])
        state = json.loads(kept[1])
        for broken in ('', '{}', '[]', json.dumps({**state, 'version': 2}), json.dumps({**state, 'digest': 'x'})):
            with open(out + '.state', 'w', encoding='utf-8') as file:
                file.write(broken)
            refused('is not the state of a run of this version')
        late = {**state, 'writtenMs': state['writtenMs'] - 24 * 3600 * 1000}
        for may_be_under_way in (True, False):
            with open(out + '.state', 'w', encoding='utf-8') as file:
                json.dump({**late, 'mayBeUnderWay': may_be_under_way}, file)
            if may_be_under_way:
                refused('too long ago to tell which of the items from the 21. on were done')
        done = world.run('batch', 'create', '-', '--format', 'csv', '--chunk', '10', '--out', out, '--resume',
                         stdin=''.join(rows), code=0)
        check_equal(done.out, 'Created 35 keys.\n')
        check_equal(world.run('list', '--count', code=0).out, '35\n')


def test_killed_between_lines_and_state(folder):
    """The state is a chunk behind the output, of which only a part may be left: whole lines count, the rest is told."""
    rows = 'ownerId\n' + ''.join(f'u{i}\n' for i in range(35))
    for form in ('ndjson', 'csv'):
        for cut in (0, 1, 150, 400, 10**9):
            name = f'{form}{cut}'
            with World(folder, 'data') as world:
                world.where = ['--data', os.path.join(folder, name)]
                out = os.path.join(folder, name + '.out')
                stopped(world, signal.SIGINT, out, '--out-format', form, items=10)
                early = read_state(out)
                stopped(world, signal.SIGINT, out, '--out-format', form, '--resume')
                with open(out + '.state', 'w', encoding='utf-8') as file:
                    json.dump({**early, 'mayBeUnderWay': True}, file)
                left = min(early['outSize'] + cut, os.path.getsize(out))
                os.truncate(out, left)
                kept = open(out, 'rb').read()
                kept = kept[:kept.rindex(b'\n') + 1]
                done = world.run('batch', 'create', '-', '--format', 'csv', '--chunk', '10', '--out', out, '--out-format', form,
                                 '--resume', stdin=rows)
                lost = 20 + (form == 'csv') - kept.count(b'\n')
                text = open(out, 'rb').read()
                check(text.startswith(kept), 'lines that were whole are kept')
                check_equal((text.count(b'sk_live_'), text.count(b'SECRET_ALREADY_SHOWN')), (35 - lost, lost), name)
                check_equal(text.count(b'\n'), 35 + (form == 'csv'))
                check_equal(done.code, 1 if lost else 0, done)
                check_equal(world.run('list', '--count', code=0).out, '35\n')


if __name__ == '__main__':
    main([test_killed_anywhere, test_killed_anywhere_and_rotated, test_killed_anywhere_all_or_none,
          test_updates_and_revocations_are_done_once, test_stopped_by_a_signal, test_what_a_run_goes_on_with,
          test_killed_between_lines_and_state])
