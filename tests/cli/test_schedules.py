"""Schedules on the command line: given, shown, changed and cleared, on a data folder and behind a server alike."""

import json
import time

from support import check, check_equal, check_in, main
from test_commands import created, each_way

FAR, FARTHER = '2098-01-31T12:00:00.000Z', '2099-01-31T12:00:00.000Z'
PATIENCE_S = 60


def changed(world, record, *arguments):
    return json.loads(world.run('update', record['id'], *arguments, '--json', code=0).out).get('schedule')


def test_a_schedule_is_given_shown_changed_and_cleared(folder):
    def story(world):
        _, record = created(world, '--owner', 'user:1', '--disable-at', FAR, '--notify-before', '3d', '--revoke-at', FARTHER)
        whole = {'disableAt': FAR, 'revokeAt': FARTHER, 'notifyBefore': '3d'}
        check_equal(record['schedule'], whole)
        shown = world.run('show', record['id'], code=0).out
        for line in ('disabled at 2098-01-31 12:00:00 UTC', 'revoked at 2099-01-31 12:00:00 UTC', 'told of before: 3d'):
            check_in(line, shown)
        check_equal(changed(world, record, '--name', 'x'), whole)
        check_equal(changed(world, record, '--revoke-at', FAR), {**whole, 'revokeAt': FAR})
        check_equal(changed(world, record, '--clear', 'disable-at', '--notify-before', '1d', '--name', 'y'),
                    {'revokeAt': FAR, 'notifyBefore': '1d'})
        rotated = json.loads(world.run('rotate', record['id'], '--revoke-at', FARTHER, '--json', code=0).out)['record']
        check_equal(rotated['schedule'], {'revokeAt': FARTHER, 'notifyBefore': '1d'})
        _, other = created(world, '--owner', 'user:1', '--revoke-at', FAR)
        check_equal(changed(world, other, '--clear', 'revoke-at'), None)
        check('Schedule' not in world.run('show', other['id'], code=0).out, 'an empty schedule is shown')
        return [world.run('update', other['id'], '--revoke-at', '2020-01-31T12:00:00Z', code=2).err,
                world.run('update', other['id'], '--disable-at', 'soon', code=2).err,
                world.run('update', other['id'], '--revoke-at', FAR, '--clear', 'revoke-at', code=2).err,
                world.run('create', '--owner', 'user:1', '--notify-before', '2y', code=2).err]

    told = each_way(folder, story)
    for text, part in zip(told, ('schedule.revokeAt', 'schedule.disableAt', 'contradict each other', 'schedule.notifyBefore')):
        check_in(part, text)


def test_a_time_that_comes(folder):
    def story(world):
        soon = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 2))
        key, record = created(world, '--owner', 'user:1', '--disable-at', soon)
        until = time.monotonic() + PATIENCE_S
        while 'DISABLED' not in (seen := world.run('verify', stdin=key).out):
            check(time.monotonic() < until, seen)
        # Whoever opens the folder next writes it down, or the server does: enabling is not undone.
        world.run('enable', record['id'], code=0)
        check_in('Valid\n', world.run('verify', stdin=key, code=0).out)
        lines = world.run('audit', 'list', '--key', record['id'], code=0).out
        check_equal([line.split()[1] for line in lines.splitlines()], ['key.enabled', 'key.disabled', 'key.created'])
        check_in('system:schedule', lines)
        return []

    each_way(folder, story)


if __name__ == '__main__':
    main([test_a_schedule_is_given_shown_changed_and_cleared, test_a_time_that_comes])
