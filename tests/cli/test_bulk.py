"""Several keys at once: ids and filters of revoke, enable and disable, on a data folder and behind a server."""

import json
import os

from support import ID, PROGRAM, Terminal, check, check_equal, check_in, main, run
from test_commands import created, each_way

UNKNOWN_ID = 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'


def statuses(world):
    items = json.loads(world.run('list', '--json', code=0).out)['items']
    return [record['status'] for record in items]


def make(world):
    """Three keys of user:1, of which two are in acme and one is tagged, and one of user:2: their ids."""
    return [created(world, *arguments)[1]['id'] for arguments in (
        ('--owner', 'user:1', '--org', 'acme', '--tag', 'ci'), ('--owner', 'user:1', '--org', 'acme'), ('--owner', 'user:1'),
        ('--owner', 'user:2'))]


def test_several_ids(folder):
    def story(world):
        ids = make(world)
        told = [world.run('disable', *ids[:2], '--reason', 'on leave', code=0).out,
                world.run('disable', *ids[:3], code=0).out, world.run('enable', ids[0], ids[0], code=0).out]
        check_equal(statuses(world), ['active', 'disabled', 'disabled', 'active'])
        told.append(world.run('revoke', *ids, '--json', code=0).out)
        told.append(world.run('revoke', *ids, code=0).out)
        check_equal(statuses(world), ['revoked'] * 4)
        shown = world.run('show', ids[1], code=0).out
        check('disabled' not in shown, shown)
        return told

    check_equal(''.join(each_way(folder, story)), '''Disabled 2 keys.
Disabled 1 key of the 3 that match; the others are so already, or revoked.
Enabled 1 key.
{"changed":4,"matched":4}
Revoked 0 keys of the 4 that match; the others are so already, or revoked.
''')


def test_no_cascade(folder):
    def story(world):
        parent = created(world, '--owner', 'user:1')[1]['id']
        child = created(world, '--parent', parent, '--owner', 'user:2')[1]['id']
        for arguments in ((parent,), (parent, created(world, '--owner', 'user:1')[1]['id']), ('--owner', 'user:1', '--yes')):
            for command in ('disable', 'revoke'):
                refused = world.run(command, *arguments, '--no-cascade', code=2).err
                check_in('HAS_CHILDREN', refused)
                check_in(child, refused)
        check_equal(statuses(world), ['active'] * 3)
        return [world.run('disable', parent, child, '--no-cascade', code=0).out,
                world.run('revoke', parent, child, '--no-cascade', code=0).out]

    check_equal(''.join(each_way(folder, story)), 'Disabled 2 keys.\nRevoked 2 keys.\n')


def test_filters(folder):
    def story(world):
        make(world)
        told = [world.run('disable', '--org', 'acme', '--yes', code=0).out]
        check_equal(statuses(world), ['disabled', 'disabled', 'active', 'active'])
        told.append(world.run('enable', '--owner', 'user:1', '--org', 'acme', '--tag', 'CI', '--yes', code=0).out)
        check_equal(statuses(world), ['active', 'disabled', 'active', 'active'])
        told.append(world.run('revoke', '--owner', 'user:1', '--yes', '--reason', 'gone', code=0).out)
        check_equal(statuses(world), ['revoked', 'revoked', 'revoked', 'active'])
        told.append(world.run('revoke', '--tag', 'none', '--yes', code=0).out)
        told.append(world.run('revoke', '--owner', 'user:1', '--yes', '--json', code=0).out)
        return told

    check_equal(''.join(each_way(folder, story)), '''Disabled 2 keys.
Enabled 1 key.
Revoked 3 keys.
No key matches.
{"changed":0,"matched":3}
''')


def test_one_id_is_as_ever(folder):
    def story(world):
        ids = make(world)
        told = [world.run('revoke', ids[0], '--if-version', '1', code=0).out]
        done = world.run('revoke', ids[0], code=2)
        check_in('ALREADY_REVOKED', done.err)
        return told + [done.err]

    told = each_way(folder, story)
    check_equal(told[0], 'Revoked key_00000000000000000000000001 (user:1)\n')


def test_refusals_change_nothing(folder):
    def story(world):
        ids = make(world)
        told = []
        for arguments, part in (
                ([], 'give ids, or --owner, --org or --tag'), (['--yes'], 'give ids, or --owner, --org or --tag'),
                (['--reason', 'x'], 'give ids, or --owner, --org or --tag'),
                ([ids[0], '--tag', 'ci', '--yes'], 'exclude each other'),
                ([ids[0], ids[1], '--tag', 'ci', '--yes'], 'exclude each other'),
                ([ids[0], ids[1], '--if-version', '1'], '--if-version is about one key'),
                (['--tag', 'ci', '--if-version', '1', '--yes'], '--if-version is about one key'),
                (['--tag', 'ci'], 'give --yes'), ([ids[0], 'laptop'], "'laptop' is not the id of a key"),
                ([ids[0], UNKNOWN_ID], 'ids[1]: there is no such key in this project; nothing was changed (KEY_NOT_FOUND)'),
                (['--owner', 'bob', '--yes'], 'owner'), (['--tag', '', '--yes'], 'tag'), (['--org', '', '--yes'], 'org')):
            done = world.run('revoke', *arguments, code=2)
            check_in(part, done.err, arguments)
            check_equal(done.out, '')
            told.append(done.err)
        problem = json.loads(world.run('revoke', '--tag', 'ci', '--json', code=2).err)
        check_equal(problem['code'], 'USAGE')
        check_equal(statuses(world), ['active'] * 4)
        return told

    each_way(folder, story)


def test_keys_are_not_repeated(folder):
    key = run('generate', code=0).out.strip()
    for arguments in ([UNKNOWN_ID, key], [key, UNKNOWN_ID]):
        done = run('revoke', *arguments, '--data', folder, code=2)
        check(key not in done.out + done.err, done)
        check_in("give the key's id", done.err)


def test_a_filter_is_asked_about(folder):
    data = os.path.join(folder, 'data')
    for owner in ('user:1', 'user:1', 'user:2'):
        run('create', '--owner', owner, '--org', 'acme', '--tag', 'x', '--data', data, code=0)
    question = 'Go on and revoke every key of user:1 of the organization acme with the tag x? [y/N] '
    for typed, code, part in (('n\n', 2, 'nothing was changed'), ('\n', 2, 'nothing was changed'),
                              ('yess\n', 2, 'nothing was changed'), ('YES\n', 0, 'Revoked 2 keys.'),
                              ('y\n', 0, 'Revoked 0 keys of the 2 that match')):
        terminal = Terminal(PROGRAM, 'revoke', '--owner', 'user:1', '--org', 'acme', '--tag', 'x', '--data', data)
        terminal.wait_for(question)
        terminal.type(typed)
        terminal.wait_for(part)
        check_equal(terminal.wait(), code, typed)
    terminal = Terminal(PROGRAM, 'disable', '--tag', 'x', '--yes', '--data', data)
    check_equal(terminal.wait(), 0)
    check('Go on' not in terminal.seen, terminal.seen)
    ids = ID.findall(run('list', '--json', '--data', data, code=0).out)
    terminal = Terminal(PROGRAM, 'enable', *sorted(set(ids)), '--data', data)
    check_equal(terminal.wait(), 0)
    check_in('Enabled 1 key of the 3', terminal.seen)


if __name__ == '__main__':
    main([test_several_ids, test_no_cascade, test_filters, test_one_id_is_as_ever, test_refusals_change_nothing, test_keys_are_not_repeated,
          test_a_filter_is_asked_about])
