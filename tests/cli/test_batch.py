"""Many keys from a file: what is read, what is answered to each item, where lines and keys go, and what is refused."""

import json
import os
import random
import re
import subprocess

from batch_support import check_whole, mode_of, read_lines, secrets_of, write_csv, write_ndjson
from support import KEY, PROGRAM, Terminal, check, check_equal, check_in, environment, main, run
from test_commands import each_way

ROWS = 5000
HEADER = ['ownerId', 'Full name', 'tags', 'scopes', 'metadata', 'isPublic', 'expiresIn', 'resources', 'colour']
MAPS = ['--map', 'Full name=name', '--map', 'colour=']


def row(i):
    return [f'u{i}', f'Number "{i}", or so', 'many; csv ;', '["read","write:all"]' if i % 2 else 'read;write:all',
            json.dumps({'row': i}), 'FALSE', '' if i % 3 else '90d', '{"website:1": ["read"]}', 'red\r\nor "blue"']


def records(world):
    return [json.loads(line) for line in world.run('list', '--all', '--json', code=0).out.splitlines()]


def all_records(world):
    return {record['id']: record for page in records(world) for record in page.get('items', [page])}


def test_five_thousand_rows(folder):
    def story(world):
        rows = write_csv(os.path.join(folder, 'keys.csv'), HEADER, map(row, range(ROWS)))
        out = os.path.join(folder, f'{world.way}.ndjson')
        told = [world.run('batch', 'create', rows, '--out', out, *MAPS, code=0).out]
        lines = read_lines(out)
        check_equal(mode_of(out), 0o600)
        check(not os.path.exists(out + '.state'), 'the state is left')
        check_equal([line['line'] for line in lines], [2 + 2 * i for i in range(ROWS)])  # a line break in each row
        found = all_records(world)
        check_equal(len(found), ROWS)
        for i in random.Random(1).sample(range(ROWS), 50):
            record = found[lines[i]['id']]
            check_equal((record['owner'], record['name'], record['tags'], record['scopes'], record['metadata'],
                         record['resources'], record['isPublic'], 'expiresAt' in record),
                        (f'user:u{i}', f'Number "{i}", or so', ['csv', 'many'], ['read', 'write:all'], {'row': i},
                         {'website:1': ['read']}, False, i % 3 == 0), i)
        keys = write_ndjson(os.path.join(folder, f'{world.way}-keys.ndjson'),
                            [{'key': line['key'], 'scopes': ['read']} for line in lines])
        done = world.run('batch', 'verify', keys, code=0)
        check_equal([json.loads(line)['id'] for line in done.out.splitlines()], [line['id'] for line in lines])
        told.append(done.err)
        ids = [line['id'] for line in lines]
        updates = write_csv(os.path.join(folder, f'{world.way}-up.csv'), ['id', 'name', 'ifVersion'],
                            [[key_id, f'new {i}', 1] for i, key_id in enumerate(ids)])
        told.append(world.run('batch', 'update', updates, '--atomic', '--out', out + '.up', code=0).out)
        gone = write_csv(os.path.join(folder, f'{world.way}-gone.csv'), ['id', 'reason'], [[i, 'gone'] for i in ids[1:]])
        told.append(world.run('batch', 'revoke', gone, code=0).err)
        found = all_records(world)
        check_equal({(found[key_id]['status'], found[key_id]['version']) for key_id in ids[1:]}, {('revoked', 3)})
        check_equal((found[ids[0]]['status'], found[ids[0]]['name']), ('active', 'new 0'))
        told.append(world.run('batch', 'verify', keys, '--json', code=1).err)
        return told

    check_equal(''.join(each_way(folder, story)), '''Created 5000 keys.
Verified 5000 keys: 5000 are valid.
Updated 5000 keys.
Revoked 4999 keys.
{"items":5000,"done":1,"refused":4999,"lost":0,"stopped":false}
''')


BAD = '''ownerId,name,tags,scopes,isPublic,metadata,expiresAt,owner
1,good,,,,,,
2,"a"b,,,,,,
3,too,few
4,"line
break",,,,,,
5,x,,a b,,,,
6,x,,,maybe,,,
7,x,,,,[1],,
8,x,,,,"{""a"":1},""isPublic"":true",,
9,x,"[""a"",1]",,,,,
10,x,,,,,tomorrow,
11,x,,,,,2001-01-01T00:00:00Z,
12,x,,,,,,team:1
,x,,,,,,
13,\xff,,,,,,

14,good,,,,,,
15,"never closed,,,,,,
'''


def test_bad_rows_in_the_middle(folder):
    path = os.path.join(folder, 'bad.csv')
    with open(path, 'wb') as file:
        file.write(BAD.encode('latin-1'))

    def story(world):
        done = world.run('batch', 'create', path, '--out', '-', code=1)
        lines = [json.loads(line) for line in done.out.splitlines()]
        check_equal(len(secrets_of(lines)), 2)
        check_equal(world.run('list', '--count', code=0).out, '2\n')
        return [f'{line["line"]} {line.get("code", "ok")} {line.get("message", "")}\n' for line in lines] + [done.err]

    check_equal(''.join(each_way(folder, story)), '''2 ok 
3 INVALID_ROW line 3, column 2: something stands between a closing quote and the comma: a quote inside quotes is written twice
4 INVALID_ROW has 3 cells, and the header has 8
5 INVALID_FIELD name: must not hold control characters
7 INVALID_FIELD scopes[0]: is not a scope: write words joined by colons, such as "orders:read" or "orders:*"
8 INVALID_FIELD isPublic (column 5): must be true or false
9 INVALID_FIELD metadata: must be an object
10 INVALID_JSON metadata (column 6): This is not valid JSON at byte 7: nothing may follow the value.
11 INVALID_FIELD tags[1]: must be a string
12 INVALID_FIELD expiresAt: must be a time that exists, such as "2031-01-31T12:00:00Z"
13 INVALID_FIELD expiresAt: must lie in the future
14 INVALID_FIELD owner: give ownerId or owner, not both
15 MISSING_FIELD ownerId: is required: say who holds the key, as owner "user:ID", "team:ID" or "service:ID", or as ownerId for a user
16 INVALID_FIELD name (column 2): is not valid UTF-8
18 ok 
19 INVALID_ROW line 19, column 2: a quote is opened and never closed
Created 2 keys, 14 items were refused.
''')


def test_bad_items_of_ndjson(folder):
    path = os.path.join(folder, 'bad.ndjson')
    long = json.dumps({'ownerId': '1', 'description': 'x' * (129 * 1024)})
    with open(path, 'w', encoding='utf-8') as file:
        file.write('\ufeff{"ownerId": "1"}\r\n\n  \n{"ownerId": "2" } \n[1]\n{"ownerId": "3",\n{"ownerId": "4", "nme": 1}\n' + long +
                   '\n{"ownerId": "5", "ownerId": "6"}\n{}\n{"ownerId": "7"}')

    def story(world):
        done = world.run('batch', 'create', path, '--out', '-', '--out-format', 'csv', '--chunk', '2', code=1)
        return [re.sub(r'key_\w+,sk_\w+', 'MADE', done.out), done.err]

    check_equal(''.join(each_way(folder, story)).replace('\r', ''), '''line,ok,id,key,code,message,rotatedFrom
1,true,MADE,,,
4,true,MADE,,,
5,false,,,INVALID_REQUEST,"an item must be a JSON object",
6,false,,,INVALID_JSON,"This is not valid JSON at byte 16: it ends too early.",
7,false,,,UNKNOWN_FIELD,"nme: is not known here",
8,false,,,BODY_TOO_LARGE,"is too long: at most 131072 bytes",
9,false,,,DUPLICATE_FIELD,"ownerId: stands twice",
10,false,,,MISSING_FIELD,"ownerId: is required: say who holds the key, as owner ""user:ID"", ""team:ID"" or ""service:ID"", or as ownerId for a user",
11,true,MADE,,,
Created 3 keys, 6 items were refused.
''')


def test_each_chunk_as_a_whole(folder):
    items = write_ndjson(os.path.join(folder, 'items.ndjson'),
                         [{'ownerId': f'{i}', **({'expiresAt': '2001-01-01T00:00:00Z'} if i == 5 else {}),
                           **({'nme': 'x'} if i == 8 else {})} for i in range(11)])

    def story(world):
        done = world.run('batch', 'create', items, '--out', '-', '--atomic', '--chunk', '3', code=1)
        codes = [json.loads(line).get('code', 'ok') for line in done.out.splitlines()]
        check_equal(codes, ['ok'] * 3 + ['NOT_DONE', 'NOT_DONE', 'INVALID_FIELD', 'NOT_DONE', 'NOT_DONE', 'UNKNOWN_FIELD', 'ok', 'ok'])
        return [world.run('list', '--count', code=0).out]

    check_equal(each_way(folder, story), ['5\n'])


def test_headers_that_do_not_fit(folder):
    key = run('generate', code=0).out.strip()
    data = ['--data', os.path.join(folder, 'data')]
    for text, arguments, part in (
            ('', [], 'is empty: its first line must name the fields'), ('\n\n', [], 'is empty'),
            ('ownerId,nme\n1,x\n', [], "column 2, 'nme', is no field (did you mean name?)"),
            ('ownerId,name,name\n', [], 'columns 2 and 3 are both name'),
            ('ownerId,x\n', ['--map', 'x=ownerId'], 'columns 1 and 2 are both ownerId'),
            ('ownerId\n', ['--map', 'x=name'], "has no column 'x', which --map names"),
            ('ownerId\n', ['--map', 'ownerId=nobody'], "column 1, 'nobody', is no field: --map 'ownerId=FIELD' says which one it is, --map 'ownerId=-' leaves it out"),
            ('ownerId\n', ['--map', 'ownerId'], '--map must read COLUMN=FIELD'),
            (f'{key}\n', [], 'the first line must name the fields'),
            ('"ownerId\n1\n', [], 'line 1, column 1: a quote is opened and never closed'),
            (','.join(['a'] * 200), [], 'line 1: has more than 128 cells')):
        path = os.path.join(folder, 'items.csv')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        done = run('batch', 'create', path, '--out', os.path.join(folder, 'out'), *arguments, *data, code=2)
        check_in(part, done.err, text)
        check(key not in done.err, 'a key is repeated')
        check_equal(sorted(os.listdir(folder)), ['items.csv'], 'nothing is made')


def test_lines_that_are_wrong(folder):
    items = write_ndjson(os.path.join(folder, 'items.ndjson'), [{'ownerId': '1'}])
    out, data = os.path.join(folder, 'out'), ['--data', os.path.join(folder, 'data')]
    key = run('generate', code=0).out.strip()
    for arguments, part in (
            ([], "'batch' needs create|verify|update|revoke FILE|-"), (['create'], "'batch' needs"),
            (['creat', items], 'did you mean create?'), ([key, items], "'batch' does create, verify, update or revoke\n"),
            (['create', items], 'say where the keys are to go'), (['create', folder, '--format', 'csv', '--out', out], 'cannot be read: Is a directory'),
            (['create', os.path.join(folder, 'none.csv'), '--out', out], 'cannot be read: No such file'),
            (['create', '-', '--out', out], '- does not say what it holds'),
            (['create', items, '--format', 'json', '--out', out], '--format must be csv or ndjson'),
            (['create', items, '--out-format', 'xml', '--out', out], '--out-format must be csv or ndjson'),
            (['create', items, '--map', 'a=b', '--out', out], '--map is about the columns of a CSV'),
            (['create', items, '--chunk', '0', '--out', out], '--chunk must be a whole number from 1 to 1000'),
            (['create', items, '--chunk', '1001', '--out', out], '--chunk must be a whole number from 1 to 1000'),
            (['create', items, '--progress', 'x', '--out', out], '--progress must be bar, plain or none'),
            (['verify', items, '--atomic'], '--atomic is about changes'), (['revoke', items, '--rotate-unseen'], 'about creating'),
            (['revoke', items, '--resume'], '--resume needs what the stopped run was given'),
            (['create', items, '--out', out, '--resume'], f'there is no run to go on with: {out}.state is not there'),
            (['create', items, '--out', out, '--resume', '--dry-run'], 'exclude each other'),
            (['create', items, '--out', items], 'is there already, and may hold keys')):
        done = run('batch', *arguments, *data, code=2)
        check_in(part, done.err, arguments)
        check(key not in done.err, 'a key is repeated')
    check_equal(sorted(set(os.listdir(folder)) - {'data'}), ['items.ndjson'], 'nothing is made')
    problem = json.loads(run('batch', 'create', items, '--json', *data, code=2).err)
    check_equal(problem['code'], 'USAGE')


def test_a_dry_run_sends_nothing(folder):
    path = os.path.join(folder, 'bad.csv')
    with open(path, 'wb') as file:
        file.write(BAD.encode('latin-1'))
    done = run('batch', 'create', path, '--dry-run', code=1)
    oks = [json.loads(line)['line'] for line in done.out.splitlines() if json.loads(line)['ok']]
    check_equal(oks, [2, 5, 13, 15, 18])  # what the rest is refused for, only the other side knows
    check_in('Nothing was sent: 5 of 16 items look right, 11 items were refused.', done.err)
    check_equal(os.listdir(folder), ['bad.csv'])


def test_what_the_server_refuses_as_a_whole(folder):
    items = write_ndjson(os.path.join(folder, 'items.ndjson'), [{'ownerId': '1'}])
    out, data = os.path.join(folder, 'out'), ['--data', os.path.join(folder, 'data')]
    done = run('batch', 'create', items, '--out', out, '--project', 'none', *data, code=2)
    check_in('(PROJECT_NOT_FOUND)', done.err)
    check_in('--resume goes on', done.err)
    done = run('batch', 'create', items, '--out', out, '--resume', *data, code=2)
    check_in('--project was another one when this run began', done.err)
    done = run('batch', 'create', items, '--out', out, *data, code=2)
    check_in('--resume goes on with it', done.err)
    done = run('batch', 'create', items, '--out', out + '2', '--url', 'http://127.0.0.1:1', env={'KEYWARD_KEY': 'x'}, code=2)
    check_in('no server answers at http://127.0.0.1:1', done.err)


def test_from_standard_input(folder):
    data = ['--data', os.path.join(folder, 'data')]
    done = run('batch', 'create', '-', '--format', 'csv', '--out', '-', *data, stdin='owner\nteam:1\nteam:2\n', code=0)
    check_equal([json.loads(line)['line'] for line in done.out.splitlines()], [2, 3])
    check_equal(done.err, 'Created 2 keys.\n')
    done = run('batch', 'create', '-', '--format', 'ndjson', '--out', '-', '--json', *data, stdin='', code=0)
    check_equal((done.out, json.loads(done.err)['items']), ('', 0))


def test_progress_shows_no_keys(folder):
    items = write_ndjson(os.path.join(folder, 'items.ndjson'), [{'ownerId': str(i)} for i in range(300)])
    data = ['--data', os.path.join(folder, 'data')]
    terminal = Terminal(PROGRAM, 'batch', 'create', items, '--out', os.path.join(folder, 'o1'), '--chunk', '10', *data)
    check_equal(terminal.wait(), 0)
    check_in('[', terminal.seen)
    check_in('% ', terminal.seen)
    check_in('Created 300 keys.', terminal.seen)
    check(not KEY.search(terminal.seen), terminal.seen)
    done = run('batch', 'create', items, '--out', os.path.join(folder, 'o2'), '--progress', 'plain', *data, code=0)
    check(re.search(r'^100%  300 items', done.err, re.M), done.err)
    check(not KEY.search(done.err + done.out), done)
    done = run('batch', 'create', items, '--out', os.path.join(folder, 'o3'), *data, code=0)
    check_equal(done.err, '')


def peak_of(folder, count):
    """The most memory that verifying so many keys took, in KB."""
    rows = write_csv(os.path.join(folder, 'keys.csv'), ['key', 'ip'], [['sk_live_' + 'x' * 200, '192.0.2.1']] * count)
    out = os.path.join(folder, 'out')
    # What the sanitizer keeps of freed memory is none of ours.
    options = os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1:thread_local_quarantine_size_kb=64'
    with open(out, 'wb') as file:
        process = subprocess.Popen([PROGRAM, 'batch', 'verify', rows, '--data', os.path.join(folder, 'data')], stdout=file,
                                   stderr=subprocess.DEVNULL, env=environment() | {'ASAN_OPTIONS': options})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    check_equal(process.returncode, 1)
    with open(out, 'rb') as file:
        check_equal(sum(1 for _ in file), count)
    return usage.ru_maxrss


def test_memory_stays_flat(folder):
    """Thirty times the items, and no more memory."""
    run('create', '--owner', 'user:1', '--data', os.path.join(folder, 'data'), code=0)
    few, many = peak_of(folder, 2000), peak_of(folder, 60000)
    check(many < few * 1.5, f'{many} KB for 60,000 items, {few} KB for 2,000')


if __name__ == '__main__':
    main([test_five_thousand_rows, test_bad_rows_in_the_middle, test_bad_items_of_ndjson, test_each_chunk_as_a_whole,
          test_headers_that_do_not_fit, test_lines_that_are_wrong, test_a_dry_run_sends_nothing,
          test_what_the_server_refuses_as_a_whole, test_from_standard_input, test_progress_shows_no_keys,
          test_memory_stays_flat])
