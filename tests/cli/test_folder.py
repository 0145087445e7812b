"""The data folder: who holds it, its pepper, its database, and a disk without room."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys

from support import PROGRAM, Server, check, check_equal, check_in, environment, main, run

LISTEN = ('--listen', '127.0.0.1:0')
DATABASE = 'keyward.db'


def create(data, *arguments, **options):
    return run('create', '--owner', 'user:1', '--data', data, *arguments, **options)


def first_key(data):
    return json.loads(create(data, '--json', code=0).out)['key']


def verifies(data, key, *arguments, env=None):
    return run('verify', '--data', data, *arguments, env=env, stdin=key).code


def refusals(data, *arguments, env=None):
    """What serve, a reading and a writing command say, all of which must fail."""
    return [run('serve', '--data', data, *LISTEN, *arguments, env=env, code=2).err,
            run('list', '--data', data, *arguments, env=env, code=2).err,
            create(data, *arguments, env=env, code=2).err]


def picture(folder):
    """What is in the folder, but for the lock, which names the last process."""
    shown = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), 'rb') as file:
            shown[name] = hashlib.sha256(b'' if name == 'lock' else file.read()).hexdigest()
    return shown


def test_a_folder_is_made_with_its_pepper(folder):
    data = os.path.join(folder, 'data')
    create(data, code=0)
    with open(data + '/pepper', encoding='ascii') as file:
        text = file.read()
    check(len(text) == 65 and text[-1] == '\n' and bytes.fromhex(text[:-1]), text)
    for name in os.listdir(data):
        check_equal(stat.S_IMODE(os.stat(os.path.join(data, name)).st_mode), 0o600, name)
    check_equal(stat.S_IMODE(os.stat(data).st_mode), 0o700)
    check('root-key' not in os.listdir(data), 'a command made a root key')
    for path in ('/proc/nothing/here', os.path.join(folder, 'no/data'), data + '/pepper'):
        check_in(path, create(path, code=2).err)


def test_a_held_folder(folder):
    data = os.path.join(folder, 'data')
    with Server(data) as server:
        held = f'another process (pid {server.process.pid}) holds {data}: stop it first'
        for complaint, other_way in zip(refusals(data), ('', ', or use --url', ', or use --url')):
            check_in(f'{held}{other_way} (DATA_IN_USE)\n', complaint)
        check_in('DATA_IN_USE', run('list', '--data', data + '/', code=2).err)
        os.symlink(data, folder + '/link')
        check_in('DATA_IN_USE', run('list', '--data', folder + '/link', code=2).err)
    run('list', '--data', data, code=0)
    process = subprocess.Popen([PROGRAM, 'serve', '--data', data, *LISTEN], env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    process.kill()
    process.communicate()
    run('list', '--data', data, code=0)


def test_a_missing_pepper(folder):
    data = os.path.join(folder, 'data')
    key = first_key(data)
    os.rename(data + '/pepper', folder + '/pepper')
    before = picture(data)
    for complaint in refusals(data):
        check_in(f'{data}/pepper is missing', complaint)
        check_in('restore it from its backup', complaint)
        check_in('PEPPER_MISMATCH', complaint)
    check_equal(picture(data), before, 'something was made or changed')
    with open(folder + '/pepper', encoding='ascii') as file:
        pepper = file.read()
    check_equal(verifies(data, key, '--pepper-file', folder + '/pepper'), 0)
    check_equal(verifies(data, key, env={'KEYWARD_PEPPER': pepper}), 0)
    check_equal(verifies(data, key, env={'KEYWARD_PEPPER': pepper.strip().upper()}), 0)
    with Server(data, env={'KEYWARD_PEPPER': pepper}):
        check(not os.path.exists(data + '/pepper'), 'the pepper of the environment was written down')
    shutil.copy(folder + '/pepper', data + '/pepper')
    check_equal(verifies(data, key), 0)


def leave_behind(data, name, text):
    """As a kill does between writing a file and renaming it."""
    path = os.path.join(data, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w', encoding='ascii') as file:
        file.write(text)
    return path


def test_what_a_kill_left_of_a_pepper(folder):
    data = os.path.join(folder, 'data')
    key = first_key(data)
    with open(data + '/pepper', encoding='ascii') as file:
        good = file.read()
    for text in ('11' * 32 + '\n' + good, '11' * 5, ''):
        left = leave_behind(data, 'pepper.tmp', text)
        check_equal(verifies(data, key), 0)
        check(not os.path.exists(left), 'a command leaves it there')
        leave_behind(data, 'pepper.tmp', text)
        pending = leave_behind(data, 'root-key.new.tmp', 'a key that nobody has seen')
        with Server(data):
            check(not os.path.exists(left), 'a start leaves it there')
            check(not os.path.exists(pending), 'a start leaves a root key there')
    with open(data + '/pepper', encoding='ascii') as file:
        check_equal(file.read(), good)
    left = leave_behind(data, 'pepper.tmp', good)
    os.rename(data + '/pepper', folder + '/pepper')
    for complaint in refusals(data):  # it may be all that is left of it
        check_in(f'{data}/pepper is missing', complaint)
    check(os.path.exists(left), 'it went, though nothing came up without it')
    elsewhere = leave_behind(folder, 'pepper.tmp', good)  # that folder is not only ours
    check_equal(verifies(data, key, '--pepper-file', folder + '/pepper'), 0)
    check(not os.path.exists(left) and os.path.exists(elsewhere), 'the wrong one went')
    run('pepper', 'rotate', '--data', data, '--pepper-file', folder + '/pepper', code=0)
    check(not os.path.exists(elsewhere), 'a rotation leaves it there')
    os.mkdir(left)
    for complaint in refusals(data, '--pepper-file', folder + '/pepper'):
        check_in(f'cannot remove {left}: Is a directory', complaint)


def test_a_wrong_pepper(folder):
    data = os.path.join(folder, 'data')
    key = first_key(data)
    with open(data + '/pepper', encoding='ascii') as file:
        good = file.read()
    for bad, message in (('00' * 32 + '\n', 'PEPPER_MISMATCH'), ('', 'does not hold a pepper'), (good[:63], 'not hold a pepper'),
                         (good[:64] + '00', 'not hold a pepper'), ('x' * 64, 'not hold a pepper'), ('a' * 5000, 'too long')):
        with open(data + '/pepper', 'w', encoding='ascii') as file:
            file.write(bad)
        before = picture(data)
        for complaint in refusals(data):
            check(message in complaint or 'is longer than' in complaint, complaint)
            check(not bad.strip() or bad.strip()[:40] not in complaint, 'the pepper was repeated')
        check_equal(picture(data), before, 'something was changed')
    for complaint in refusals(data, env={'KEYWARD_PEPPER': '11' * 32}):
        check_in('PEPPER_MISMATCH', complaint)
    for complaint in refusals(data, env={'KEYWARD_PEPPER': 'secret stuff'}):
        check('KEYWARD_PEPPER does not hold a pepper' in complaint and 'stuff' not in complaint, complaint)
    for complaint in refusals(data, '--pepper-file', folder + '/nowhere'):
        check_in(f'{folder}/nowhere cannot be read', complaint)
    with open(data + '/pepper', 'w', encoding='ascii') as file:
        file.write(good)
    check_equal(verifies(data, key), 0)


def test_loose_permissions_of_the_pepper(folder):
    data = os.path.join(folder, 'data')
    key = first_key(data)
    for mode in (0o640, 0o604, 0o620, 0o666, 0o610):
        os.chmod(data + '/pepper', mode)
        for complaint in refusals(data):
            check_in(f'chmod 600 {data}/pepper', complaint)
    for mode in (0o600, 0o400):
        os.chmod(data + '/pepper', mode)
        check_equal(verifies(data, key), 0)


def damage(path, kind):
    size = os.path.getsize(path)
    with open(path, 'r+b') as file:
        if kind == 'garbage':
            file.write(b'x' * size)
        else:
            file.truncate({'empty': 0, 'header': 100, 'half': size // 2 // 4096 * 4096, 'odd': size - 1000}[kind])


def test_a_damaged_database(folder):
    data = os.path.join(folder, 'data')
    key = first_key(data)
    shutil.copytree(data, folder + '/good')
    for kind in ('empty', 'header', 'half', 'odd', 'garbage'):
        damage(f'{data}/{DATABASE}', kind)
        before = picture(data)[DATABASE]
        for complaint in refusals(data):
            check('STORE_CORRUPT' in complaint and 'backup' in complaint, f'{kind}: {complaint}')
        check_equal(picture(data)[DATABASE], before, f'{kind}: the database was changed')
        shutil.rmtree(data)
        shutil.copytree(folder + '/good', data)
    check_equal(verifies(data, key), 0)


def test_a_newer_database(folder):
    data = os.path.join(folder, 'data')
    first_key(data)
    with contextlib.closing(sqlite3.connect(f'{data}/{DATABASE}')) as database:
        version, = database.execute('PRAGMA user_version').fetchone()
        database.execute(f'PRAGMA user_version = {version + 1}')
        database.commit()
        database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    before = picture(data)[DATABASE]
    for complaint in refusals(data):
        check_in('STORE_NEWER', complaint)
    check_equal(picture(data)[DATABASE], before, 'the database was changed')


def test_another_programs_database(folder):
    data = os.path.join(folder, 'data')
    create(data, code=0)
    os.remove(f'{data}/{DATABASE}')
    with contextlib.closing(sqlite3.connect(f'{data}/{DATABASE}')) as database:
        database.execute('CREATE TABLE theirs (a)')
        database.commit()
    for complaint in refusals(data):
        check_in('STORE_CORRUPT', complaint)
    with contextlib.closing(sqlite3.connect(f'{data}/{DATABASE}')) as database:
        check_equal(database.execute('SELECT name FROM sqlite_schema').fetchall(), [('theirs',)])


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_while_making_the_folder(folder):
    for size in (0, 3, 64, 65, 100, 1000, 4095, 4096, 8192, 20000, 32768, 50000, 65536, 80000, 100000, 150000):
        data = os.path.join(folder, str(size))
        done = create(data, '--json', before=limit_files(size))
        check(done.code in (0, 2), f'{size}: {done}')
        if done.code == 0:
            check_equal(verifies(data, json.loads(done.out)['key']), 0, f'{size}: a key that was shown is lost')
            continue
        check(done.out == '' and json.loads(done.err)['code'], f'{size}: {done}')
        if os.path.exists(f'{data}/{DATABASE}') and os.path.getsize(f'{data}/{DATABASE}') == 0:
            os.remove(f'{data}/{DATABASE}')
        check_equal(verifies(data, first_key(data)), 0, f'{size}: no start when there is room again')
    check(os.path.exists(data), 'no size was tried')


def test_a_full_disk_with_keys(folder):
    data = os.path.join(folder, 'data')
    keys = [first_key(data) for _ in range(3)]
    refused = 0
    for size in range(0, 90001, 5000):
        done = create(data, '--json', '--description', 'x' * 1000, before=limit_files(size))
        check(done.code in (0, 2), f'{size}: {done}')
        if done.code == 0:
            keys.append(json.loads(done.out)['key'])
        else:
            refused += 1
            check(json.loads(done.err)['code'] == 'STORE_UNAVAILABLE' and done.out == '', f'{size}: {done}')
    check(refused > 3, 'the disk was never full')
    check_in(f'The disk of {data} has ', create(data, before=limit_files(0), code=2).err)
    for key in keys:
        check_equal(verifies(data, key), 0, 'a key that was shown is lost')
    check_equal(len(json.loads(run('list', '--all', '--json', '--data', data, code=0).out)['items']), len(keys))


def test_a_disk_that_fills_under_a_server(folder):
    data = os.path.join(folder, 'data')
    with Server(data) as server:
        with open(data + '/root-key', encoding='ascii') as file:
            env = {'KEYWARD_KEY': file.read()}
        where = ('--url', server.url)
        key = json.loads(run('create', '--owner', 'user:1', '--json', *where, env=env, code=0).out)['key']
        size = max(os.path.getsize(os.path.join(data, name)) for name in os.listdir(data))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        done = None
        for _ in range(400):
            done = run('create', '--owner', 'user:1', '--description', 'x' * 1000, *where, env=env)
            if done.code:
                break
        check(done.code == 2 and 'STORE_UNAVAILABLE' in done.err, done)
        run('verify', *where, env=env, stdin=key, code=0)
        count = len(json.loads(run('list', '--all', '--json', *where, env=env, code=0).out)['items'])
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        run('create', '--owner', 'user:1', *where, env=env, code=0)
        check_equal(len(json.loads(run('list', '--all', '--json', *where, env=env, code=0).out)['items']), count + 1)


def test_commands_that_only_read_make_nothing(folder):
    missing = os.path.join(folder, 'missing')
    for command in (['list'], ['verify'], ['show', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'],
                    ['revoke', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'], ['update', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC', '--name', 'x']):
        done = run(*command, '--data', missing, stdin='x', code=2)
        check_in(f"there is no data folder {missing}: 'keyward serve' and 'keyward create' make one", done.err)
        done = run(*command, '--data', folder, stdin='x', code=2)
        check_in(f'{folder} is not a data folder of Keyward', done.err)
    check_equal(os.listdir(folder), [])
    run('create', '--data', missing, '--resource', 'wrong', code=2)
    check_equal(os.listdir(folder), [], 'a wrong command line made the folder')


if __name__ == '__main__':
    main([value for name, value in list(vars(sys.modules[__name__]).items()) if name.startswith('test_')])
