"""Documents from the command line: listing, showing, and `apply`, on a data folder and behind a server alike."""

import json
import os
import pathlib
import pty
import re
import subprocess

from support import PROGRAM, Normal, World, check, check_equal, check_in, environment, main

WAYS = ('data', 'url')

WISH = {
    'templates': [{'name': 'ci', 'project': 'shop', 'fields': {'owner': 'service:ci', 'scopes': ['builds:*']}, 'locked': ['scopes']}],
    'policies': [{'name': 'partners', 'scopes': ['orders:*'], 'maxTtl': '90d'}],
    'projects': [{'name': 'shop', 'environments': [{'name': 'live', 'secretPrefix': 'shop_'}], 'defaultExpiresIn': '30d'}],
}


def each_way(folder, story):
    told = {}
    for way in WAYS:
        with World(folder, way) as world:
            world.run('create', '--owner', 'user:1', code=0)  # a data folder is made by this
            normal = Normal()
            told[way] = [normal(text) for text in story(world)]
    check_equal('\n'.join(told['url']), '\n'.join(told['data']), 'over --url other than on --data')
    return told['data']


def write(folder, wish, name='wish.json'):
    path = os.path.join(folder, name)
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(wish, file, indent=2)
    return path


def test_apply_shows_and_makes_changes(folder):
    path = write(folder, WISH)

    def story(world):
        shown = world.run('apply', path, '--dry-run', code=0)
        check_in('+ project shop\n    environments: [{"name":"live","secretPrefix":"shop_"}]\n    defaultExpiresIn: "30d"\n',
                 shown.out)
        check_in('+ policy partners\n', shown.out)
        check_in('+ template shop/ci\n', shown.out)
        world.run('projects', 'show', 'shop', code=2)
        refused = world.run('apply', path, code=2)
        check_in('--yes', refused.err)
        world.run('projects', 'show', 'shop', code=2)
        made = world.run('apply', path, '--yes', code=0)
        check_in('3 changes made.\n', made.out)
        again = world.run('apply', path, '--yes', code=0)
        check_equal(again.out, 'Everything is as the file says.\n')
        key = json.loads(world.run('create', '--template', 'ci', '--project', 'shop', '--json', code=0).out)
        check(key['key'].startswith('shop_'), 'prefix')
        check_equal(key['record']['scopes'], ['builds:*'])
        locked = world.run('create', '--template', 'ci', '--project', 'shop', '--scope', 'x', code=2)
        check_in('FIELD_LOCKED', locked.err)
        under = json.loads(world.run('create', '--owner', 'user:1', '--policy', 'partners', '--json', code=0).out)['record']
        check_equal((under['policy'], under['scopes']), ('partners', ['orders:*']))
        check_in('POLICY_VIOLATION', world.run('update', under['id'], '--scope', 'x', code=2).err)
        freed = json.loads(world.run('update', under['id'], '--clear', 'policy', '--json', code=0).out)
        check('policy' not in freed, freed)
        preset = json.loads(world.run('create', '--owner', 'user:1', '--preset', 'readOnly', '--json', code=0).out)
        check_equal(preset['record']['scopes'], ['read', 'read:*'])
        return [shown.out, refused.err, made.out]
    each_way(folder, story)


def test_apply_shows_which_keys_a_policy_narrows(folder):
    path = write(folder, {'policies': [{'name': 'partners', 'scopes': ['orders:*', 'users:*']}]})
    less = write(folder, {'policies': [{'name': 'partners', 'scopes': ['orders:*'], 'environments': ['live']}]}, 'less.json')

    def story(world):
        world.run('apply', path, '--yes', code=0)
        made = json.loads(world.run('create', '--owner', 'user:1', '--name', 'Partner 7', '--policy', 'partners', '--json', code=0).out)
        top = made['record']['id']
        child = json.loads(world.run('create', '--owner', 'user:1', '--parent', top, '--scope', 'users:read', '--json', code=0).out)['record']['id']
        shown = world.run('apply', less, '--dry-run', code=0)
        check_in(f'    takes something from 2 keys:\n      {top} (Partner 7): scopes\n      {child}, below {top}: scopes\n', shown.out)
        told = json.loads(world.run('apply', less, '--dry-run', '--json', code=0).out)
        check_equal(told['changes'][0]['narrowed']['items'], [{'id': top, 'name': 'Partner 7', 'fields': ['scopes']},
                                                              {'id': child, 'ancestorId': top, 'fields': ['scopes']}])
        ask = ['verify', '-', '--scope', 'users:read']
        world.run(*ask, stdin=made['key'], code=0)
        world.run('apply', less, '--yes', code=0)
        refused = world.run(*ask, stdin=made['key'], code=1)
        check_in('INSUFFICIENT_SCOPE', refused.out)
        check_in('\nMissing: users:read\nThe rule is its policy\'s: partners\n', refused.out)
        check_in('Status        active\n', world.run('show', top, code=0).out)
        explained = world.run('explain', '-', '--scope', 'users:read', stdin=made['key'], code=1)
        check_in('Missing: users:read. The rule is its policy\'s: partners\n', explained.out)
        # Whom its policy has ended, and whom a parent that its policy has ended.
        short = write(folder, {'policies': [{'name': 'partners', 'maxTtl': '1ms'}]}, 'short.json')
        world.run('apply', short, '--yes', code=0)
        ended = [world.run('show', one, code=0).out for one in (top, child)]
        check_in('Status        active, but stopped by its policy: expired\n', ended[0])
        check_in('Status        active, but stopped by a parent: expired\n', ended[1])
        listed = world.run('list', '--status', 'expired', code=0).out
        check(top in listed and child in listed, listed)
        # A server writes down when a key was last used within a second.
        unused = [re.sub('(?m)^Last used .*\n', '', one) for one in ended]
        return [shown.out, refused.out, explained.out, *unused]
    each_way(folder, story)


def test_apply_changes_what_differs_alone(folder):
    path = write(folder, WISH)

    def story(world):
        world.run('apply', path, '--yes', code=0)
        changed = write(folder, {'policies': [{'name': 'partners', 'maxTtl': '30d', 'scopes': ['orders:*']}],
                                 'projects': [{'name': 'shop', 'version': 9, 'maxExpiresIn': None}]}, 'other.json')
        shown = world.run('apply', changed, '--dry-run', code=0).out
        check_equal(shown, '~ policy partners\n    maxTtl: "90d" -> "30d"\n')
        plan = json.loads(world.run('apply', changed, '--dry-run', '--json', code=0).out)
        check_equal(plan, {'changes': [{'kind': 'policy', 'name': 'partners', 'action': 'update',
                                        'fields': {'maxTtl': {'from': '90d', 'to': '30d'}},
                                            'narrowed': {'items': [], 'count': 0, 'exact': True, 'more': False}}], 'applied': False})
        applied = json.loads(world.run('apply', changed, '--yes', '--json', code=0).out)
        check_equal((applied['applied'], len(applied['changes'])), (True, 1))
        policy = json.loads(world.run('policies', 'show', 'partners', '--json', code=0).out)
        check_equal((policy['maxTtl'], policy['version'], policy['scopes']), ('30d', 2, ['orders:*']))
        return [shown]
    each_way(folder, story)


def test_apply_shows_the_part_of_a_long_value_that_changes(folder):
    scopes = [f'orders:region-{number}:read' for number in range(20)]
    before = write(folder, {'policies': [{'name': 'long', 'scopes': scopes}]})
    after = write(folder, {'policies': [{'name': 'long', 'scopes': [*scopes, 'users:read']}]}, 'after.json')

    def story(world):
        world.run('apply', before, '--yes', code=0)
        shown = world.run('apply', after, '--dry-run', code=0).out
        start = '…,"orders:region-19:read"'
        check_in(f'    scopes: {start}] -> {start},"users:read"]\n', shown)
        return [shown]
    each_way(folder, story)


def test_what_show_prints_can_be_applied(folder):
    def story(world):
        shown = json.loads(world.run('projects', 'show', 'default', '--json', code=0).out)
        path = write(folder, {'projects': [shown]}, 'shown.json')
        check_equal(world.run('apply', path, '--dry-run', code=0).out, 'Everything is as the file says.\n')
        return [json.dumps(shown)]
    each_way(folder, story)


def test_apply_refuses_what_it_does_not_understand(folder):
    def story(world):
        told = []
        for wish, part in [('[]', 'JSON object'), ('{"keys": []}', 'nothing else: not "keys". (UNKNOWN_FIELD)'), ('{"projects": {}}', 'projects'),
                           ('{"projects": [{}]}', 'projects[0].name'), ('{"projects": [7]}', 'projects[0]'),
                           ('{"policies": [{"name": "a", "project": "A"}]}', 'policies[0].project'),
                           ('{"projects": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}', 'projects[2].name: stands twice'),
                           ('{"projects": [', 'INVALID_JSON')]:
            path = os.path.join(folder, 'bad.json')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(wish)
            refused = world.run('apply', path, '--yes', code=2)
            check_in(part, refused.err)
            told.append(refused.err)
        world.run('apply', os.path.join(folder, 'nowhere.json'), code=2)
        bad = write(folder, {'projects': [{'name': 'good'}, {'name': 'bad', 'keyHeaders': ['Host']}]})
        for how in ('--yes', '--dry-run'):
            refused = world.run('apply', bad, how, code=2)
            check_in('keyHeaders[0]', refused.err)
            check_in('That is said of project bad; nothing was changed.\n', refused.err)
            check_equal(refused.out, '')
        world.run('projects', 'show', 'good', code=2)
        told.append(refused.err)
        nowhere = write(folder, {'policies': [{'name': 'lost', 'project': 'nowhere'}]})
        refused = world.run('apply', nowhere, '--dry-run', code=2)
        check_in('PROJECT_NOT_FOUND', refused.err)
        check_in('That is said of policy nowhere/lost; nothing was changed.\n', refused.err)
        told.append(refused.err)
        # What belongs to a project that is not there yet is held against what that will be.
        late = write(folder, {'projects': [{'name': 'good'}], 'templates': [{'name': 'bad', 'project': 'good', 'locked': ['x']}]})
        for how in ('--yes', '--dry-run'):
            refused = world.run('apply', late, how, code=2)
            check_in('locked[0]', refused.err)
            check_in('That is said of template good/bad; nothing was changed.\n', refused.err)
            check_equal(refused.out, '')
        world.run('projects', 'show', 'good', code=2)
        return told + [refused.err]
    each_way(folder, story)


def test_a_problem_for_programs_names_its_document(folder):
    """On standard error, in one object: the problem, the document, where it stands, and how far the run came."""
    path = os.path.join(folder, 'lines.json')

    def story(world):
        told = []
        for text, how, field, document, made in [
                ('{"projects": [\n  {"name": "good"},\n  {"name": "bad",\n   "keyHeaders": ["Host"]}]}', '--dry-run', 'keyHeaders[0]',
                 {'kind': 'project', 'name': 'bad', 'place': 'projects[1]', 'line': 3}, 0),
                ('{"templates": [\n\n{"name": "t", "project": "default", "locked": ["x"]}],\n"projects": []}', '--yes', 'locked[0]',
                 {'kind': 'template', 'project': 'default', 'name': 't', 'place': 'templates[0]', 'line': 3}, 0),
                ('{"policies": [{"name": "lost",\n"project": "nowhere"}]}', '--dry-run', None,
                 {'kind': 'policy', 'project': 'nowhere', 'name': 'lost', 'place': 'policies[0]', 'line': 1}, 0),
                # What the file itself gets wrong, before the other side is asked.
                ('{"policies": [],\n"projects": [{"name": "good"},\n{"name": 7}]}', '--yes', 'projects[1].name',
                 {'kind': 'project', 'place': 'projects[1]', 'line': 3}, 0),
                ('{"policies": [{"name": "a"}, {"name": "a"}]}', '--dry-run', 'policies[1].name',
                 {'kind': 'policy', 'name': 'a', 'place': 'policies[1]', 'line': 1}, 0),
                # And what the other side could say only when its turn comes.
                ('{"templates": [{"name": "late", "project": "new", "locked": ["x"]}],\n"projects": [{"name": "new"}]}', '--yes', 'locked[0]',
                 {'kind': 'template', 'project': 'new', 'name': 'late', 'place': 'templates[0]', 'line': 1}, 0)]:
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            refused = world.run('apply', path, how, '--json', code=2)
            check_equal(refused.out, '')
            problem = json.loads(refused.err)
            check(problem['code'] and problem['detail'] and problem['title'] and problem['advice'], refused.err)
            check_equal(problem['type'], 'urn:keyward:problem:' + problem['code'])
            check(problem['status'] in (400, 404) and problem['detail'].startswith(field or 'There'), refused.err)
            check_equal((problem.get('field'), problem['document'], problem['changesMade']), (field, document, made), text)
            told.append(json.dumps([problem['code'], problem['document']]))
        with open(path, 'w', encoding='utf-8') as file:
            file.write('{"projects": [{"name": "x"}], "keys": []}')
        problem = json.loads(world.run('apply', path, '--yes', '--json', code=2).err)
        check('document' not in problem, 'what is wrong with the whole file is said of no document')
        return told
    each_way(folder, story)


def test_one_part_of_a_file_may_need_another(folder):
    path = write(folder, WISH)
    live = WISH['projects'][0]['environments'][0]
    more = write(folder, {
        'policies': [{'name': 'dev', 'project': 'shop', 'environments': ['dev']}],
        'projects': [{'name': 'shop', 'environments': [live, {'name': 'dev', 'secretPrefix': 'shopdev_'}]}]}, 'more.json')

    def story(world):
        world.run('apply', path, '--yes', code=0)
        return [world.run('apply', more, how, code=0).out for how in ('--dry-run', '--yes')]
    check_in('2 changes made.', each_way(folder, story)[1])


def test_a_dry_run_foretells_what_would_be_refused(folder):
    """Both say the same, and neither changes anything: whatever hangs on what else the file makes."""
    dev = {'name': 'dev', 'secretPrefix': 'dev_'}
    shop = {'name': 'shop', 'environments': [dev], 'presets': {'seller': ['sell']}}
    def template(**fields):
        return {'name': 't', 'project': 'shop', 'fields': fields}
    bad = [
        ({'templates': [{'name': 't', 'fields': {'env': 'none'}}]}, 'fields.env: there is no such environment'),
        ({'templates': [{'name': 't', 'fields': {'policy': 'none'}}]}, 'fields.policy: there is no such policy'),
        ({'policies': [{'name': 'p'}], 'templates': [{'name': 't', 'fields': {'policy': 'p', 'preset': 'none'}}]}, 'fields.preset: '),
        ({'policies': [{'name': 'p'}], 'templates': [{'name': 't', 'fields': {'policy': 'q'}}]}, 'fields.policy: '),
        ({'projects': [shop], 'policies': [{'name': 'p', 'project': 'shop', 'environments': ['live']}]}, 'environments[0]: '),
        ({'projects': [shop], 'templates': [template(env='live')]}, 'fields.env: '),
        ({'projects': [shop], 'templates': [template(preset='none')]}, 'fields.preset: '),
        ({'projects': [shop], 'templates': [template(policy='none')]}, 'fields.policy: '),
        ({'projects': [shop], 'policies': [{'name': 'p'}], 'templates': [template(policy='p')]}, 'fields.policy: '),
        ({'projects': [shop], 'templates': [template(quotas=[{'metric': 'none', 'limit': 1, 'period': 'day'}])]}, 'fields.quotas[0].metric: '),
        # What is there now goes. Where no project is named, the root key means the default one.
        ({'projects': [{'name': 'old', 'environments': [dev]}], 'templates': [{**template(env='live'), 'project': 'old'}]}, 'fields.env: '),
        ({'projects': [{'name': 'default', 'presets': {'a': ['x']}}], 'templates': [{'name': 't', 'fields': {'preset': 'b'}}]}, 'fields.preset: ')]
    old = write(folder, {'projects': [{'name': 'old'}]}, 'old.json')
    good = {'projects': [shop], 'policies': [{'name': 'p', 'project': 'shop', 'environments': ['dev']}, {'name': 'q'}],
            'templates': [template(env='dev', preset='seller', policy='p'), {'name': 'u', 'fields': {'policy': 'q'}}]}

    def story(world):
        told = []
        world.run('apply', old, '--yes', code=0)
        for number, (wish, part) in enumerate(bad):
            path = write(folder, wish, f'bad{number}.json')
            dry = world.run('apply', path, '--dry-run', code=2)
            check_in('keyward: ' + part, dry.err)
            check_in('; nothing was changed.\n', dry.err)
            check_equal(world.run('apply', path, '--yes', code=2).err, dry.err)
            told.append(dry.err)
        check_equal(world.run('projects', 'list', code=0).out, 'default\nkeyward\nold\n')
        path = write(folder, good, 'good.json')
        world.run('apply', path, '--dry-run', code=0)
        check_in('5 changes made.', world.run('apply', path, '--yes', code=0).out)
        # What a template names may go later, and the template stays as it is.
        world.run('policies', 'delete', 'q', code=0)
        more = write(folder, {'templates': [{'name': 'u', 'description': 'More.', 'fields': {'policy': 'q'}}]}, 'more.json')
        check_in('1 change made.', world.run('apply', more, '--yes', code=0).out)
        gone = write(folder, {'projects': [{'name': 'shop', 'environments': [{'name': 'qa', 'secretPrefix': 'qa_'}]}],
                              'templates': [{**template(env='dev', preset='seller', policy='p'), 'description': 'More.'}]}, 'gone.json')
        return told + [world.run('apply', gone, how, code=0).out for how in ('--dry-run', '--yes')]
    each_way(folder, story)


def test_a_dry_run_counts_what_a_file_makes(folder):
    """There may be a thousand policies of a project, and one more finds no room, whoever made those before it."""
    def policies(first, end, **more):
        return [{'name': f'p{number}', **more} for number in range(first, end)]

    with World(folder, 'data') as world:
        world.run('create', '--owner', 'user:1', code=0)
        world.run('apply', write(folder, {'policies': policies(0, 201)}), '--yes', code=0)
        fits = write(folder, {'policies': policies(0, 1000) + policies(0, 2, project='shop'), 'projects': [{'name': 'shop'}]}, 'fits.json')
        check_in('+ policy p999\n', world.run('apply', fits, '--dry-run', code=0).out)
        full = write(folder, {'policies': policies(0, 1001)}, 'full.json')
        for how in ('--dry-run', '--yes'):
            refused = world.run('apply', full, how, code=2).err
            check_in('there may be 1000 of this kind, and with those that this file makes before it there are (LIMIT_REACHED)', refused)
            check_in('That is said of policy p1000; nothing was changed.', refused)
        check_equal(world.run('policies', 'list', code=0).out.count('\n'), 201)


def test_apply_asks_on_a_terminal(folder):
    path = write(folder, WISH)
    with World(folder, 'data') as world:
        world.run('create', '--owner', 'user:1', code=0)
        for answer, code, there in [(b'n\n', 1, 2), (b'\n', 1, 2), (b'y\n', 0, 0)]:
            leader, follower = pty.openpty()
            os.write(leader, answer)
            done = subprocess.run([PROGRAM, 'apply', path, *world.where], env=environment(), stdin=follower,
                                  capture_output=True, check=False, timeout=60)
            os.close(leader)
            os.close(follower)
            check_equal(done.returncode, code, done.stderr.decode())
            check_in('Make 3 changes? [y/N]', done.stderr.decode())
            world.run('projects', 'show', 'shop', code=there)


def test_documents_are_listed_and_shown(folder):
    path = write(folder, {'policies': [{'name': f'p{at}', 'description': f'Policy {at}.'} for at in range(3)]})

    def story(world):
        check_equal(world.run('projects', 'list', code=0).out, 'default\nkeyward\n')
        check_in('No templates.', world.run('templates', 'list', code=0).err)
        world.run('apply', path, '--yes', code=0)
        listed = world.run('policies', 'list', code=0).out
        check_equal(listed.split()[::3], ['p0', 'p1', 'p2'])
        items = json.loads(world.run('policies', 'list', '--json', code=0).out)['items']
        check_equal([item['name'] for item in items], ['p0', 'p1', 'p2'])
        shown = world.run('projects', 'show', 'default', code=0).out
        check_in('keyHeaders          ["Authorization","X-API-Key"]\n', shown)
        check_in('POLICY_NOT_FOUND', world.run('policies', 'show', 'p9', code=2).err)
        for wrong in (('list', 'x'), ('show',), ('print',), ('show', '../keys')):
            world.run('projects', *wrong, code=2)
        return [listed, shown]
    each_way(folder, story)


def test_documents_are_deleted(folder):
    path = write(folder, WISH)

    def story(world):
        world.run('apply', path, '--yes', code=0)
        key = json.loads(world.run('create', '--owner', 'user:1', '--policy', 'partners', '--json', code=0).out)['record']['id']
        told = [world.run('policies', 'delete', 'partners', code=2).err]
        check_in('POLICY_IN_USE', told[0])
        world.run('revoke', key, code=0)
        told.append(world.run('policies', 'delete', 'partners', code=0).out)
        check_equal(told[-1], 'Deleted the policy partners.\n')
        told.append(world.run('policies', 'delete', 'partners', code=2).err)
        check_in('POLICY_NOT_FOUND', told[-1])
        check_equal(world.run('templates', 'delete', 'ci', '--project', 'shop', '--json', code=0).out, '')
        check_in('TEMPLATE_NOT_FOUND', world.run('templates', 'show', 'ci', '--project', 'shop', code=2).err)
        told.append(world.run('projects', 'delete', 'shop', code=0).out)
        check_equal(world.run('projects', 'list', code=0).out, 'default\nkeyward\n')
        told.append(world.run('projects', 'delete', 'default', code=2).err)
        check_in('BUILT_IN', told[-1])
        for wrong in (('delete',), ('delete', '../keys'), ('delete', 'a', 'b')):
            world.run('projects', *wrong, code=2)
        return told
    each_way(folder, story)


def test_the_documentations_file_can_be_applied(folder):
    page = pathlib.Path(__file__).parents[2].joinpath('docs', 'projects.md').read_text(encoding='utf-8')
    wish = json.loads(re.search(r'```json file=keyward.json\n(.*?)```', page, re.DOTALL).group(1))
    path = write(folder, wish)

    def story(world):
        told = world.run('apply', path, '--yes', code=0).out
        check_in('3 changes made.', told)
        made = json.loads(world.run('create', '--project', 'shop', '--template', 'ci', '--json', code=0).out)
        check(made['key'].startswith('shop_test_'), 'environment of the template')
        shown = json.loads(world.run('projects', 'show', 'shop', '--json', code=0).out)
        check_equal(shown['authorize'], {'orders': {'env': 'live', 'scopes': ['orders:read']}})
        again = write(folder, {'projects': [shown]}, 'again.json')
        check_equal(world.run('apply', again, '--dry-run', code=0).out, 'Everything is as the file says.\n')
        return [told]
    each_way(folder, story)


if __name__ == '__main__':
    main([test_the_documentations_file_can_be_applied, test_apply_shows_and_makes_changes, test_apply_changes_what_differs_alone,
          test_apply_shows_which_keys_a_policy_narrows, test_apply_shows_the_part_of_a_long_value_that_changes,
          test_what_show_prints_can_be_applied, test_apply_refuses_what_it_does_not_understand,
          test_a_problem_for_programs_names_its_document,
          test_one_part_of_a_file_may_need_another, test_a_dry_run_foretells_what_would_be_refused, test_a_dry_run_counts_what_a_file_makes, test_apply_asks_on_a_terminal, test_documents_are_listed_and_shown, test_documents_are_deleted])
