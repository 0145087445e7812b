"""`keyward serve`: what its start shows, to whom, and that the root key is never lost."""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

from support import (KEY, PROGRAM, WAIT_SECONDS, Server, Terminal, check, check_equal, check_in, environment, generate_root_key,
                     main, run)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
import mmdb

LISTEN = ('--listen', '127.0.0.1:0')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def works(url, key, *more):
    return run('list', '--url', url, *more, env={'KEYWARD_KEY': key}).code == 0


def contents(folder):
    """All bytes of all files in it."""
    whole = b''
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), 'rb') as file:
            whole += file.read()
    return whole


def paste(text):
    """Pastes the curl line that a start has shown; gives the answer."""
    line, = [line for line in text.replace('\r', '').splitlines() if line.startswith('  curl ')]
    done = subprocess.run(['/bin/sh', '-c', line + ' -sS'], env=environment(), cwd='/', stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=WAIT_SECONDS)
    check(done.returncode == 0, done)
    return json.loads(done.stdout)


@contextlib.contextmanager
def on_terminal(data, *arguments, env=None):
    terminal = Terminal(PROGRAM, 'serve', '--data', data, *LISTEN, *arguments, env=env)
    try:
        terminal.wait_for('listens on ')
        terminal.wait_for('server_started')
        terminal.url = re.search(r'listens on (\S+)', terminal.seen).group(1)
        yield terminal
    finally:
        check_equal(terminal.stop(), 0, terminal.seen)


def test_first_start_on_a_terminal(folder):
    data = os.path.join(folder, 'data')
    with on_terminal(data) as terminal:
        keys = set(KEY.findall(terminal.seen))
        check(len(keys) == 1, terminal.seen)
        root_key, = keys
        answer = paste(terminal.seen)
        check(answer['key'].startswith('sk_live_') and answer['record']['name'] == 'My first key', answer)
        check(works(terminal.url, root_key), 'the root key does not work')
        verdict = run('verify', '--url', terminal.url, env={'KEYWARD_KEY': root_key}, stdin=answer['key'])
        check_equal(verdict.code, 0)
        check_equal(sorted(os.listdir(data))[-2:], ['lock', 'pepper'], 'a file for the root key')
        check(root_key.encode() not in contents(data), 'the root key stands in the data folder')
    check_equal((mode(data), mode(data + '/pepper'), mode(data + '/keyward.db')), (0o700, 0o600, 0o600))
    with on_terminal(data) as terminal:
        check_in('found its data', terminal.seen)
        check_in(': 1 key.', terminal.seen)
        check_in('was shown or set when it was made', terminal.seen)
        check(not KEY.search(terminal.seen) and 'curl' not in terminal.seen, terminal.seen)
        check(works(terminal.url, root_key), 'the root key does not work after a second start')


def test_first_start_without_a_terminal(folder):
    data = os.path.join(folder, "a folder's name")
    with Server(data) as server:
        path = os.path.join(data, 'root-key')
        check_in(path, server.out)
        check(not KEY.search(server.out + server.log()), server.out)
        check_equal(mode(path), 0o600)
        root_key = read(path).strip()
        check(KEY.fullmatch(root_key), root_key)
        answer = paste(server.out)
        check_equal(answer['record']['owner'], 'user:1')
        check(works(server.url, root_key), 'the root key does not work')
        check(not KEY.search(server.log()), server.log())
    check_equal([name for name in os.listdir(data) if name.startswith('root-key')], ['root-key'])
    with Server(data) as server:
        check_in('1 key.', server.out)
        check_in(f'The root management key is in {path}', server.out)
        check_equal(read(path).strip(), root_key)


def test_a_new_root_key(folder):
    data = os.path.join(folder, 'data')
    with Server(data):
        first = read(data + '/root-key').strip()
    with Server(data, '--new-root-key') as server:
        second = read(data + '/root-key').strip()
        check(second != first and works(server.url, second) and not works(server.url, first), 'file to file')
    with on_terminal(data, '--new-root-key') as terminal:
        third, = set(KEY.findall(terminal.seen))
        check(not os.path.exists(data + '/root-key'), 'the file of a retired key is left')
        check(works(terminal.url, third) and not works(terminal.url, second), 'file to terminal')
    done = run('serve', '--data', data, '--new-root-key', env={'KEYWARD_ROOT_KEY': third}, code=2)
    check_in('--new-root-key', done.err)


def test_root_key_from_the_environment(folder):
    data = os.path.join(folder, 'data')
    with Server(data):
        old = read(data + '/root-key').strip()
    first, second = generate_root_key(), generate_root_key()
    for key, others in ((first, [old]), (first, [old]), (second, [old, first])):
        with Server(data, env={'KEYWARD_ROOT_KEY': key + '\n'}) as server:
            check_in('KEYWARD_ROOT_KEY', server.out)
            check(works(server.url, key), 'the chosen root key does not work')
            check(not any(works(server.url, other) for other in others), 'a changed root key still works')
            check(key not in server.out + server.log(), 'the root key was shown')
    check(not os.path.exists(data + '/root-key'), 'the file of a retired key is left')
    with Server(data) as server:
        check(works(server.url, second), 'the root key does not outlive its variable')
        check(not os.path.exists(data + '/root-key'), 'another root key was made')
    done = run('serve', '--data', data, *LISTEN, env={'KEYWARD_ROOT_KEY': first}, code=2)
    check_in('retired', done.err)


def test_a_bad_root_key_is_refused(folder):
    data = os.path.join(folder, 'data')
    good = generate_root_key()
    bad = [good[:-1] + ('a' if good[-1] != 'a' else 'b'), 'password', run('generate', code=0).out.strip(), good + ' ' + good,
           'x' * 300, run('generate', '--prefix', 'kw_live_', '--length', '22', code=0).out.strip()]
    for key in bad:
        done = run('serve', '--data', data, *LISTEN, env={'KEYWARD_ROOT_KEY': key}, code=2)
        check_in('KEYWARD_ROOT_KEY', done.err)
        check(key not in done.out + done.err, 'the refused key was repeated')
    with Server(data, env={'KEYWARD_ROOT_KEY': good}) as server:
        check(works(server.url, good), 'no good after the bad')


def test_secrets_leave_the_environment(folder):
    data = os.path.join(folder, 'data')
    root_key, pepper, key = generate_root_key(), '5a' * 32, generate_root_key()
    env = {'KEYWARD_ROOT_KEY': root_key, 'KEYWARD_PEPPER': pepper, 'KEYWARD_KEY': key}
    with Server(data, env=env) as server:
        with contextlib.suppress(PermissionError), open(f'/proc/{server.process.pid}/environ', 'rb') as file:
            shown = file.read()
            check(not any(secret.encode() in shown for secret in env.values()), 'a secret is left in the environment')
        with open(f'/proc/{server.process.pid}/cmdline', 'rb') as file:
            check(b'kw_live_' not in file.read(), 'a key in the list of processes')
        with open(f'/proc/{server.process.pid}/limits', encoding='ascii') as file:
            check(re.search(r'Max core file size +0 +0 ', file.read()), 'core files are not switched off')
        check(not os.path.exists(data + '/pepper'), 'a pepper was made beside the one in the environment')
        check(pepper.encode() not in contents(data), 'the pepper stands in the data folder')


def memory_holds(process_id, needles):
    """Which of them stand somewhere in the memory of a process."""
    found = set()
    with open(f'/proc/{process_id}/maps', encoding='utf-8') as maps, open(f'/proc/{process_id}/mem', 'rb') as memory:
        for line in maps:
            places, rights, *_, name = line.split(maxsplit=5) if len(line.split()) > 5 else [*line.split(), '']
            start, end = (int(place, 16) for place in places.split('-'))
            if not rights.startswith('rw') or 'shadow' in name or end - start > 1 << 30:
                continue
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(start)
                part = memory.read(end - start)
                found |= {needle for needle in needles if needle in part}
    return found


def is_sanitized():
    """The sanitizers' own library keeps a copy of the environment as it was."""
    with open(PROGRAM, 'rb') as file:
        return b'__asan_init' in file.read()


def test_no_secret_stays_in_memory(folder):
    chosen = {'KEYWARD_ROOT_KEY': generate_root_key(), 'KEYWARD_PEPPER': '5a' * 31 + '17'}
    for number, env in enumerate([{}] if is_sanitized() else [{}, chosen]):
        data = os.path.join(folder, str(number))
        with Server(data, env=env) as server:
            root_key = env.get('KEYWARD_ROOT_KEY') or read(data + '/root-key').strip()
            pepper = env.get('KEYWARD_PEPPER') or read(data + '/pepper').strip()
            where = {'KEYWARD_KEY': root_key, 'KEYWARD_URL': server.url}
            key = json.loads(run('create', '--owner', 'user:1', '--json', env=where, code=0).out)['key']
            run('verify', env=where, stdin=key, code=0)
            secrets = [root_key[8:40].encode(), key[8:40].encode(), pepper.encode(), bytes.fromhex(pepper)]
            try:
                control = memory_holds(server.process.pid, [b'server_started'])
            except PermissionError:
                print('# the memory of another process may not be read here')
                return
            check(control, 'the search finds nothing at all')
            check_equal(memory_holds(server.process.pid, secrets), set(), 'a secret is left in memory')


def test_no_key_in_any_log(folder):
    data = os.path.join(folder, 'data')
    root_key = generate_root_key()
    with Server(data, '--log-level', 'debug', env={'KEYWARD_ROOT_KEY': root_key}) as server:
        env = {'KEYWARD_KEY': root_key}
        made = json.loads(run('create', '--owner', 'user:1', '--json', '--url', server.url, env=env, code=0).out)
        for key in (made['key'], made['key'][:-1] + '0', 'sk_live_' + 'x' * 38):
            run('verify', '--url', server.url, env=env, stdin=key)
        run('list', '--url', server.url, env={'KEYWARD_KEY': root_key[:-1] + '0'})
        rotated = json.loads(run('rotate', made['record']['id'], '--json', '--url', server.url, env=env, code=0).out)
        run('revoke', rotated['record']['id'], '--url', server.url, env=env, code=0)
        log = server.log()
        check(log.count('"event":"request"') >= 6, log)
        for key in (root_key, made['key'], rotated['key']):
            check(key not in log and key[8:40] not in log, 'a key in the log')
            check(key.encode() not in contents(data) and key[8:40].encode() not in contents(data), 'a key in the data')
        for line in log.splitlines():
            json.loads(line)


def test_a_start_that_never_showed_its_key(folder):
    data = os.path.join(folder, 'data')
    with on_terminal(data) as terminal:
        lost, = set(KEY.findall(terminal.seen))
    with open(data + '/root-key.new', 'w', encoding='utf-8'):
        pass  # as a crash leaves it, between making the key and showing it
    with on_terminal(data) as terminal:
        check_in('ended before its root key was shown', terminal.seen)
        found, = set(KEY.findall(terminal.seen))
        check(found != lost and works(terminal.url, found) and not works(terminal.url, lost), terminal.seen)
    check(not os.path.exists(data + '/root-key.new'), 'the announcement is left')
    with on_terminal(data) as terminal:
        check(not KEY.search(terminal.seen), terminal.seen)


def test_killed_while_starting(folder):
    """Wherever a first start is killed, the next one ends with a root key that somebody knows."""
    seed = int(os.environ.get('KW_TEST_SEED') or time.time())
    print(f'# KW_TEST_SEED={seed}')
    chance = random.Random(seed)
    start = time.monotonic()
    with Server(os.path.join(folder, 'whole')):
        whole = time.monotonic() - start
    for number in range(30):
        data = os.path.join(folder, str(number))
        process = subprocess.Popen([PROGRAM, 'serve', '--data', data, *LISTEN], env=environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, whole * 1.2))
        process.kill()
        process.wait()
        if os.path.exists(data + '/keyward.db') and os.path.getsize(data + '/keyward.db') == 0:
            os.remove(data + '/keyward.db')  # as the message says
        with Server(data) as server:
            check(works(server.url, read(data + '/root-key').strip()), f'start {number}: nobody knows the root key')
            check(not os.path.exists(data + '/root-key.new'), 'the announcement is left')
        shutil.rmtree(data)


def test_a_port_in_use(folder):
    data = os.path.join(folder, 'data')
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = f'127.0.0.1:{taken.getsockname()[1]}'
        done = run('serve', '--data', data, '--listen', address, code=2)
        check_in(f'port {taken.getsockname()[1]} is in use', done.err)
        check(done.out == '' and not os.path.exists(data + '/root-key'), 'a root key for a server that did not start')
    for address in ('nonsense', '127.0.0.1', '127.0.0.1:99999', '127.0.0.1:x', '192.0.2.1:7411', ':'):
        done = run('serve', '--data', data, '--listen', address, code=2)
        check('--listen' in done.err and done.out == '', done)
    with Server(data) as server:
        check(works(server.url, read(data + '/root-key').strip()), 'no start after the port was free')


def test_every_address(folder):
    terminal = Terminal(PROGRAM, 'serve', '--data', os.path.join(folder, 'wide'), '--listen', '0.0.0.0:0')
    terminal.wait_for('and on every other address of this machine')
    terminal.wait_for('server_started')
    check_in('curl http://127.0.0.1:', terminal.seen)
    paste(terminal.seen)
    check_equal(terminal.stop(signal.SIGINT), 0)


def make_certificate(folder, host):
    paths = [os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')]
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', f'/CN={host}',
                    '-addext', f'subjectAltName={"IP" if host[0].isdigit() else "DNS"}:{host}', '-out', paths[0], '-keyout',
                    paths[1]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return paths


def test_tls(folder):
    for host in ('127.0.0.1', 'keys.example.org'):
        data = os.path.join(folder, host)
        cert, key = make_certificate(folder, host)
        with Server(data, '--tls-cert', cert, '--tls-key', key) as server:
            check(server.url.startswith('https://127.0.0.1:'), server.url)
            check_in('sk_live_', paste(server.out)['key'])
            env = {'KEYWARD_KEY': read(data + '/root-key').strip()}
            done = run('list', '--url', server.url, env=env, code=2)
            check_in('--cacert FILE', done.err)
            trusted = run('list', '--url', server.url, '--cacert', cert, env=env)
            check_equal(trusted.code, 0 if host == '127.0.0.1' else 2, trusted)
            plain = run('list', '--url', server.url.replace('https', 'http'), env=env, code=2)
            check('kw_live_' not in plain.err, plain)
        done = run('serve', '--data', data, '--tls-cert', cert, '--tls-key', cert, *LISTEN, code=2)
        check_in('keyward: --tls-key', done.err)


def test_databases_of_addresses(folder):
    data, path = os.path.join(folder, 'data'), os.path.join(folder, 'places.mmdb')
    whole = mmdb.build(mmdb.PLACES)
    in_ipv4 = {'192.0.2.0/24': mmdb.place('US')}
    damaged = bytearray(mmdb.build(in_ipv4, version=4))
    damaged[0:3] = b'\xff\xff\xff'
    for content, reason in (
            (None, 'No such file'), (b'', ''), (b'not a database', 'invalid metadata'), (whole[:-200], 'invalid metadata'),
            (whole[:len(whole) // 2], ''), (whole[len(whole) // 4:], ''), (bytes(damaged), 'search tree'),
            (mmdb.build({'192.0.2.0/24': {'autonomous_system_number': 64500}}), 'it tells no countries'),
            (mmdb.build({'192.0.2.0/24': {'country': {'iso_code': 'XX'}}}), 'it tells no countries'), (mmdb.build({}), 'no countries')):
        if content is not None:
            with open(path, 'wb') as file:
                file.write(content)
        done = run('serve', '--data', data, *LISTEN, '--geo-database', path, code=2)
        check_in(f'the database of addresses {path} cannot be used: ', done.err, reason)
        check_in(reason, done.err)
        check(not os.path.exists(data), 'a start that failed made the data folder')
    check_in(f'{folder} cannot be used', run('serve', '--data', data, *LISTEN, '--geo-database', folder, code=2).err)
    for content in (whole, mmdb.build(in_ipv4, version=4)):
        with open(path, 'wb') as file:
            file.write(content)
        proxies = [f'--trust-proxy=10.0.{n}.0/24' for n in range(64)]
        with Server(data, '--geo-database', path, *proxies) as server:
            check(works(server.url, read(data + '/root-key').strip()), server.log())


def test_another_program_at_the_address(folder):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        url = f'http://127.0.0.1:{other.getsockname()[1]}'
        for answer, message in (
                (b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi', 'is not Keyward'),
                (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]', 'not what Keyward'),
                (b'HTTP/1.1 404 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}', 'not what Keyward'),
                (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{', 'OUTCOME_UNCERTAIN'),
                (b'HTTP/1.1 201 Created\r\n', 'OUTCOME_UNCERTAIN'),
                (b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n', 'OUTCOME_UNCERTAIN'),
                (b'', 'OUTCOME_UNCERTAIN')):
            process = subprocess.Popen([PROGRAM, 'create', '--owner', 'user:1', '--url', url], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, env=environment(KEYWARD_KEY='kw_live_x'))
            connection, _ = other.accept()
            with connection:
                request = connection.recv(65536)
                connection.sendall(answer)
            _, complaint = process.communicate(timeout=WAIT_SECONDS)
            check(process.returncode == 2 and message in complaint.decode(), complaint)
            check_in(b'Authorization: Bearer kw_live_x\r\n', request)


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_while_starting(folder):
    """A first start that runs out of room says so, and the next one begins where it can."""
    for size in (0, 40, 100, 1000, 5000, 20000, 60000, 90000, 120000):
        data = os.path.join(folder, str(size))
        process = subprocess.Popen([PROGRAM, 'serve', '--data', data, *LISTEN], env=environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit_files(size))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3 if size > 50000 else WAIT_SECONDS)
        process.terminate()
        out, err = process.communicate(timeout=WAIT_SECONDS)
        check(process.returncode in (0, 2), f'{size}: {process.returncode} {err}')
        if process.returncode == 2:
            check(b'keyward: ' in err and b'listens' not in out, f'{size}: {err}')
        if os.path.exists(data + '/keyward.db') and os.path.getsize(data + '/keyward.db') == 0:
            os.remove(data + '/keyward.db')
        with Server(data) as server:
            check(works(server.url, read(data + '/root-key').strip()), f'{size}: nobody knows the root key')


if __name__ == '__main__':
    main([value for name, value in list(vars(sys.modules[__name__]).items()) if name.startswith('test_')])
