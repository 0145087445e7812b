"""Options, help pages, suggestions, `generate` and `version`; and that no message repeats a key."""

import json
import os
import re
import sys

from support import KEY, PROGRAM, Terminal, check, check_equal, check_in, main, run

KEY_COMMANDS = ('create', 'list', 'show', 'find', 'update', 'verify', 'enable', 'disable', 'revoke', 'rotate', 'erase')
COMMANDS = ('serve', *KEY_COMMANDS, 'generate', 'version', 'help')
ID = 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'


def crc32_base62(text):
    """The checksum of a key, worked out anew."""
    crc = 0xffffffff
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xedb88320 if crc & 1 else 0)
    number, digits = crc ^ 0xffffffff, ''
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'[digit] + digits
    return digits


def test_every_command_has_a_page(_):
    overview = run('help', code=0).out
    for command in COMMANDS:
        check_in(f'\n  {command} ', overview)
        page = run(command, '--help', code=0)
        check_equal(run('help', command, code=0).out, page.out)
        check_equal(run(command, '-h', code=0).out, page.out)
        for part in ('Usage\n  keyward ' + command, 'Example\n  ', f'keyward {command}'):
            check_in(part, page.out)
        check(page.err == '' and max(map(len, page.out.splitlines())) <= 120, page)
        if command in KEY_COMMANDS:
            check_in('--json', page.out)
            check_in('--data DIR', page.out)
    check_equal(run('--help', code=0).out, overview)
    check_equal(run(code=2).err, overview)


def test_a_page_in_full(_):
    check_equal(run('disable', '--help', code=0).out, '''Stops keys for the time being.

Usage
  keyward disable [ID]... [options]

Several ids, or a filter, are one change: all of it is made or nothing. Keys that are so already are left
alone. Before a filter is obeyed it is asked for confirmation, unless --yes is given.

Options
  --reason TEXT               why; kept in the audit log
  --if-version N              only if the key is still of this version
  --no-cascade                only if no other key stops with it, as a child of it

Instead of ids; all that is given must hold
  --owner TYPE:ID             all keys of this owner: user:1, team:9, service:ci
  --org ID                    all keys of this organization
  --tag TAG                   all keys with this tag
  --yes                       do not ask before changing what a filter means

Where the keys are
  --url URL                   a server's address (KEYWARD_URL; http://127.0.0.1:7411 if KEYWARD_KEY is set)
  --management-key-file FILE  the server's management key, instead of KEYWARD_KEY
  --cacert FILE               trust the server's certificate by this one (PEM)
  --timeout DURATION          how long to wait for a server that is busy (15m)
  --data DIR                  a data folder, when no server holds it
  --pepper-file FILE          the folder's pepper, instead of KEYWARD_PEPPER or DIR/pepper
  --project NAME              the project (if it is not given, the management key's, or else default)

Output
  --json                      JSON for programs; problems too, on standard error

Example
  keyward disable key_01J9ZV3T5K8W2Q7R4M6N0PXYBC --reason 'the contract is being renewed'
''')


def test_the_examples_are_understood(folder):
    for command in COMMANDS:
        example = run('help', command, code=0).out.splitlines()[-1]
        arguments = re.findall(r"'[^']*'|\S+", example[example.index('keyward'):])
        if command in ('serve', 'generate'):
            continue
        done = run(*[argument.strip("'") for argument in arguments[1:]], env={'KEYWARD_URL': 'http://127.0.0.1:1',
                                                                            'KEYWARD_KEY': 'kw_live_x'}, cwd=folder)
        check("--help' shows" not in done.err, f'{example}: {done}')


def test_wrong_options(_):
    for arguments, message in (
            (['lst'], "there is no command 'lst': did you mean 'list'?"),
            (['vefiry'], "did you mean 'verify'?"),
            (['zzzzzz'], "there is no command 'zzzzzz'\n"),
            (['help', 'creat'], "did you mean 'create'?"),
            (['list', '--onwer', 'user:1'], "'list' has no option --onwer: did you mean --owner?"),
            (['list', '--manage=x'], 'did you mean --management-key-file?'),
            (['list', '--quux'], "'list' has no option --quux\n"),
            (['list', '-x'], 'options begin with two dashes: --x'),
            (['list', '--owner'], '--owner needs a value: --owner TYPE:ID'),
            (['list', '--owner', '--all'], '--owner needs a value'),
            (['list', '--all=yes'], '--all takes no value'),
            (['list', '--owner', 'user:1', '--owner=user:2'], '--owner stands twice'),
            (['list', 'extra'], "'list' does not know what to do with 'extra'"),
            (['list', '--', '--owner'], "'list' does not know what to do with '--owner'"),
            (['show'], "'show' needs ID"), (['show', ID, ID], 'does not know what to do with'),
            (['show', 'laptop', '--data', 'x'], "'laptop' is not the id of a key"),
            (['show', ID.lower(), '--data', 'x'], 'is not the id of a key'),
            (['list', '--data', 'x', '--url', 'http://x'], '--url and --data exclude each other'),
            (['verify', '-', '--key-file', 'x'], "--key-file and '-' exclude each other"),
            (['find', '--digest', 'a', '--key-file', 'x'], 'give a key or --digest, not both'),
            (['list', '--count', '--all'], '--count and --all exclude each other'),
            (['serve', '--loops', '1000'], '--loops must be a whole number from 1 to 64'),
            (['serve', '--idle-timeout', '5'], '--idle-timeout must be a duration'),
            (['serve', '--log-level', 'loud'], '--log-level must be debug, info, warn or error'),
            (['serve', '--trust-proxy', 'localhost'], '--trust-proxy localhost is no IPv4 or IPv6 address'),
            (['serve', '--trust-proxy', '10.0.0.1/8'], '--trust-proxy 10.0.0.1/8 has host bits set'),
            (['serve', '--trust-proxy', '10.0.0.1:80'], '--trust-proxy 10.0.0.1:80 is no IPv4'),
            (['serve', '--trust-proxy', ''], '--trust-proxy  is no IPv4'),
            (['serve', '--trust-proxy=::1', '--trust-proxy', '10.0.0.0/33'], '--trust-proxy 10.0.0.0/33 '),
            (['serve', *[f'--trust-proxy=10.0.0.{n}' for n in range(65)]], '--trust-proxy may stand at most 64 times'),
            (['serve', '--geo-database', 'x', '--geo-database=y'], '--geo-database stands twice'),
            (['serve', '--tls-cert', 'x'], '--tls-cert and --tls-key go together')):
        done = run(*arguments, code=2)
        check_in(message, done.err, arguments)
        check(done.out == '' and "' shows what there is." in done.err, done)


def test_wrong_bodies(folder):
    data = os.path.join(folder, 'data')
    run('create', '--owner', 'user:1', '--data', data, code=0)
    for arguments, message in (
            (['update', ID, '--clear', 'colour'], "--clear does not know 'colour'"),
            (['update', ID, '--clear', 'name', '--name', 'x'], '--clear name and --name contradict'),
            (['update', ID, '--if-version', '0'], '--if-version must be a whole number from 1'),
            (['create', '--resource', 'website:1'], '--resource must read TYPE:ID=SCOPE,SCOPE')):
        done = run(*arguments, '--data', data, code=2)
        check_in(message, done.err, arguments)


def test_usage_errors_as_json(_):
    done = run('list', '--onwer', 'x', '--json', code=2)
    check_equal(json.loads(done.err), {'code': 'USAGE', 'detail': "'list' has no option --onwer: did you mean --owner?"})
    check_equal(run('list', '--json', code=2).err.count('\n'), 1)


def test_where_the_keys_are(folder):
    done = run('list', code=2)
    for part in ('--url', 'KEYWARD_URL', 'KEYWARD_KEY', '--data'):
        check_in(part, done.err)
    done = run('list', '--url', 'http://127.0.0.1:1', code=2)
    check_in('a server wants a management key: set KEYWARD_KEY', done.err)
    env = {'KEYWARD_KEY': 'kw_live_x'}
    check_in('no server answers at http://127.0.0.1:1 ', run('list', '--url', 'http://127.0.0.1:1/', env=env, code=2).err)
    for url in ('ftp://x', 'nonsense', 'http://', 'http://user:secret@x', 'http://x?y', 'http://x#y', 'file:///etc/passwd'):
        done = run('list', '--url', url, env=env, code=2)
        check("must be http:// or https://" in done.err and 'secret' not in done.err, done)
    done = run('list', '--data', os.path.join(folder, 'no'), code=2)
    check_in('there is no data folder', done.err)
    check(not os.path.exists(os.path.join(folder, 'no')), 'a reading command made the folder')
    done = run('list', '--data', folder, code=2)
    check_in('is not a data folder of Keyward', done.err)
    check_equal(os.listdir(folder), [], 'a reading command left something behind')


def test_keys_are_not_repeated(folder):
    key = run('generate', code=0).out.strip()
    for arguments in (['verify', key], ['show', key, '--data', folder], ['list', key], [key], ['verify', '--' + key],
                      ['verify', '--key', key], ['verify', f'--{key}=x'], ['verify', '-' + key], ['help', key],
                      ['update', key, '--url', 'http://127.0.0.1:1']):
        done = run(*arguments, env={'KEYWARD_KEY': 'x'}, code=2)
        check(key not in done.out + done.err and key[8:] not in done.err, f'{arguments}: {done}')


def test_generate(_):
    seen = set()
    for arguments, form in (
            ([], r'sk_live_[0-9A-Za-z]{32}'), (['--env', 'test'], r'sk_test_[0-9A-Za-z]{32}'),
            (['--public'], r'pk_live_[0-9A-Za-z]{32}'), (['--env=test', '--public'], r'pk_test_[0-9A-Za-z]{32}'),
            (['--management'], r'kw_live_[0-9A-Za-z]{32}'), (['--prefix', 'acme_prod_'], r'acme_prod_[0-9A-Za-z]{32}'),
            (['--length', '22'], r'sk_live_[0-9A-Za-z]{22}'), (['--length', '128', '--alphabet', '01'], r'sk_live_[01]{128}'),
            (['--prefix', 'x_', '--length', '40', '--alphabet', '0123456789abcdef'], r'x_[0-9a-f]{40}')):
        done = run('generate', *arguments, code=0)
        key = done.out[:-1]
        check(re.fullmatch(form + '[0-9A-Za-z]{6}', key) and done.out[-1] == '\n' and done.err == '', done)
        check_equal(key[-6:], crc32_base62(key[:-6]), 'the checksum')
        check(key not in seen, 'the same key twice')
        seen.add(key)
    as_json = json.loads(run('generate', '--json', code=0).out)
    check(list(as_json) == ['key'] and KEY.fullmatch(as_json['key']), as_json)


def test_weak_forms_are_refused(_):
    for arguments, part in (
            (['--length', '21'], 'WEAK_KEY_FORMAT'), (['--length', '31', '--alphabet', '0123456789abcdef'], 'WEAK_KEY_FORMAT'),
            (['--length', '127', '--alphabet', '01'], 'WEAK_KEY_FORMAT'), (['--length', '0'], '--length'),
            (['--length', '129'], '--length'), (['--length', 'ten'], '--length'), (['--prefix', 'Acme_'], 'prefix:'),
            (['--prefix', 'acme'], 'prefix:'), (['--prefix', ''], 'prefix:'), (['--alphabet', 'aab'], 'alphabet:'),
            (['--alphabet', 'a-b'], 'alphabet:'), (['--env', 'moon'], 'env:'),
            (['--management', '--prefix', 'x_'], 'exclude each other'), (['--prefix', 'x_', '--env', 'live'], 'exclude')):
        done = run('generate', *arguments, code=2)
        check(part in done.err and done.out == '', f'{arguments}: {done}')


def test_version(_):
    done = run('version', code=0)
    check(re.fullmatch(r'keyward \d+\.\d+\.\d+\n', done.out), done)
    check_equal(run('--version', code=0).out, done.out)


def test_colour_on_terminals_only(folder):
    data = os.path.join(folder, 'data')
    check('\033' not in run('create', '--owner', 'user:1', '--data', data, code=0).out, 'colour in a pipe')
    check('\033' not in run('list', '--data', data, env={'TERM': 'xterm'}, code=0).out, 'colour in a pipe')
    for env, coloured in (({}, True), ({'NO_COLOR': '1'}, False), ({'NO_COLOR': ''}, True), ({'TERM': 'dumb'}, False)):
        terminal = Terminal(PROGRAM, 'list', '--data', data, env=env)
        check_equal(terminal.wait(), 0)
        check_in('active', terminal.seen)
        check(('\033[32mactive' in terminal.seen) == coloured, f'{env}: {terminal.seen!r}')


def test_asking_for_a_key_without_showing_it(folder):
    data = os.path.join(folder, 'data')
    key = json.loads(run('create', '--owner', 'user:1', '--json', '--data', data, code=0).out)['key']
    for typed, code, shown in ((key, 0, 'Valid'), ('wrong', 1, 'Not valid')):
        terminal = Terminal(PROGRAM, 'verify', '--data', data)
        terminal.wait_for('Key: ')
        terminal.type(typed + '\n')
        check_equal(terminal.wait(), code)
        check_in(shown, terminal.seen)
        check(typed not in terminal.seen, f'echoed: {terminal.seen}')


def test_interrupting_the_question_restores_the_terminal(folder):
    script = f'stty -a | grep -o "[-]*echo " ; "{PROGRAM}" verify --data "{folder}"; stty -a | grep -o "[-]*echo "; exit 7'
    terminal = Terminal('/bin/sh', '-c', f"trap : INT; {script}")
    terminal.wait_for('Key: ')
    terminal.type('\x03')
    check_equal(terminal.wait(), 7)
    states = re.findall(r'-?echo ', terminal.seen)
    check(states == ['echo ', 'echo '], terminal.seen)


if __name__ == '__main__':
    main([value for name, value in list(vars(sys.modules[__name__]).items()) if name.startswith('test_')])
