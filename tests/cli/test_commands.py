"""Every command about keys, on a data folder and behind a server: both ways must behave alike."""

import json
import os
import re
import subprocess
import sys
import unicodedata

from support import ID, KEY, PROGRAM, Normal, World, ageless, check, check_equal, check_in, environment, main, run

WAYS = ('data', 'url')
# A server writes it up to a second later; a command on a folder has written it when it ends.
LATEST_USE = re.compile(r'^(?:Last used|Used from|Used in) .*\n', re.MULTILINE)


def each_way(folder, story):
    """Runs the story both ways; what it returns (texts) must be the same once ids, keys and times are taken out."""
    told = {}
    for way in WAYS:
        with World(folder, way) as world:
            normal = Normal()
            told[way] = [LATEST_USE.sub('', normal(text)) for text in story(world)]
    check_equal('\n'.join(told['url']), '\n'.join(told['data']), 'over --url other than on --data')
    return told['data']


def created(world, *arguments):
    """A new key and its record."""
    answer = json.loads(world.run('create', '--json', *arguments, code=0).out)
    return answer['key'], answer['record']


def columns(text):
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in 'WF' else 1
               for char in text)


def check_aligned(table):
    """Every cell begins where the name of its column does."""
    head, *rows = table.splitlines()
    starts = [match.start() for match in re.finditer(r'\S+', head)]
    for row in rows:
        spread = ''.join(char + '\0' * (columns(char) - 1) for char in row)
        for start in starts[1:]:
            check(spread[start - 2:start] == '  ', f'not aligned at {start}\n{table}')


def test_a_rotation_whose_grace_ends_with_the_first_use(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1')
        refused = world.run('rotate', record['id'], '--end-grace-on-first-use', code=2)
        check_in('gracePeriod', refused.err)
        rotated = world.run('rotate', record['id'], '--grace', '1h', '--end-grace-on-first-use', code=0)
        check_in('or until the new one is used.', rotated.out)
        return [refused.err, rotated.out]

    each_way(folder, story)


def test_a_call_that_comes_again_shows_no_key(folder):
    def story(world):
        create = ('create', '--owner', 'user:1', '--idempotency-key', 'laptop-1')
        made = world.run(*create, code=0)
        key, ident = made.out.splitlines()[0], ID.search(made.out).group()
        check(KEY.fullmatch(key), made)
        again = world.run(*create, code=3)
        check_in('--idempotency-key', again.err)
        check_in(ident, again.out)
        told = json.loads(world.run(*create, '--json', code=3).out)
        check('key' not in told and told['code'] == 'SECRET_ALREADY_SHOWN' and told['record']['id'] == ident, told)
        other = world.run(*create, '--name', 'x', code=2)
        check_in('IDEMPOTENCY_KEY_REUSED', other.err)
        rotate = ('rotate', ident, '--grace', '1h', '--idempotency-key', 'laptop-1')
        successor = world.run(*rotate, code=0)
        rotated = world.run(*rotate, code=3)
        check_in('The old key works until', rotated.out)
        check(key not in again.out + rotated.out and not KEY.search(rotated.out), rotated)
        for bad in ('', 'a b', 'x' * 256, '"open', 'a\nX-Other: 1', 'ä'):
            check_in('--idempotency-key', world.run('create', '--owner', 'user:1', '--idempotency-key', bad, code=2).err)
        return [made.out, again.out, again.err, other.err, successor.out, rotated.out]

    each_way(folder, story)
    for command in ('create', 'rotate'):
        check_in('and 3 when the same call was done before', run('help', command, code=0).out)


def test_create_shows_the_key_once(folder):
    def story(world):
        done = world.run('create', '--owner', 'user:1', '--name', 'laptop', '--scope', 'read', '--scope=write:*',
                         '--tag', 'Blue', '--org', 'acme', '--description', 'Reads.', '--metadata', '{"a": [1, 2]}',
                         '--resource', 'website:1=read,write', '--resource', 'website:2=read',
                         '--resource', 'website:1=list', '--expires-in', '90d', code=0)
        key = done.out.splitlines()[0]
        check(KEY.fullmatch(key), done)
        check(done.out.count(key) == 1 and key not in done.err, done)
        return [done.out, done.err]

    shown, complaint = each_way(folder, story)
    check_equal(complaint, '')
    check_equal(shown, '''FULL-KEY

This is the key. Keep it now: it will not be shown again.

ID            key_00000000000000000000000001
Status        active
Name          laptop
Description   Reads.
Key           sk_live_…LAST (secret)
Project       default
Environment   live
Owner         user:1
Organization  acme
Scopes        read, write:*
Resources     website:1: list, read, write
              website:2: read
Tags          blue
Metadata      {"a":[1,2]}
Created       TIME (JUST-NOW) by ACTOR
Expires       TIME (in 90 days)
Version       1
''')


def test_create_as_json(folder):
    def story(world):
        done = world.run('create', '--owner', 'team:9', '--env', 'test', '--public', '--json', code=0)
        answer = json.loads(done.out)
        check(answer['key'].startswith('pk_test_'), done)
        record = answer['record']
        check(record['isPublic'] and record['env'] == 'test' and record['owner'] == 'team:9', done)
        check(done.out.endswith('}\n') and done.out.count('\n') == 1, done)
        return [done.out]

    each_way(folder, story)


def test_metadata_from_a_file(folder):
    path = os.path.join(folder, 'metadata.json')

    def story(world):
        with open(path, 'w', encoding='utf-8') as file:
            file.write('{"ticket": "OPS-1"}\n')
        _, record = created(world, '--owner', 'user:1', '--metadata', f'@{path}')
        check_equal(record['metadata'], {'ticket': 'OPS-1'})
        told = []
        for text in ('{"a":1}, "owner": "user:2"', '{"a":1', '', '[1]', '{"a":1,"a":2}'):
            done = world.run('create', '--owner', 'user:1', '--metadata', text, code=2)
            check_in('metadata', done.err)
            told.append(done.err)
        done = world.run('create', '--owner', 'user:1', '--metadata', '@/nowhere.json', code=2)
        check_in('/nowhere.json cannot be read', done.err)
        check_equal(json.loads(world.run('list', '--json', code=0).out)['items'][1:], [], 'refused, and made')
        return told

    each_way(folder, story)


def test_list_as_a_table(folder):
    def story(world):
        created(world, '--owner', 'user:1', '--name', 'Läptop 日本', '--expires-in', '30d')
        _, second = created(world, '--owner', 'team:billing', '--name', 'a name that is far too long for its column')
        _, third = created(world, '--owner', 'service:ci', '--env', 'test', '--public')
        created(world, '--owner', 'team:billing', '--parent', second['id'])
        world.run('disable', second['id'], code=0)
        world.run('revoke', third['id'], code=0)
        check_equal(len(json.loads(world.run('list', '--status', 'disabled', '--json', code=0).out)['items']), 2)
        done = world.run('list', code=0)
        check_equal(done.err, '')
        check_aligned(done.out)
        return [done.out]

    table, = each_way(folder, story)
    cut = table.splitlines()[0].index('CREATED')
    check_equal([line.replace('日本', '日本\0\0')[:cut].replace('\0', '').rstrip() for line in table.splitlines()], [
        'ID                              STATUS    NAME                              OWNER         KEY',
        'key_00000000000000000000000001  active    Läptop 日本                       user:1        sk_live_…LAST',
        'key_00000000000000000000000002  disabled  a name that is far too long for…  team:billing  sk_live_…LAST',
        'key_00000000000000000000000003  revoked                                     service:ci    pk_test_…LAST',
        'key_00000000000000000000000004  disabled                                    team:billing  sk_live_…LAST',
    ])
    check_in('in 30 days', table)


def test_list_filters_and_pages(folder):
    def story(world):
        for number in range(7):
            created(world, '--owner', f'user:{number % 2}', '--name', f'key {number}', '--tag', f't{number % 3}',
                    '--org', 'acme & sons', '--env', 'test' if number == 6 else 'live')
        told = []
        for arguments, count in ((['--owner', 'user:1'], 3), (['--tag', 't0'], 3), (['--env', 'test'], 1),
                                 (['--org', 'acme & sons'], 7), (['--search', 'KEY 3'], 1), (['--status', 'active'], 7),
                                 (['--status', 'revoked'], 0), (['--owner', 'user:1', '--tag', 't0'], 1)):
            done = world.run('list', '--json', *arguments, code=0)
            check(len(json.loads(done.out)['items']) == count, f'{arguments}: {done}')
            told.append(done.out)
        told += [done.out + done.err for done in paged(world)]
        return told

    each_way(folder, story)


def test_list_by_everything(folder):
    def story(world):
        tags = [['red'], ['blue'], ['red', 'blue'], []]
        records = []
        for number in range(8):
            more = [word for tag in tags[number % 4] for word in ('--tag', tag)]
            more += ['--expires-at', f'20{60 - number}-01-01T00:00:00Z'] if number % 2 else []
            records.append(created(world, '--owner', f'user:{number % 2}', '--name', f'key {number}', *more)[1])
        told = []
        for arguments, numbers in (
                (['--tag', 'red', '--tag', 'blue'], [0, 1, 2, 4, 5, 6]), (['--tag', 'red,blue', '--tag-mode', 'all'], [2, 6]),
                (['--sort', '-createdAt', '--all', '--limit', '3'], [7, 6, 5, 4, 3, 2, 1, 0]),
                (['--sort', 'expiresAt'], [7, 5, 3, 1]), (['--expires-before', '2056-01-01T00:00:00Z'], [7, 5]),
                (['--sort', 'expiresAt', '--all', '--limit', '1'], [7, 5, 3, 1]),
                (['--last-four', records[3]['lastFour']], [3]), (['--created-after', '2031-01-01T00:00:00Z'], []),
                (['--created-before', '2031-01-01T00:00:00Z', '--owner', 'user:1'], [1, 3, 5, 7]),
                (['--parent', records[0]['id']], []), (['--policy', 'none'], [])):
            done = world.run('list', '--json', *arguments, code=0)
            check_equal([item['name'] for item in json.loads(done.out)['items']], [f'key {number}' for number in numbers])
            if '--sort' not in arguments:
                check_equal(world.run('list', '--count', *arguments, code=0).out, f'{len(numbers)}\n')
                counted = json.loads(world.run('list', '--count', '--json', *arguments, code=0).out)
                check_equal(counted, {'count': len(numbers), 'atLeast': False})
        for arguments in (['--limit', '3'], ['--all'], ['--cursor', records[0]['id']], ['--sort', 'createdAt']):
            check_in(arguments[0], world.run('list', '--count', *arguments, code=2).err)
        return told

    each_way(folder, story)


def test_find(folder):
    def story(world):
        key, record = created(world, '--owner', 'user:1', '--name', 'found')
        path = os.path.join(folder, f'key-{world.way}')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(key + '\n')
        shown = world.run('show', record['id'], code=0).out
        for done in (world.run('find', stdin=key, code=0), world.run('find', '-', stdin=key + '\n', code=0),
                     world.run('find', '--key-file', path, code=0)):
            check_equal(ageless(done.out), ageless(shown))
        check_equal(json.loads(world.run('find', '--json', stdin=key, code=0).out), record)
        world.run('revoke', record['id'], code=0)
        check_equal(json.loads(world.run('find', '--json', stdin=key, code=0).out)['status'], 'revoked')
        told = []
        for arguments, part in ((['--digest', 'a' * 64], 'KEY_NOT_FOUND'), (['--digest', 'abc'], 'digest')):
            done = world.run('find', '--json', *arguments, code=2)
            check_in(part, done.err)
            told.append(done.err)
        check_in('not from the command line', world.run('find', record['id'], code=2).err)
        check_in('KEY_NOT_FOUND', world.run('find', '--json', stdin='sk_live_nobody', code=2).err)
        return told

    each_way(folder, story)


def paged(world):
    first = world.run('list', '--limit', '3', code=0)
    check(len(first.out.splitlines()) == 4, first)
    cursor = re.search(r'--cursor (\S+)', first.err).group(1)
    second = world.run('list', '--limit', '3', '--cursor', cursor, code=0)
    check(len(second.out.splitlines()) == 4 and second.out != first.out, second)
    whole = world.run('list', '--limit', '3', '--all', code=0)
    check(len(whole.out.splitlines()) == 8 and whole.err == '', whole)
    check_aligned(whole.out)
    as_json = world.run('list', '--limit', '3', '--all', '--json', code=0)
    names = [item['name'] for item in json.loads(as_json.out)['items']]
    check_equal(names, [f'key {number}' for number in range(7)])
    return [first, second, whole, as_json]


def test_list_of_nothing(folder):
    def story(world):
        if world.way == 'data':
            world.run('create', '--owner', 'user:1', code=0)
            return ['', 'No keys.\n'] if world.run('list', '--status', 'revoked', code=0).err == 'No keys.\n' else []
        done = world.run('list', code=0)
        check_equal(json.loads(world.run('list', '--json', '--all', code=0).out), {'items': []})
        return [done.out, done.err]

    check_equal(each_way(folder, story), ['', 'No keys.\n'])


def test_show_and_update(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1', '--name', 'old', '--tag', 'x', '--expires-in', '1h', '--org', 'o')
        changed = world.run('update', record['id'], '--name', 'new', '--scope', 'a', '--clear', 'tag', '--clear',
                            'expires-at', '--clear', 'orgId', code=0)
        check_in('Name          new', changed.out)
        check_in('Expires       never', changed.out)
        check('Tags' not in changed.out and 'Organization' not in changed.out, changed)
        shown = world.run('show', record['id'], code=0)
        check_equal(Normal()(shown.out), Normal()(changed.out))
        as_json = json.loads(world.run('show', record['id'], '--json', code=0).out)
        check(as_json['version'] == 2 and as_json['scopes'] == ['a'], as_json)
        late = world.run('update', record['id'], '--name', 'late', '--if-version', '1', code=2)
        check_in('VERSION_CONFLICT', late.err)
        world.run('update', record['id'], '--name', 'in time', '--if-version', '2', code=0)
        return [changed.out, shown.out, late.err]

    each_way(folder, story)


def test_disable_enable_revoke_erase(folder):
    def story(world):
        key, record = created(world, '--owner', 'user:1', '--name', 'laptop')
        told = []
        for command, arguments, code in (
                ('enable', [], 2), ('erase', [], 2), ('disable', ['--reason', 'holidays'], 0), ('disable', [], 2),
                ('verify', None, 1), ('enable', ['--reason', 'back again'], 0), ('verify', None, 0), ('revoke', ['--reason', 'leaked'], 0),
                ('revoke', [], 2), ('enable', [], 2), ('update', ['--name', 'x'], 2), ('rotate', [], 2), ('verify', None, 1),
                ('show', [], 0), ('erase', [], 0), ('show', [], 2), ('verify', None, 1)):
            done = (world.run('verify', stdin=key, code=code) if arguments is None
                    else world.run(command, record['id'], *arguments, code=code))
            told += [f'{command}: {done.code}', done.out, done.err]
        return told

    told = '\n'.join(each_way(folder, story))
    for part in ('ALREADY_ENABLED', 'NOT_REVOKED', 'Disabled key_', '(laptop, user:1)', 'ALREADY_DISABLED',
                 'Not valid: DISABLED', 'Enabled key_', 'Revoked key_', 'ALREADY_REVOKED', 'CANNOT_MODIFY_REVOKED',
                 'Not valid: REVOKED', 'by ACTOR: leaked', 'Erased key_', 'KEY_NOT_FOUND', 'Not valid: INVALID_KEY'):
        check_in(part, told)


def test_rotate(folder):
    def story(world):
        old_key, old = created(world, '--owner', 'user:1', '--name', 'laptop', '--scope', 'read')
        with_grace = world.run('rotate', old['id'], '--grace', '1h', '--name', 'laptop 2', code=0)
        new_key = KEY.search(with_grace.out).group(0)
        new_id = ID.search(with_grace.out).group(0)
        check_in(f'Rotated from  {old["id"]}', with_grace.out)
        check_in('The old key works until', with_grace.out)
        for key in (old_key, new_key):
            world.run('verify', '--scope', 'read', stdin=key, code=0)
        at_once = world.run('rotate', new_id, '--json', code=0)
        check_equal(sorted(json.loads(at_once.out)), ['key', 'previous', 'record'])
        world.run('verify', stdin=new_key, code=1)
        again = world.run('rotate', new_id, code=2)
        check_in('no option --org', world.run('rotate', new_id, '--org', 'acme', code=2).err)
        third = world.run('rotate', json.loads(at_once.out)['record']['id'], code=0)
        check_in('The old key is revoked.', third.out)
        return [with_grace.out, at_once.out, again.err, third.out]

    each_way(folder, story)


def test_verify(folder):
    path = os.path.join(folder, 'key')

    def story(world):
        key, _ = created(world, '--owner', 'user:1', '--scope', 'read', '--resource', 'website:1=write')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(key + '\n')
        told = []
        for arguments, text, code in (
                ([], key, 0), ([], f'  {key}\r\n', 0), (['-'], key, 0), (['--key-file', path], '', 0),
                (['--key-file', '-'], key, 0), (['--scope', 'read'], key, 0), (['--scope', 'read', '--scope', 'x'], key, 1),
                (['--resource', 'website:1=write'], key, 0), (['--resource', 'website:1'], key, 0),
                (['--resource', 'website:2=write'], key, 1), (['--env', 'live'], key, 0), (['--env', 'test'], key, 1),
                ([], key[:-1] + ('a' if key[-1] != 'a' else 'b'), 1), ([], 'nonsense', 1), ([], '', 1), ([], 'x' * 5000, 2),
                ([], b'\xff\xfe', 2), (['--scope', 'a b'], key, 2), (['--env', 'moon'], key, 2),
                (['--resource', 'website'], key, 2), (['--key-file', '/nowhere'], '', 2), (['--key-file', folder], '', 2)):
            done = world.run('verify', *arguments, stdin=text, code=code)
            as_json = world.run('verify', *arguments, '--json', stdin=text, code=code)
            verdict = json.loads(as_json.out if code < 2 else as_json.err)
            check(verdict.get('valid', code == 2) == (code != 1), as_json)
            check(key not in done.out + done.err + as_json.out + as_json.err, 'the key was repeated')
            told += [f'{arguments}: {done.code}', done.out, done.err, as_json.out]
        return told

    told = '\n'.join(each_way(folder, story))
    for part in ('Valid\n\nID ', 'INSUFFICIENT_SCOPE', 'Missing: x\n', 'Missing: write on website:2\n', 'ENVIRONMENT_MISMATCH', 'INVALID_FORMAT', 'MISSING_KEY'):
        check_in(part, told)


def test_refusals_name_the_field(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1')
        told = []
        for arguments, part in (
                (['create'], 'owner'), (['create', '--owner', '1'], 'owner'),
                (['create', '--owner', 'user:1', '--scope', 'a b'], 'scopes[0]'),
                (['create', '--owner', 'user:1', '--tag', 'ok', '--tag', 'x' * 65], 'tags[1]'),
                (['create', '--owner', 'user:1', '--name', 'x' * 129], 'name'),
                (['create', '--owner', 'user:1', '--name', 'a\x07b'], 'name'),
                (['create', '--owner', 'user:1', '--expires-at', '2020-01-01T00:00:00Z'], 'expiresAt'),
                (['create', '--owner', 'user:1', '--expires-at', '2031-02-29T00:00:00Z'], 'expiresAt'),
                (['create', '--owner', 'user:1', '--expires-in', '90 days'], 'expiresIn'),
                (['create', '--owner', 'user:1', '--env', 'moon'], 'env'),
                (['create', '--owner', 'user:1', '--project', 'other'], 'PROJECT_NOT_FOUND'),
                (['update', record['id'], '--if-version', '7', '--name', 'x'], 'VERSION_CONFLICT'),
                (['update', record['id'], '--clear', 'expires-in'], 'expiresIn'),
                (['show', 'key_01J9ZV3T5K8W2Q7R4M6N0PXYBC'], 'KEY_NOT_FOUND'),
                (['show', record['id'], '--project', 'keyward'], 'KEY_NOT_FOUND'),
                (['list', '--limit', '0'], 'limit'), (['list', '--status', 'tired'], 'status'),
                (['list', '--cursor', 'x'], 'cursor'), (['list', '--sort', 'name'], 'sort'),
                (['list', '--tag', 'a,,b'], 'tag'), (['list', '--count', '--last-four', 'abc'], 'lastFour')):
            done = world.run(*arguments, code=2)
            check(part in done.err and done.out == '', f'{arguments}: {done}')
            as_json = world.run(*arguments, '--json', code=2)
            problem = json.loads(as_json.err)
            check('code' in problem and 'detail' in problem and as_json.out == '', as_json)
            told += [f'{arguments[0]} {arguments[-2:]}', done.err, as_json.err]
        check_equal(len(json.loads(world.run('list', '--json', code=0).out)['items']), 1, 'refused, and made')
        return told

    each_way(folder, story)


def test_management_keys(folder):
    with World(folder, 'url') as world:
        made = world.run('create', '--project', 'keyward', '--owner', 'service:gateway', '--resource',
                         'project:default=keys:verify', '--json', code=0)
        small = json.loads(made.out)['key']
        key, record = created(world, '--owner', 'user:1')
        path = os.path.join(folder, 'management-key')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(small + '\n')
        os.chmod(path, 0o600)
        run('verify', *world.where, '--management-key-file', path, stdin=key, code=0)
        run('verify', env={'KEYWARD_URL': world.server.url + '/', 'KEYWARD_KEY': f'{small}\n'}, stdin=key, code=0)
        done = run('revoke', record['id'], *world.where, '--management-key-file', path, code=2)
        check_in('keys:revoke', done.err)
        os.chmod(path, 0o640)
        done = run('verify', *world.where, '--management-key-file', path, stdin=key, code=2)
        check_in(f'chmod 600 {path}', done.err)
        done = run('list', *world.where, env={'KEYWARD_KEY': 'kw_live_nonsense'}, code=2)
        check_in('UNAUTHORIZED', done.err)
        done = run('list', *world.where, env={'KEYWARD_KEY': 'a\nKeyward-Project: x'}, code=2)
        check_in('not one line', done.err)


def test_an_answer_that_cannot_be_written(folder):
    with World(folder, 'data') as world, open('/dev/full', 'wb') as full:
        done = subprocess.run([PROGRAM, 'create', '--owner', 'user:1', *world.where], env=environment(), stdout=full,
                              stderr=subprocess.PIPE, check=False)
        record, = json.loads(world.run('list', '--json', code=0).out)['items']
        check(done.returncode == 2, done)
        check_in(f'the key was made and is lost: revoke {record["id"]}', done.stderr.decode())
        listed = subprocess.run([PROGRAM, 'list', *world.where], env=environment(), stdout=full, stderr=subprocess.PIPE,
                                check=False)
        check(listed.returncode == 2 and b'could not be written' in listed.stderr, listed)


def test_hostile_text_does_not_reach_the_terminal(folder):
    with World(folder, 'data') as world:
        name = 'a\u202eb\u0085c\u200fd'
        _, record = created(world, '--owner', 'user:1', '--name', name)
        for done in (world.run('list', code=0), world.run('show', record['id'], code=0)):
            check(not re.search('[\u202e\u0085\u200f]', done.out), ascii(done.out))
            check_in('a\ufffdb\ufffdc\ufffdd', done.out)


if __name__ == '__main__':
    main([value for name, value in list(vars(sys.modules[__name__]).items()) if name.startswith('test_')])
