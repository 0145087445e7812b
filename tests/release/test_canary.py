"""The canary (DESIGN, invariant 1): a full key leaves the process once, in the answer to its creation. Keys are used in
every way in which a server or a command receives one, and are then searched for: in every other answer, the log at its
most talkative, the metrics, every file of the data folder, what commands print, and the memory of the process once the
answer is out.

    test_canary.py PROGRAM [NAME]

The kernel keeps what was put into a process's environment only in that process's memory, which the program overwrites:
/proc/PID/environ is searched like the rest, without exception. (In a program that was built with a sanitizer, the
runtime's own copy of the environment is passed over.) Memory is read through /proc/PID/mem, which needs root, since the
program forbids it to everybody else; without, those cases are skipped.
"""

import contextlib
import functools
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

import secrecy
import uses
from canary import PATIENCE_S, Failed, Server, check

PROGRAM = os.path.abspath(sys.argv[1])
COMMAND_SECONDS_MAX = 120


def run(*arguments, stdin='', env=None, code=None):
    """One run of the command line: what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith('KEYWARD_')}
    done = subprocess.run([PROGRAM, *arguments], input=stdin.encode(), env={**environment, **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=COMMAND_SECONDS_MAX)
    check(code is None or done.returncode == code,
          f'keyward {arguments[0]}: exit code {done.returncode}: {done.stderr!r}')
    return done.stdout, done.stderr


def generate_root():
    return run('generate', '--management', code=0)[0].decode().strip()


@contextlib.contextmanager
def served(with_root=True):
    with tempfile.TemporaryDirectory(prefix='keyward-canary-') as folder:
        with Server(PROGRAM, folder, root=generate_root() if with_root else None) as server:
            yield server


@contextlib.contextmanager
def served_by_tls():
    with tempfile.TemporaryDirectory(prefix='keyward-canary-') as folder:
        key, cert = os.path.join(folder, 'key.pem'), os.path.join(folder, 'cert.pem')
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                        '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '30',
                        '-keyout', key, '-out', cert], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        context = ssl.create_default_context(cafile=cert)
        with Server(PROGRAM, folder, '--tls-cert', cert, '--tls-key', key, root=generate_root(), tls=context) as server:
            yield server


def none(found):
    check(not found, 'found\n' + '\n'.join(found))


def search_outside(server, keys, except_for=()):
    server.ask('/metrics', 'GET')
    none(server.leaks([*keys, server.root], except_for))


def use_leaves_nothing(use, server):
    """A fresh key for each use; what it left is looked for before another request can cover it."""
    key, key_id = server.make()
    more = use(server, key, key_id) or []
    none(server.memory_leaks([key, *more, server.root]))
    search_outside(server, [key, *more])


def the_search_finds(_):
    """The test of the test: what is there is found, in every form that is looked for."""
    key = 'sk_live_HV8eIcZMnsf9HQm4xr0OyS2Mw0ZxHbeR1kdrfa'
    for name, pattern in secrecy.patterns_of(key).items():
        check(len(pattern) >= 12, f'{name} is too short to tell')
        check(secrecy.find_in(b'\0x' + pattern + b'y', key), f'{name} is not found')
    check(secrecy.find_any(b'x ' + key.encode() + b' y') == 2, 'a key of nobody is not found')
    check(secrecy.find_any(key.encode()[:-1] + b'b') < 0, 'any text is a key')
    here = bytearray(key.encode())
    check(secrecy.find_in_memory(os.getpid(), [key]), 'its own memory is not searched')
    del here


def key_under_construction_is_found(server):
    """That memory is read at all: a request that is not finished yet lies there with its key."""
    key, _ = server.make()
    data = uses.request('/v1/keys/verify', key=server.root, headers=[f'X-API-Key: {key}'], body={'key': key})
    with server.connect() as client:
        client.send(data[:-3])
        server.ask('/healthz', 'GET')
        check(secrecy.find_in_memory(server.process.pid, [key]), 'nothing is found where something must be')
        check(client.ask(data[-3:])[0] == 200, 'the rest of the request was not answered')
        none(server.memory_leaks([key, server.root]))


def root_key_is_forgotten(server):
    """After the start, and after the first request with it. The environment too."""
    with open(f'/proc/{server.process.pid}/environ', 'rb') as environment:
        check(secrecy.find_in(environment.read(), server.root) is None, '/proc/PID/environ shows the root key')
    with open(f'/proc/{server.process.pid}/cmdline', 'rb') as line:
        check(secrecy.find_in(line.read(), server.root) is None, '/proc/PID/cmdline shows the root key')
    none(server.memory_leaks([server.root]))
    check(server.ask('/v1/keys', 'GET', key=server.root)[0] == 200, 'the root key is not accepted')
    none(server.memory_leaks([server.root]))


def keys_that_nobody_waited_for(server):
    """The client is gone before the answer with its key: nobody will ever see it, and nothing keeps it."""
    count = 20
    for _ in range(count):
        with server.connect() as client:
            client.send(uses.request('/v1/keys', key=server.root, body={'owner': 'service:gone'}))
    deadline = time.monotonic() + PATIENCE_S
    while server.ask('/v1/keys?owner=service%3Agone', 'GET', key=server.root)[1].count(b'"lastFour"') < count:
        check(time.monotonic() < deadline, 'the keys are not made')
    none(server.memory_leaks([server.root]))
    check(secrecy.find_any(server.written()) < 0, 'a key stands in the log')


def management_key_is_forgotten(server):
    body = {'owner': 'service:x', 'resources': {'project:default': ['keys:verify', 'keys:read']}}
    manager, _ = server.make(body=body, headers=['Keyward-Project: keyward'])
    key, _ = server.make()
    check(server.ask('/v1/keys/verify', key=manager, body={'key': key})[0] == 200, 'not accepted')
    check(server.ask('/v1/keys', key=manager, body={'ownerId': '1'})[0] == 403, 'not refused')
    none(server.memory_leaks([manager, key]))
    search_outside(server, [manager, key])


def root_key_of_its_own(_):
    """Made by the server without a terminal: it stands in one file, and nowhere else."""
    with served(with_root=False) as server:
        with open(os.path.join(server.data, 'root-key'), encoding='ascii') as file:
            server.root = file.read().strip()
        check(os.stat(os.path.join(server.data, 'root-key')).st_mode & 0o777 == 0o600, 'root-key is not 0600')
        none(server.memory_leaks([server.root]))
        key, _ = server.make()
        none(server.memory_leaks([key, server.root]))
        search_outside(server, [key], except_for=['root-key'])


def stopped_server_leaves_nothing(server):
    """The files once the log of writes is folded into the database."""
    keys = [server.make()[0] for _ in range(3)]
    for key in keys:
        uses.verify(server, key, None)
    none(server.leaks(keys))
    server.stop()
    none(server.leaks([*keys, server.root]))


def search_printed(printed, key, what):
    for stream, data in zip(('standard output', 'standard error'), printed):
        seen = secrecy.find_in(data, key)
        check(seen is None, f'{what}: {seen}, on {stream}: {data!r}')


def use_on_command_line(where, env, key, key_id):
    """Every way in which a command takes a key, right and wrong: (what, what it printed)."""
    with tempfile.NamedTemporaryFile('w', prefix='keyward-canary-', suffix='.txt') as file:
        file.write(key + '\n')
        file.flush()
        yield 'verify', run('verify', *where, stdin=key, env=env, code=0)
        yield 'verify --json', run('verify', '--json', *where, stdin=key, env=env, code=0)
        yield 'verify of a file', run('verify', '--key-file', file.name, *where, env=env, code=0)
        yield 'verify of two lines', run('verify', *where, stdin=f'{key}\n{key}\n', env=env)
        yield 'verify of a piece', run('verify', *where, stdin=key[:-1], env=env)
    for form, text in (('csv', 'key,env\n{0}\n{0},test,more\n"{0}"x\n'), ('csv', '{0}\n{0}\n'), ('csv', 'key\n"{0}\n'),
                       ('ndjson', '{{"key":"{0}"}}\n{{"{0}":1}}\n{{"key":"{0}",}}\n{0}\n{{"key":"{0}","env":"{0}"}}\n')):
        yield f'batch verify of {text}', run('batch', 'verify', '-', '--format', form, '--progress', 'plain', *where,
                                             stdin=text.format(key), env=env)
    for arguments in (['batch', key, key], ['batch', 'verify', key], ['batch', 'verify', '-', '--format', key],
                      ['batch', 'verify', '-', '--format', 'csv', '--map', key]):
        yield ' '.join(arguments).replace(key, 'KEY'), run(*arguments, *where, stdin='key\n', env=env)
    for arguments in (['show', key], ['revoke', key], ['update', key, '--name', 'x'], ['verify', key], ['erase', key],
                      ['show', key_id, key], ['list', '--status', key], ['list', '--limit', key], [key],
                      ['create', '--owner', 'user:1', '--expires-in', key], ['create', '--' + key], ['list', key],
                      ['rotate', key_id, '--grace', key], ['create', '--owner', key], ['help', key],
                      ['serve', '--log-level', key], ['create', '--owner', 'user:1', '--resource', f'{key}=read'],
                      ['create', '--owner', 'user:1', '--resource', key],
                      ['create', '--owner', 'user:1', '--tag', f'{key} '],
                      ['create', '--owner', 'user:1', '--scope', f'{key} {key}'], ['list', '--project', key],
                      ['list', '--owner', key], ['list', '--cursor', key]):
        yield ' '.join(arguments).replace(key, 'KEY'), run(*arguments, *(where if len(arguments) > 1 else []), env=env)
    yield 'verify of a revoked key', (run('revoke', key_id, *where, env=env, code=0),
                                      run('verify', *where, stdin=key, env=env, code=1))[1]


def create_by_command(where, env):
    """A new key, shown once: (key, id)."""
    out, err = run('create', '--owner', 'user:1', '--json', *where, env=env, code=0)
    made = json.loads(out)
    check(out.count(made['key'].encode()) == 1, f'create shows the key {out.count(made["key"].encode())} times')
    search_printed((out.replace(made['key'].encode(), b''), err), made['key'], 'create')
    return made['key'], made['record']['id']


def commands_on_a_folder(_):
    with tempfile.TemporaryDirectory(prefix='keyward-canary-') as folder:
        where = ['--data', os.path.join(folder, 'data')]
        key, key_id = create_by_command(where, {})
        for what, printed in use_on_command_line(where, {}, key, key_id):
            search_printed(printed, key, what)
        none(secrecy.find_in_folder(folder, key))


def commands_on_a_server(server):
    where = ['--url', f'http://127.0.0.1:{server.port}']
    env = {'KEYWARD_KEY': server.root}
    key, key_id = create_by_command(where, env)
    for what, printed in use_on_command_line(where, env, key, key_id):
        search_printed(printed, key, what)
        search_printed(printed, server.root, what)
    none(server.memory_leaks([key, server.root]))
    search_outside(server, [key])


def key_as_management_key_of_a_command(server):
    """A customer's key where the management key belongs: the refusal does not show it."""
    key, key_id = server.make()
    where = ['--url', f'http://127.0.0.1:{server.port}']
    for arguments in (['list'], ['show', key_id], ['list', '--json'], ['list', '--url', 'http://127.0.0.1:1']):
        search_printed(run(*arguments, *(where if '--url' not in arguments else []), env={'KEYWARD_KEY': key}), key,
                       ' '.join(arguments))


def root_key_that_cannot_be(_):
    """A start that fails for its root key does not show it."""
    root = generate_root()
    with tempfile.TemporaryDirectory(prefix='keyward-canary-') as folder:
        for bad in (root[:-1], root + 'x', root.replace('kw_', 'sk_')):
            printed = run('serve', '--data', os.path.join(folder, 'data'), '--listen', '127.0.0.1:0',
                          env={'KEYWARD_ROOT_KEY': bad}, code=2)
            search_printed(printed, root, 'serve')
        none(secrecy.find_in_folder(folder, root))


def named(name, function, *arguments):
    case = functools.partial(function, *arguments)
    case.__name__ = name
    return case


CASES = (the_search_finds, root_key_is_forgotten, key_under_construction_is_found,
         *(named(f'{use.__name__}_leaves_nothing', use_leaves_nothing, use) for use in uses.ALL),
         keys_that_nobody_waited_for, management_key_is_forgotten, commands_on_a_server,
         key_as_management_key_of_a_command, commands_on_a_folder, root_key_of_its_own, root_key_that_cannot_be,
         stopped_server_leaves_nothing)
TLS_CASES = (*(named(f'{use.__name__}_leaves_nothing_with_tls', use_leaves_nothing, use) for use in uses.BY_TLS),
             named('keys_that_nobody_waited_for_with_tls', keys_that_nobody_waited_for))


def run_case(number, case, server):
    """True when it went well, or could not be tried."""
    try:
        case(server)
        print(f'ok {number} - {case.__name__}', flush=True)
    except secrecy.Unreadable as reason:
        print(f'ok {number} - {case.__name__} # SKIP {reason}', flush=True)
    except Exception as error:  # whatever it is, the case failed
        text = str(error) if isinstance(error, Failed) else traceback.format_exc()
        print(f'not ok {number} - {case.__name__}\n' + '\n'.join(f'# {line}' for line in text.splitlines()), flush=True)
        return False
    return True


def main():
    part = sys.argv[2] if len(sys.argv) > 2 else ''
    groups = [(serve, [case for case in cases if part in case.__name__])
              for serve, cases in ((served, CASES), (served_by_tls, TLS_CASES))]
    print(f'TAP version 13\n1..{sum(len(cases) for _, cases in groups)}', flush=True)
    number, went_well = 0, True
    for serve, cases in groups:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(serve()) if cases else None
            for case in cases:
                number += 1
                went_well = run_case(number, case, server) and went_well
    return 0 if went_well else 1


if __name__ == '__main__':
    sys.exit(main())
