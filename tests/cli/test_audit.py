"""The audit log on the command line: shown, exported and proved, on a data folder and behind a server alike."""

import json
import pathlib
import re

from support import check, check_equal, check_in, main
from test_commands import created, each_way

MOMENT = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')
HEAD = re.compile(r'Head: (\d+:\d+:[0-9a-f]{64})')


def changed(world):
    """A key with three entries."""
    record = created(world, '--owner', 'user:1')[1]
    world.run('disable', record['id'], '--reason', 'too loud', code=0)
    world.run('revoke', record['id'], code=0)
    return record['id']


def proved(world, *arguments):
    """What a proof says once every entry has its seal."""
    for _ in range(1000):
        told = world.run('audit', 'verify', *arguments, code=0).out
        if 'too new' not in told:
            return told
    raise AssertionError(told)


def test_entries_are_listed(folder):
    def story(world):
        key_id = changed(world)
        listed = world.run('audit', '--key', key_id, code=0).out
        check_equal(listed, world.run('audit', 'list', '--key', key_id, code=0).out)
        lines = listed.splitlines()
        check_equal([line.split()[1] for line in lines], ['key.revoked', 'key.disabled', 'key.created'])
        check(lines[1].endswith('  too loud') and key_id in lines[1], lines[1])
        first = json.loads(world.run('audit', '--key', key_id, '--sort', 'timestamp', '--limit', '1', '--json', code=0).out)
        check_equal([item['action'] for item in first['items']], ['key.created'])
        more = world.run('audit', '--key', key_id, '--limit', '2', code=0).out.splitlines()[-1]
        check_in('There is more: --cursor=-', more)
        rest = world.run('audit', '--key', key_id, '--limit', '2', more.split()[-1], code=0).out.splitlines()
        check_equal([line.split()[1] for line in rest], ['key.created'])
        return [str(len(lines))]

    each_way(folder, story)


def test_a_log_and_its_copy_are_proved(folder):
    def story(world):
        changed(world)
        told = proved(world)
        check_in('The log is whole', told)
        head = HEAD.search(told).group(1)
        changed(world)
        later = proved(world, '--head', head)
        check_in('The log is whole', later)
        copy = world.run('audit', 'export', code=0).out
        whole = copy.splitlines()
        first = json.loads(whole[0])
        check_equal((first['keyward'], first['version'], first['projectId']), ('audit', 1, 'default'))
        lines = [line for line in whole[:-1] if 'keyward' not in json.loads(line)] + [whole[-1]]
        check_equal(json.loads(lines[-1]), {'keyward': 'end', 'entries': len(lines) - 1})
        check_equal([json.loads(line)['sequence'] for line in lines[:-1]],
                    sorted(json.loads(line)['sequence'] for line in lines[:-1]))
        path = pathlib.Path(folder, 'copy.ndjson')

        def verify(text, code, *arguments):
            path.write_text(text, encoding='utf-8')
            ended = world.run('audit', 'verify', str(path), *arguments, code=code)
            return ended.out + ended.err

        check_equal(verify(copy, 0), later)
        check_equal(verify(copy, 0, '--head', head), later)
        spaced = '\n'.join(json.dumps(json.loads(line), ensure_ascii=False) for line in whole)
        check_equal(verify(spaced, 0), later)  # white space is nothing
        place = json.loads(lines[1])['seal']['place']
        check_equal(place, 2)
        end = f'{{"keyward":"end","entries":{len(lines) - 2}}}'
        tampered = lines[1].replace(json.loads(lines[1])['action'], 'key.enabled')
        check_in('at place 2 is the first that is not right: changed', verify('\n'.join([lines[0], tampered, *lines[2:]]), 1))
        check_in('at place 2 is the first that is not right: missing', verify('\n'.join([lines[0], *lines[2:-1], end]) + '\n', 1))
        check_in('at place 2 is the first that is not right: moved',
                 verify('\n'.join([lines[0], lines[2], lines[1], *lines[3:]]) + '\n', 1))
        check_in('moved', verify('\n'.join([lines[0], lines[1], lines[0], *lines[3:]]) + '\n', 1))
        check_in('missing', verify('\n'.join([*lines[:-2], end]) + '\n', 1, '--head', HEAD.search(later).group(1)))
        check_in('its last line is missing', verify('\n'.join(lines[:-1]) + '\n', 2))
        check_in('its last line says otherwise', verify('\n'.join([*lines[:-2], lines[-1]]) + '\n', 2))
        check_in('stands behind its end', verify(copy + lines[0] + '\n', 2))
        other = head[:-1] + ('0' if head[-1] != '0' else '1')
        check_in('changed', verify(copy, 1, '--head', other))
        check_in('changed', world.run('audit', 'verify', '--head', other, code=1).out)
        return []

    each_way(folder, story)


def test_a_log_is_signed_and_pruned(folder):
    def story(world):
        changed(world)
        proved(world)
        entries = json.loads(world.run('audit', '--sort', 'timestamp', '--json', code=0).out)['items']
        shown = world.run('audit', 'checkpoints', code=0).out.splitlines()
        key = re.fullmatch('Public key: ([0-9a-f]{64})', shown[0]).group(1)
        listed = json.loads(world.run('audit', 'checkpoints', '--json', '--limit', '1', code=0).out)
        check_equal(listed['publicKey'], key)
        if world.way == 'data':  # each command ends as a server does
            check_in(f'Signed up to place {len(entries)}, by {key}', proved(world, '--public-key', key))
            check_equal(listed['items'][0]['place'], len(entries))
            held = pathlib.Path(folder, 'held.ndjson')
            held.write_text(json.dumps(listed['items'][0]) + '\n', encoding='utf-8')
            check_in('Signed up to', proved(world, '--checkpoints', str(held)))
            other = {**listed['items'][0], 'link': '0' * 64}
            held.write_text(json.dumps(other) + '\n', encoding='utf-8')
            check_in('is not signed by the key', world.run('audit', 'verify', '--checkpoints', str(held), code=2).err)
        last = entries[-1]['timestamp']
        expected = sum(item['timestamp'] < last for item in entries)
        told = world.run('audit', 'prune', '--before', last, '--reason', 'old', code=0).out
        check_equal(told, f'Entries: {expected}\n')
        check_in(f'It begins behind place {expected}', proved(world))
        check_equal(json.loads(world.run('audit', 'prune', '--before', '2020-01-01T00:00:00Z', '--json', code=0).out), {'entries': 0})
        first = json.loads(world.run('audit', '--action', 'audit.pruned', '--json', code=0).out)['items'][0]
        check_equal((first['details']['entries'], first['context']['reason']), (expected, 'old'))
        return []

    each_way(folder, story)


def test_a_person_s_data_is_erased(folder):
    def story(world):
        changed(world)
        created(world, '--owner', 'user:2', '--name', 'stays')
        told = world.run('audit', 'erase', '--owner', 'user:1', '--reason', 'asked for', code=0).out
        check_equal(told, 'Entries: 3\n')
        check_equal(json.loads(world.run('audit', 'erase', '--actor', 'nobody', '--json', code=0).out), {'entries': 0})
        check_in('The log is whole', proved(world))
        entries = json.loads(world.run('audit', '--sort', 'timestamp', '--json', code=0).out)['items']
        check_equal([item.get('owner') for item in entries], [None, None, None, 'user:2', None])
        check_equal(['details' in item for item in entries], [False, False, False, True, True])
        check_equal(entries[-1]['action'], 'audit.erased')
        return [told]

    each_way(folder, story)


def test_what_makes_no_sense_is_refused(folder):
    def story(world):
        created(world, '--owner', 'user:1')
        for arguments, why in ((['prune'], '--before TIME'), (['erase'], '--owner TYPE:ID'), (['erase', '--owner', 'user:1', '--key', 'key_1'], '--owner TYPE:ID'), (['list', '--before', '2020-01-01T00:00:00Z'], '--before TIME'),
                               (['prune', '--before', 'long ago'], 'before'), (['verify', '--public-key', '7'], 'hexadecimal'),
                               (['list', '--public-key', '0' * 64], 'are for verify'),
                               (['prove'], 'list, export, verify, checkpoints, prune or erase'), (['list', 'file'], 'only verify takes a file'),
                               (['verify', '--owner', 'user:1'], 'only the list is narrowed'),
                               (['export', '--json'], 'only the list is narrowed'),
                               (['verify', '--head', '7'], 'PLACE:SEQUENCE:LINK'),
                               (['verify', str(pathlib.Path(folder, 'nowhere'))], 'cannot be read')):
            ended = world.run('audit', *arguments, code=2)
            check_in(why, ended.out + ended.err)
        return []

    each_way(folder, story)


if __name__ == '__main__':
    main([test_entries_are_listed, test_a_log_and_its_copy_are_proved, test_a_log_is_signed_and_pruned,
          test_a_person_s_data_is_erased, test_what_makes_no_sense_is_refused])
