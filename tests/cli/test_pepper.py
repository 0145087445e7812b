"""Peppers from the command line: a new one, the move of keys to it, the end of the old one, and another installation."""

import json
import os
import stat

from support import Server, check, check_equal, check_in, generate_root_key, main, run


def create(data, **options):
    return json.loads(run('create', '--owner', 'user:1', '--data', data, '--json', code=0, **options).out)


def verify(data, key, *arguments, env=None):
    return run('verify', '--data', data, *arguments, stdin=key, env=env).code


def peppers(data, *arguments, env=None):
    return json.loads(run('pepper', 'list', '--data', data, '--json', *arguments, env=env, code=0).out)['items']


def lines(path):
    with open(path, encoding='ascii') as file:
        return file.read().split()


def test_a_new_pepper_and_the_end_of_the_old_one(folder):
    data = os.path.join(folder, 'data')
    key = create(data)['key']
    old = lines(data + '/pepper')
    made = json.loads(run('pepper', 'rotate', '--data', data, '--json', code=0).out)['fingerprint']
    now = lines(data + '/pepper')
    check_equal((len(now), now[1:]), (2, old), 'the new one is first, the old one stays')
    check_equal(stat.S_IMODE(os.stat(data + '/pepper').st_mode), 0o600)
    first, second = peppers(data)
    check_equal((first, second['keys']), ({'fingerprint': made, 'current': True, 'keys': 0, 'erased': 0}, 1))

    refused = run('pepper', 'retire', second['fingerprint'], '--data', data, code=2).err
    check_in('still needed by 1 key:', refused)
    check_in('IN_USE', refused)
    check_in('that of new keys', run('pepper', 'retire', made[:8], '--data', data, code=2).err)
    check_in('FINGERPRINT', run('pepper', 'retire', 'f' * 32, '--data', data, code=2).err)
    check_in('FINGERPRINT', run('pepper', 'retire', made[:7], '--data', data, code=2).err)
    check_equal(lines(data + '/pepper'), now, 'a refusal changed nothing')

    check_equal(verify(data, key), 0)
    check_equal([item['keys'] for item in peppers(data)], [1, 0], 'the key moved when it was used')
    run('pepper', 'retire', second['fingerprint'][:8], '--data', data, code=0)
    check_equal(lines(data + '/pepper'), now[:1])
    check_equal(verify(data, key), 0)
    table = run('pepper', 'list', '--data', data, code=0).out
    check(made in table and old[0] not in table and now[0] not in table, table)


def test_there_are_sixteen_at_most(folder):
    data = os.path.join(folder, 'data')
    key = create(data)['key']
    for _ in range(15):
        run('pepper', 'rotate', '--data', data, code=0)
    kept = lines(data + '/pepper')
    refused = run('pepper', 'rotate', '--data', data, code=2).err
    check_in('LIMIT_REACHED', refused)
    check_in('retire', refused)
    check_equal((len(kept), lines(data + '/pepper')), (16, kept), 'a refusal changed nothing')
    check_equal(verify(data, key), 0, 'of the first pepper')
    check_equal([item['keys'] for item in peppers(data)], [1] + 15 * [0], 'it moved past all of them')


def test_a_rotation_under_a_server(folder):
    data = os.path.join(folder, 'data')
    root = generate_root_key()
    environment = {'KEYWARD_ROOT_KEY': root}
    client = {'KEYWARD_KEY': root}
    with Server(data, env=environment) as server:
        made = json.loads(run('create', '--owner', 'user:1', '--url', server.url, '--json', env=client, code=0).out)
        for arguments in (['list'], ['rotate'], ['retire', 'f' * 32]):
            complaint = run('pepper', *arguments, '--data', data, code=2).err
            check_in(': stop it first, or use --url (DATA_IN_USE)\n', complaint)
        check_in(': stop it first (DATA_IN_USE)\n', run('pepper', 'export', '--reveal', '--data', data, code=2).err)
    run('pepper', 'rotate', '--data', data, code=0)
    with Server(data, env=environment) as server:
        def verdict():
            return run('verify', '--url', server.url, '--json', stdin=made['key'], env=client, code=0)

        def shown():
            return json.loads(run('show', made['record']['id'], '--url', server.url, '--json', env=client, code=0).out)

        check(json.loads(verdict().out)['valid'], 'not valid after the rotation')
        # Every change goes through the writer, which writes what was noted before it takes the one after the next.
        for _ in range(3):
            run('create', '--owner', 'user:2', '--url', server.url, env=client, code=0)
        check_equal((shown()['version'], shown()['digest']), (2, 'hmac-sha256'))
        check(json.loads(verdict().out)['valid'], 'not valid after the move')
        changed = run('disable', made['record']['id'], '--url', server.url, env=client, code=0)
        check_in('Disabled', changed.out)
        check_equal(run('verify', '--url', server.url, stdin=made['key'], env=client).code, 1)
    check_equal([item['keys'] for item in peppers(data)], [5, 0], 'all keys, the root key among them, moved')


def test_peppers_of_a_server(folder):
    data = os.path.join(folder, 'data')
    root = generate_root_key()
    client = {'KEYWARD_KEY': root}
    with Server(data, env={'KEYWARD_ROOT_KEY': root}) as server:
        there = ['--url', server.url]
        key = json.loads(run('create', '--owner', 'user:1', *there, '--json', env=client, code=0).out)['key']
        old = lines(data + '/pepper')

        def items():
            return json.loads(run('pepper', 'list', *there, '--json', env=client, code=0).out)['items']

        before = items()
        check_equal((len(before), before[0]['current']), (1, True))
        said = run('pepper', 'rotate', *there, env=client, code=0).out
        first, second = items()
        check_in(f'New keys get the pepper {first["fingerprint"]}. ', said)
        check_in('Back the file up', said)
        now = lines(data + '/pepper')
        check_equal((len(now), now[1:]), (2, old))
        check_equal((first['current'], second['current'], second['fingerprint']), (True, False, before[0]['fingerprint']))
        refused = run('pepper', 'retire', first['fingerprint'], *there, env=client, code=2).err
        check_in('that of new keys', refused)
        check_in('IN_USE', refused)
        problem = json.loads(run('pepper', 'retire', second['fingerprint'][:8], *there, '--json', env=client, code=2).err)
        check_equal(problem['code'], 'PEPPER_IN_USE')
        check_in('still needed by', problem['detail'])
        for wrong in ('f' * 32, first['fingerprint'][:7], 'x'):
            check_in('FINGERPRINT', run('pepper', 'retire', wrong, *there, env=client, code=2).err)

        for _ in range(100):  # a verification leaves word where no other is just leaving it
            check_equal(run('verify', *there, stdin=key, env=client).code, 0)
            for _ in range(3):
                run('revoke', 'key_' + '0' * 26, *there, env=client, code=2)
            if run('pepper', 'retire', second['fingerprint'][:8], *there, '--json', env=client).code == 0:
                break
        check_equal([item['fingerprint'] for item in items()], [first['fingerprint']])
        check_equal(lines(data + '/pepper'), now[:1])
        table = run('pepper', 'list', *there, env=client, code=0).out
        check_in(f'{first["fingerprint"]}  yes      2                0\n', table)
        made = json.loads(run('pepper', 'rotate', *there, '--json', env=client, code=0).out)
        check_equal(made, {'fingerprint': items()[0]['fingerprint']})

        for command in (['list'], ['rotate'], ['retire', first['fingerprint']]):
            check_in('UNAUTHORIZED', run('pepper', *command, *there, code=2).err)
        project_key = json.loads(run('create', '--owner', 'service:x', '--project', 'keyward', '--resource', 'project:default=*',
                                     *there, '--json', env=client, code=0).out)['key']
        check_in('FORBIDDEN', run('pepper', 'rotate', *there, env={'KEYWARD_KEY': project_key}, code=2).err)
        check_in('--data', run('pepper', 'export', '--reveal', *there, env=client, code=2).err)
        check_in('--data', run('pepper', 'import', data + '/pepper', *there, env=client, code=2).err)
        check_in('exclude each other', run('pepper', 'list', *there, '--data', data, env=client, code=2).err)
    check_equal([item['fingerprint'] for item in peppers(data)], [made['fingerprint'], first['fingerprint']])
    check_equal(verify(data, key), 0)


def test_where_peppers_are_when_nobody_says(folder):
    here = os.getcwd()
    os.chdir(folder)
    try:
        create('data')
        made = json.loads(run('pepper', 'rotate', '--json', code=0).out)['fingerprint']
        check_equal([item['fingerprint'] for item in peppers('data')][0], made)
        check_in(made, run('pepper', 'list', code=0).out)
        check_in('no server answers', run('pepper', 'list', env={'KEYWARD_URL': 'http://127.0.0.1:1', 'KEYWARD_KEY': 'x'},
                                          code=2).err)
    finally:
        os.chdir(here)


def test_a_pepper_that_keys_need(folder):
    data = os.path.join(folder, 'data')
    key = create(data)['key']
    text = lines(data + '/pepper')[0]
    fingerprint = peppers(data)[0]['fingerprint']
    other = '5a' * 32
    complaint = run('list', '--data', data, env={'KEYWARD_PEPPER': other}, code=2).err
    check_in('PEPPER_MISMATCH', complaint)
    check_in(fingerprint[:8], complaint)
    check_equal(verify(data, key, env={'KEYWARD_PEPPER': f'{other}, {text}'}), 0)
    check_equal(verify(data, key, env={'KEYWARD_PEPPER': other}), 0, 'it has moved')
    check_in('PEPPER_MISMATCH', run('list', '--data', data, code=2).err)
    refused = run('pepper', 'rotate', '--data', data, env={'KEYWARD_PEPPER': other}, code=2).err
    check_in('KEYWARD_PEPPER', refused)
    path = os.path.join(folder, 'elsewhere')
    with open(path, 'w', encoding='ascii') as file:
        file.write(other + '\n')
    os.chmod(path, 0o600)
    run('pepper', 'rotate', '--data', data, '--pepper-file', path, code=0)
    check_equal((len(lines(path)), lines(path)[1], lines(data + '/pepper')), (2, other, [text]))
    check_equal(verify(data, key, '--pepper-file', path), 0)
    os.symlink(path, folder + '/link')
    check_in('is a link', run('pepper', 'rotate', '--data', data, '--pepper-file', folder + '/link', code=2).err)
    for bad in (f'{other},zz', f'{other}{other}', ',', '\n'.join(f'{i:02x}' * 32 for i in range(17))):
        check_in('does not hold a pepper', run('list', '--data', data, env={'KEYWARD_PEPPER': bad}, code=2).err)


def test_what_is_erased_needs_its_pepper(folder):
    data = os.path.join(folder, 'data')
    dead = create(data)
    run('revoke', dead['record']['id'], '--data', data, code=0)
    run('erase', dead['record']['id'], '--data', data, code=0)
    plain = os.path.join(folder, 'plain.ndjson')
    with open(plain, 'w', encoding='utf-8') as file:
        file.write(json.dumps({'key': dead['key'], 'ownerId': '1'}) + '\n')
    old = peppers(data)[0]
    check_equal((old['keys'], old['erased']), (0, 1))
    run('pepper', 'rotate', '--data', data, code=0)
    check_in(f'{old["fingerprint"]}  no       0                1\n', run('pepper', 'list', '--data', data, code=0).out)
    refused = run('pepper', 'retire', old['fingerprint'][:8], '--data', data, code=2).err
    check_in('still needed by 1 erased key:', refused)
    check_in('--forget-erased', refused)
    check_in('skipped 1', run('import', plain, '--data', data, code=0).out)

    kept = lines(data + '/pepper')
    with open(data + '/pepper', 'w', encoding='ascii') as file:
        file.write(kept[0] + '\n')
    for command in (['list'], ['pepper', 'list'], ['pepper', 'retire', old['fingerprint'][:8]],
                    ['pepper', 'retire', 'f' * 8, '--forget-erased']):
        refused = run(*command, '--data', data, code=2).err
        check_in('1 erased key is kept away by the pepper of fingerprint ' + old['fingerprint'][:8], refused)
        check_in('PEPPER_MISMATCH', refused)
    said = run('pepper', 'retire', old['fingerprint'][:8], '--forget-erased', '--data', data, code=0).out
    check_in('forgotten', said)
    run('list', '--data', data, code=0)
    check_in('Created 1 key', run('import', plain, '--data', data, code=0).out)


def test_erased_keys_may_be_forgotten(folder):
    data = os.path.join(folder, 'data')
    dead = create(data)
    run('revoke', dead['record']['id'], '--data', data, code=0)
    run('erase', dead['record']['id'], '--data', data, code=0)
    run('pepper', 'rotate', '--data', data, code=0)
    first, second = peppers(data)
    said = run('pepper', 'retire', second['fingerprint'][:8], '--forget-erased', '--data', data, code=0).out
    check_in(f'Retired the pepper {second["fingerprint"]}. ', said)
    check_in('forgotten', said)
    check_equal([item['fingerprint'] for item in peppers(data)], [first['fingerprint']])
    check_in('FINGERPRINT', run('pepper', 'retire', first['fingerprint'][:7], '--forget-erased', '--data', data, code=2).err)
    check_in('that of new keys', run('pepper', 'retire', first['fingerprint'], '--forget-erased', '--data', data, code=2).err)


def test_peppers_for_another_installation(folder):
    here, there = os.path.join(folder, 'here'), os.path.join(folder, 'there')
    create(here)
    key = create(there)['key']
    run('pepper', 'rotate', '--data', here, code=0)
    path = os.path.join(folder, 'peppers')
    said = run('pepper', 'export', path, '--data', here, code=0)
    check_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    check_equal(lines(path), lines(here + '/pepper'))
    check(not any(pepper in said.out + said.err for pepper in lines(path)), 'a pepper was shown')
    check_in('cannot make', run('pepper', 'export', path, '--data', here, code=2).err)
    check_in('--reveal', run('pepper', 'export', '--data', here, code=2).err)
    check_equal(run('pepper', 'export', '--reveal', '--data', here, code=0).out.split(), lines(path))

    own = lines(there + '/pepper')
    run('pepper', 'import', path, '--data', there, code=0)
    check_equal(lines(there + '/pepper'), own + lines(path), 'its own stays the current one')
    again = run('pepper', 'import', path, '--data', there, '--json', code=0)
    check_equal((json.loads(again.out)['added'], lines(there + '/pepper')), (0, own + lines(path)))
    check_equal(verify(there, key), 0)
    os.chmod(path, 0o644)
    check_in('chmod', run('pepper', 'import', path, '--data', there, code=2).err)
    for wrong in (('retire',), ('list', 'x'), ('renew',), ('import',)):
        check_in('say list', run('pepper', *wrong, '--data', there, code=2).err)


if __name__ == '__main__':
    main([test_a_new_pepper_and_the_end_of_the_old_one, test_there_are_sixteen_at_most, test_a_rotation_under_a_server,
          test_peppers_of_a_server, test_where_peppers_are_when_nobody_says, test_a_pepper_that_keys_need,
          test_what_is_erased_needs_its_pepper, test_erased_keys_may_be_forgotten, test_peppers_for_another_installation])
