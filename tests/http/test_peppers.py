"""Peppers while the server runs: who may ask, what becomes of keys and of the file, and what is refused."""

import json
import os
import pathlib
import stat
import threading

from api_support import Server, check, equal, main

PATH = '/v1/peppers'
NDJSON = {'Content-Type': 'application/x-ndjson'}
VERIFIERS = 3
ROTATIONS = 6
TRIES_MAX = 100


def file_of(server):
    return pathlib.Path(server.folder.name, 'data', 'pepper')


def kept(server):
    return file_of(server).read_text(encoding='ascii').split()


def peppers(server):
    return server.expect(200, 'GET', PATH).json['items']


def settle(server):
    """The writer writes down what verifications left word of after each group of changes."""
    for _ in range(3):
        server.refuse('KEY_NOT_FOUND', 'POST', '/v1/keys/key_00000000000000000000000000/revoke')


def erase_all_keys(server):
    """What earlier cases left, but for the root key."""
    for headers in ({}, {'Keyward-Project': 'keyward'}):
        for item in server.expect(200, 'GET', '/v1/keys?limit=1000', headers=headers).json['items']:
            if item['owner'] != 'service:root':
                if item['status'] != 'revoked':
                    server.expect(200, 'POST', f'/v1/keys/{item["id"]}/revoke', headers=headers)
                server.expect(204, 'DELETE', f'/v1/keys/{item["id"]}', headers=headers)


def retire_all_but_the_first(server, keys):
    """Those that earlier cases have erased may be forgotten."""
    for item in peppers(server)[1:]:
        answer = None
        for _ in range(TRIES_MAX):  # a verification leaves word where no other is just leaving it
            for key in keys:
                equal(server.verify(key)['valid'], True, 'a key that is used')
            settle(server)
            answer = server.call('DELETE', f'{PATH}/{item["fingerprint"]}?forgetErased=true')
            if answer.status != 409:
                break
        equal(answer.status, 204, f'retired: {answer.body!r}')


def a_new_one_takes_over_and_the_old_one_goes(server):
    old = kept(server)
    equal(len(old), 1, 'peppers at first')
    key, record = server.create()
    before = peppers(server)
    equal((len(before), before[0]['current'], before[0]['keys'] > 1), (1, True, True), 'before')
    made = server.expect(201, 'POST', PATH).json
    equal(made['current'], True, 'the new one')
    now = kept(server)
    equal((len(now), now[1:]), (2, old), 'the new one is first in the file, the old one stays')
    equal(stat.S_IMODE(os.stat(file_of(server)).st_mode), 0o600, 'mode of the file')
    newer, older = peppers(server)
    equal((newer['fingerprint'], newer['current']), (made['fingerprint'], True), 'the first')
    equal((older['fingerprint'], older['current']), (before[0]['fingerprint'], False), 'the other')
    check(older['keys'] >= 1, 'keys need it')

    problem = server.refuse('PEPPER_IN_USE', 'DELETE', f'{PATH}/{older["fingerprint"]}', field='fingerprint', status=409)
    check('still needed by' in problem['detail'], problem['detail'])
    problem = server.refuse('PEPPER_IN_USE', 'DELETE', f'{PATH}/{made["fingerprint"]}', field='fingerprint', status=409)
    check('that of new keys: rotate to a new pepper first' in problem['detail'] and problem['advice'].startswith('Rotate'), problem)
    equal(kept(server), now, 'a refusal changed nothing')

    retire_all_but_the_first(server, [key])
    equal(kept(server), now[:1], 'the old one is gone')
    equal(server.expect(200, 'GET', f'/v1/keys/{record["id"]}').json['version'], 2, 'it moved once')
    server.refuse('PEPPER_NOT_FOUND', 'DELETE', f'{PATH}/{older["fingerprint"]}', field='fingerprint', status=404)
    equal(server.verify(key)['valid'], True, 'afterwards')
    server.stop()
    server.start()
    equal(server.verify(key)['valid'], True, 'after a start')
    for secret in old + now:
        check(secret not in server.log_path.read_text(errors='replace'), 'a pepper stands in the log')


def erased_keys_hold_their_pepper_back(server):
    key, _ = server.create()
    erase_all_keys(server)
    old = peppers(server)[0]['fingerprint']
    server.expect(201, 'POST', PATH)
    line = json.dumps({'key': key, 'ownerId': '1'}).encode()
    for _ in range(2):
        for _ in range(TRIES_MAX):  # the root key moves when it is used, as any other
            item = peppers(server)[1]
            if item.get('keys') == 0:
                break
            settle(server)
        equal((item['fingerprint'], item['keys']), (old, 0), 'the old one')
        check(item['erased'] >= 1, 'erased keys need it')
        for query in ('', '?forgetErased=false'):
            problem = server.refuse('PEPPER_IN_USE', 'DELETE', f'{PATH}/{old}{query}', field='fingerprint', status=409)
            check(f'still needed by {item["erased"]} erased key' in problem['detail'], problem['detail'])
            check('forgetErased' in problem['detail'], problem['detail'])
        for query in ('', '?dryRun=true'):
            answer = server.expect(200, 'POST', f'/v1/import{query}', line, headers=NDJSON).json
            equal((answer['skipped'], answer['lines'][0]['code']), (1, 'CANNOT_MODIFY_REVOKED'), 'imported again')
        server.stop()
        server.start()
    server.refuse('INVALID_FIELD', 'DELETE', f'{PATH}/{old}?forgetErased=yes', field='forgetErased')
    server.refuse('UNKNOWN_FIELD', 'DELETE', f'{PATH}/{old}?forget=true', field='forget')
    for _ in range(TRIES_MAX):
        answer = server.call('DELETE', f'{PATH}/{old}?forgetErased=true')
        if answer.status != 503:
            break
    equal((answer.status, len(kept(server))), (204, 1), 'it is gone')


def only_the_root_key_has_to_do_with_them(server):
    fingerprint = peppers(server)[0]['fingerprint']
    anything, _ = server.manager('peppers:read', 'peppers:create', 'peppers:delete', 'keys:*', 'projects:*')
    everything, _ = server.manager('*')
    for key in (anything, everything):
        for method, path in (('GET', PATH), ('POST', PATH), ('DELETE', f'{PATH}/{fingerprint}')):
            server.refuse('FORBIDDEN', method, path, status=403, key=key)
            server.refuse('UNAUTHORIZED', method, path, status=401, key=None)
    equal(len(kept(server)), 1, 'nothing was made')


def what_is_asked_for_is_checked(server):
    for bad in ('x', 'f' * 31, 'f' * 33, 'g' * 32, '%66'):
        server.refuse('INVALID_FIELD', 'DELETE', f'{PATH}/{bad}', field='fingerprint', status=400)
    server.refuse('PEPPER_NOT_FOUND', 'DELETE', f'{PATH}/{"f" * 32}', field='fingerprint', status=404)
    server.refuse('INVALID_REQUEST', 'POST', PATH, {'pepper': 'f' * 64})
    server.refuse('METHOD_NOT_ALLOWED', 'PATCH', PATH)
    server.refuse('UNKNOWN_FIELD', 'GET', PATH + '?limit=1', field='limit')
    fingerprint = peppers(server)[0]['fingerprint']
    server.refuse('PEPPER_IN_USE', 'DELETE', f'{PATH}/{fingerprint.upper()}')
    equal(len(kept(server)), 1, 'nothing was changed')


def nobody_is_refused_while_they_change(server):
    erase_all_keys(server)
    keys = [server.create()[0] for _ in range(5)]
    stop = threading.Event()
    wrong, asked = [], []

    def verify_all_the_time():
        try:
            while not stop.is_set():
                for key in keys:
                    verdict = server.verify(key)
                    if not verdict['valid']:
                        wrong.append(verdict)
                items = [{'key': key} for key in keys]
                many = server.expect(200, 'POST', '/v1/keys/batch/verify', {'items': items}).json['items']
                wrong.extend(item for item in many if not item['valid'])
                asked.append(1)
        except Exception as error:  # told by the main thread
            wrong.append(error)

    threads = [threading.Thread(target=verify_all_the_time) for _ in range(VERIFIERS)]
    for thread in threads:
        thread.start()
    try:
        for rotation in range(ROTATIONS):
            server.expect(201, 'POST', PATH)
            made = server.create()[0]
            equal(server.verify(made)['valid'], True, 'a key of the newest')
            keys.append(made)
            if rotation % 2 == 1:
                retire_all_but_the_first(server, list(keys))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    equal(wrong, [], 'verdicts meanwhile')
    check(asked, 'nobody asked')
    retire_all_but_the_first(server, keys)
    equal(len(kept(server)), 1, 'peppers in the end')


def what_was_answered_outlives_a_kill(server):
    erase_all_keys(server)
    before, _ = server.create()
    made = server.expect(201, 'POST', PATH).json['fingerprint']
    after, _ = server.create()
    server.process.kill()
    server.process.wait()
    server.start()
    equal([server.verify(key)['valid'] for key in (before, after)], [True, True], 'keys of both')
    equal(peppers(server)[0]['fingerprint'], made, 'the first')
    retire_all_but_the_first(server, [before, after])
    server.process.kill()
    server.process.wait()
    server.start()
    equal((len(peppers(server)), len(kept(server))), (1, 1), 'the other one stays away')
    equal([server.verify(key)['valid'] for key in (before, after)], [True, True], 'afterwards')


def a_file_that_somebody_changed_is_left_alone(server):
    text = file_of(server).read_text(encoding='ascii')
    file_of(server).write_text('5a' * 32 + '\n', encoding='ascii')
    problem = server.refuse('PEPPER_MISMATCH', 'POST', PATH, status=500)
    check('put it back' in problem['detail'], problem['detail'])
    equal(kept(server), ['5a' * 32], 'the file')
    file_of(server).unlink()
    server.refuse('PEPPER_MISMATCH', 'POST', PATH)
    file_of(server).write_text(text, encoding='ascii')
    os.chmod(file_of(server), 0o600)
    server.expect(201, 'POST', PATH)
    equal(kept(server)[1:], text.split(), 'put back')


def peppers_of_the_environment_are_not_the_servers_to_change(server):
    os.environ['KEYWARD_PEPPER'] = '5a' * 32
    try:
        other = Server(server.program)
    finally:
        del os.environ['KEYWARD_PEPPER']
    try:
        key, _ = other.create()
        problem = other.refuse('INVALID_FIELD', 'POST', PATH, field='KEYWARD_PEPPER', status=400)
        check('--pepper-file' in problem['detail'] and 'between commas' in problem['detail'], problem['detail'])
        check('5a5a5a' not in str(problem), 'the pepper is shown')
        equal(len(peppers(other)), 1, 'peppers')
        equal(other.verify(key)['valid'], True, 'the key')
    finally:
        other.close()


if __name__ == '__main__':
    main([a_new_one_takes_over_and_the_old_one_goes, erased_keys_hold_their_pepper_back,
          only_the_root_key_has_to_do_with_them, what_is_asked_for_is_checked, nobody_is_refused_while_they_change, what_was_answered_outlives_a_kill,
          peppers_of_the_environment_are_not_the_servers_to_change, a_file_that_somebody_changed_is_left_alone])
