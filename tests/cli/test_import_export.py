"""From one installation to another and back: exports come in with all of their fields, and their keys verify there."""

import json
import os

from support import check, check_equal, check_in, main, run


def created(data, *arguments):
    answer = json.loads(run('create', '--data', data, '--json', *arguments, code=0).out)
    return answer['key'], answer['record']['id']


def valid(data, key, *question):
    return run('verify', '-', '--data', data, '--json', *question, stdin=key).out


def records(text):
    lines = [json.loads(line) for line in text.splitlines()]
    return {line['record']['id']: line for line in lines if 'record' in line}


def furnish(data):
    """Keys of all kinds: the plain keys by what they are."""
    keys = {}
    keys['parent'], parent = created(data, '--owner', 'user:1', '--scope', 'read', '--name', 'a "parent"')
    keys['child'], child = created(data, '--parent', parent, '--scope', 'read', '--allow-region', 'EU')
    rotated = json.loads(run('rotate', parent, '--data', data, '--grace', '1h', '--end-grace-on-first-use', '--json', code=0).out)
    keys['successor'] = rotated['key']
    keys['grandchild'], _ = created(data, '--parent', child, '--block-ip', '2001:db8::/32')
    keys['rich'], _ = created(data, '--owner', 'team:2', '--org', 'acme', '--allow-ip', '192.0.2.0/24', '--expires-in', '9d', '--tag', 'x',
                              '--metadata', '{"a":{"b":[1,"\\u00e4"]}}', '--resource', 'website:1=read,write', '--description', 'two\nlines',
                              '--rate-limit', '3/1d', '--rate-limit', 'burst=2/1s', '--quota', 'tokens=7.5/day,owner')
    keys['disabled'], disabled = created(data, '--owner', 'service:ci', '--env', 'test')
    run('disable', disabled, '--data', data, code=0)
    keys['revoked'], revoked = created(data, '--owner', 'user:3')
    run('revoke', revoked, '--reason', 'leaked', '--data', data, code=0)
    return keys


def codes(data, keys):
    return {name: json.loads(valid(data, key, '--ip', '192.0.2.7', '--geo', 'DE')).get('code', 'VALID') for name, key in keys.items()}


def test_there_and_back(folder):
    here, there = os.path.join(folder, 'here'), os.path.join(folder, 'there')
    keys = furnish(here)
    exported = run('export', '--data', here, code=0).out
    refused = run('import', '-', '--data', there, stdin=exported, code=1)
    check_in('keyward pepper export', refused.err)
    check_in('refused 7.', refused.out)
    peppers = os.path.join(folder, 'peppers')
    run('pepper', 'export', peppers, '--data', here, code=0)
    run('pepper', 'import', peppers, '--data', there, code=0)
    check_in('Would create 7 keys', run('import', '-', '--dry-run', '--data', there, stdin=exported, code=0).out)
    check_in('Created 7 keys', run('import', '-', '--data', there, stdin=exported, code=0).out)
    before, after = records(exported), records(run('export', '--data', there, code=0).out)
    check_equal(list(after), list(before), 'the same ids, in the same order')
    check_equal([line['record']['rateLimits'] for line in before.values() if 'rateLimits' in line['record']],
                [[{'name': 'burst', 'requests': 2, 'window': '1s'}, {'name': 'default', 'requests': 3, 'window': '1d'}]])
    check_equal([[(quota['name'], quota['limit'], quota['per']) for quota in line['record']['quotas']]
                 for line in before.values() if 'quotas' in line['record']], [[('tokens-day', 7.5, 'owner')]])
    for key_id, line in before.items():
        told = after[key_id]
        check_equal(told['record'].pop('imported'), True)
        check_equal(told['record'].pop('version') in (1, 2), True, 'a version of its own')
        del line['record']['version']
        check_equal(told, line, key_id)
    # Now that nothing more is compared: what the old keys are good for there, and that their use moves them.
    told = codes(there, keys)
    check_equal(told, codes(here, keys))
    check_equal((told['revoked'], told['disabled'], told['child'], told['rich']), ('REVOKED', 'DISABLED', 'VALID', 'VALID'))
    check_in('skipped 7, refused 0', run('import', '-', '--data', there, stdin=exported, code=0).out)


def test_the_form_as_one_document(folder):
    here, there = os.path.join(folder, 'here'), os.path.join(folder, 'there')
    keys = furnish(here)
    path, peppers = os.path.join(folder, 'all.json'), os.path.join(folder, 'peppers')
    run('export', '--format', 'json', '--out', path, '--data', here, code=0)
    run('list', '--data', there)
    created(there, '--owner', 'user:9')
    run('pepper', 'export', peppers, '--data', here, code=0)
    run('pepper', 'import', peppers, '--data', there, code=0)
    check_in('Created 7 keys', run('import', path, '--data', there, code=0).out)
    check_equal(codes(there, keys), codes(here, keys))


def test_a_revocation_travels_and_none_is_undone(folder):
    here, there = os.path.join(folder, 'here'), os.path.join(folder, 'there')
    keys = furnish(here)
    peppers = os.path.join(folder, 'peppers')
    old = run('export', '--data', here, code=0).out
    run('revoke', '--owner', 'team:2', '--yes', '--data', here, code=0)
    new = run('export', '--data', here, code=0).out
    created(there, '--owner', 'user:9')
    run('pepper', 'export', peppers, '--data', here, code=0)
    run('pepper', 'import', peppers, '--data', there, code=0)
    run('import', '-', '--data', there, stdin=old, code=0)
    check_equal(codes(there, keys)['rich'], 'VALID')
    # The rotated key's grace ended there when its successor was used, and stays ended: so one line is refused.
    check_in('refused 1.', run('import', '-', '--data', there, '--on-conflict', 'overwrite', stdin=new, code=1).out)
    check_equal(codes(there, keys)['rich'], 'REVOKED')
    done = run('import', '-', '--data', there, '--on-conflict', 'overwrite', stdin=old, code=1)
    check_in('CANNOT_MODIFY_REVOKED', done.err)
    check_equal(codes(there, keys)['rich'], 'REVOKED')
    cut = run('import', '-', '--data', there, stdin='\n'.join(old.splitlines()[:-1]) + '\n', code=1)
    check_in('cut short', cut.err)
    check(all(key not in old + new for key in keys.values()), 'an export holds a key')


def test_a_family_that_has_ended_travels_whole(folder):
    """Nobody is made below a key that has ended any more; who was made before comes along, and stays ended."""
    here, there, peppers = (os.path.join(folder, name) for name in ('here', 'there', 'peppers'))
    keys, ids = {}, {}
    keys['first'], ids['first'] = created(here, '--owner', 'user:1')
    keys['child'], ids['child'] = created(here, '--parent', ids['first'])
    keys['grandchild'], ids['grandchild'] = created(here, '--parent', ids['child'])
    run('revoke', ids['first'], '--data', here, code=0)
    refused = run('create', '--parent', ids['grandchild'], '--data', here, code=2)
    check_in('parentId: ', refused.err)
    check_in(ids['first'], refused.err)
    exported = run('export', '--data', here, code=0).out
    created(there, '--owner', 'user:9')
    run('pepper', 'export', peppers, '--data', here, code=0)
    run('pepper', 'import', peppers, '--data', there, code=0)
    check_in('Created 3 keys', run('import', '-', '--data', there, stdin=exported, code=0).out)
    check_equal(codes(there, keys), {name: 'REVOKED' for name in keys})
    check_equal(codes(there, keys), codes(here, keys))
    check_in(ids['first'], run('create', '--parent', ids['child'], '--data', there, code=2).err)


if __name__ == '__main__':
    main([test_there_and_back, test_a_family_that_has_ended_travels_whole, test_the_form_as_one_document, test_a_revocation_travels_and_none_is_undone])
