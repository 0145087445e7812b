"""`keyward import`: files of any form and size, on a data folder and behind a server, and what is said of bad lines."""

import hashlib
import json
import os

from support import World, check, check_equal, check_in, main, run
from test_commands import each_way

SALT = 'pepper'


def key_of(number):
    return f'old_{number:05d}_abcdefghijklmnop'


def listed(numbers):
    return [{'id': f'id{number}', 'keyHash': hashlib.sha256((key_of(number) + SALT).encode()).hexdigest(),
             'metadata': {'ownerId': str(number % 9), 'scopes': ['read'], 'name': f'k{number}', 'createdAt': '2025-01-01T00:00:00.000Z'}}
            for number in numbers]


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
    return path


def test_every_form_comes_in(folder):
    ndjson = write(folder, 'a.ndjson', ''.join(json.dumps(item) + '\n' for item in listed(range(2500))))
    array = write(folder, 'b.json', json.dumps(listed(range(2500, 2600)), indent=2))
    document = write(folder, 'c', json.dumps({'keyward': 'export', 'version': 1, 'keys': listed(range(2600, 2610)), 'count': 10}))
    rows = write(folder, 'd.csv', 'token,who,tags\r\n' + ''.join(f'"plain_{number}_0123456789",{number},a;b\r\n' for number in range(1200)))
    options = ('--salt', SALT, '--prefix', 'old_')

    def story(world):
        told = [world.run('import', ndjson, *options, '--dry-run', code=0).out, world.run('import', ndjson, *options, code=0).out,
                world.run('import', ndjson, *options, code=0).out, world.run('import', array, *options, '--format', 'keypal', code=0).out,
                world.run('import', document, '--format', 'json', *options, code=0).out,
                world.run('import', '-', '--map', 'token=key', '--map', 'who=ownerId', '--format', 'csv', '--json', code=0,
                          stdin=open(rows, 'rb').read()).out]
        for key in (key_of(7), key_of(2599), key_of(2605), 'plain_1199_0123456789'):
            check_in('Valid', world.run('verify', '-', stdin=key, code=0).out, key)
        return told

    check_equal(''.join(each_way(folder, story)), '''Would create 2500 keys, overwrite 0, skip 0, refuse 0. Nothing was changed.
Created 2500 keys, overwrote 0, skipped 0, refused 0.
Created 0 keys, overwrote 0, skipped 2500, refused 0.
Created 100 keys, overwrote 0, skipped 0, refused 0.
Created 10 keys, overwrote 0, skipped 0, refused 0.
{"dryRun":false,"created":1200,"overwritten":0,"skipped":0,"refused":0,"isCut":false}
''')


def test_bad_lines_are_told_by_their_place(folder):
    lines = [json.dumps(item) for item in listed(range(1500))]
    lines[3] = '{"id": "x", "keyHash": "abc", "ownerId": "1"}'
    lines[1200] = 'no JSON'
    path = write(folder, 'bad.ndjson', '\n'.join(lines) + '\n')
    report = os.path.join(folder, 'report')

    def story(world):
        first = world.run('import', path, code=1)
        check_in('line 4: keyHash: must be 64 hexadecimal characters, made by sha256, or 128, by sha512', first.err)
        check_in('line 1201: ', first.err)
        world.run('import', path, '--report', report, code=1)
        with open(report, encoding='utf-8') as file:
            told = [json.loads(line) for line in file]
        check_equal(len(told), 1500, 'what was skipped is told of, too')
        check_equal([line['line'] for line in told if line['outcome'] == 'refused'], [4, 1201])
        check_equal(os.stat(report).st_mode & 0o777, 0o600)
        shown = world.run('import', path, '--report', '-', code=1)
        check_equal([json.loads(line) for line in shown.out.splitlines()], told, 'on standard output')
        check_equal(shown.err, 'Created 0 keys, overwrote 0, skipped 1498, refused 2.\n')
        shown = world.run('import', path, '--report', '-', '--json', code=1)
        check_equal((len(shown.out.splitlines()), json.loads(shown.err)['refused']), (1500, 2), 'as JSON')
        return [first.out]

    check_equal(each_way(folder, story), ['Created 1498 keys, overwrote 0, skipped 0, refused 2.\n'])


def test_a_search_says_that_it_has_not_seen_all(folder):
    path = write(folder, 'many.ndjson', ''.join(json.dumps(item) + '\n' for item in listed(range(20100))))
    with World(folder, 'data') as world:
        world.run('import', path, code=0)
        first = world.run('list', '--search', 'nobody', code=0)
        check_equal(first.out, '')
        check_in('No keys so far, and not all were looked at: --all looks at them, --cursor ', first.err)
        cursor = first.err.split('--cursor ')[1].split()[0]
        check_equal(world.run('list', '--search', 'nobody', '--cursor', cursor, code=0).err, 'No keys.\n')
        check_equal(world.run('list', '--search', 'nobody', '--all', code=0).err, 'No keys.\n')


def test_an_export_that_was_cut(folder):
    head = '{"keyward":"export","version":1,"project":"default"}\n'
    path = write(folder, 'cut', head + json.dumps(listed([1])[0]) + '\n')

    def story(world):
        cut = world.run('import', path, code=1)
        check_in('cut short', cut.err)
        newer = world.run('import', '-', stdin=head.replace('1', '2'), code=2)
        check_in('newer form', newer.err)
        return [cut.out, cut.err, newer.err]

    each_way(folder, story)


def test_what_is_wrong_with_the_call(folder):
    path = write(folder, 'a.csv', 'key,colour\nplain_0123456789,red\n')

    def story(world):
        told = [world.run('import', path, code=2).err, world.run('import', path, '--map', 'colour', code=2).err,
                world.run('import', path, '--map', 'colour=-', '--on-conflict', 'replace', code=2).err,
                world.run('import', path, '--format', 'xml', code=2).err,
                world.run('import', os.path.join(folder, 'none'), code=2).err.replace(folder, '')]
        check_in('colour', told[0])
        check_in('COLUMN=FIELD', told[1])
        check_in('onConflict', told[2])
        check_in('ndjson, json, csv or keypal', told[3])
        check_in('No such file', told[4])
        return told

    each_way(folder, story)


def test_lines_without_an_id_come_in_once(folder):
    """Also when their keys have moved to another digest, and the pepper of the first import is gone."""
    data = os.path.join(folder, 'data')
    lines = write(folder, 'lines.ndjson', json.dumps({'keyHash': hashlib.sha256(key_of(1).encode()).hexdigest(), 'ownerId': '1'}))

    def come_in():
        return run('import', lines, '--data', data, '--prefix', 'old_', code=0).out

    check_equal(come_in(), 'Created 1 key, overwrote 0, skipped 0, refused 0.\n')
    first = json.loads(run('pepper', 'list', '--data', data, '--json', code=0).out)['items'][0]['fingerprint']
    for _ in range(2):
        run('verify', '--data', data, stdin=key_of(1), code=0)
        check_equal(come_in(), 'Created 0 keys, overwrote 0, skipped 1, refused 0.\n')
        run('pepper', 'rotate', '--data', data, code=0)
    run('pepper', 'retire', first, '--data', data, code=0)
    check_equal(come_in(), 'Created 0 keys, overwrote 0, skipped 1, refused 0.\n')


def test_no_key_is_said(folder):
    secret = 'canary_5f2d8e1a9c7b4e60'
    path = write(folder, 'a.ndjson', json.dumps({'key': secret, 'ownerId': '1', 'name': 5}) + '\n' +
                 json.dumps({'key': secret + '\n', 'ownerId': '1'}) + '\n' + json.dumps({'key': secret, 'ownerId': '1'}) + '\n')

    def story(world):
        for arguments in ((), ('--on-conflict', 'error'), ('--json',), ('--prefix', 'other_')):
            done = world.run('import', path, *arguments, code=1)
            check(secret not in done.out + done.err, done)
        return []

    each_way(folder, story)


if __name__ == '__main__':
    main([test_every_form_comes_in, test_bad_lines_are_told_by_their_place, test_a_search_says_that_it_has_not_seen_all,
          test_an_export_that_was_cut,
          test_what_is_wrong_with_the_call, test_lines_without_an_id_come_in_once, test_no_key_is_said])
