"""'keyward batch' and a server that has too much to do, is of another version, fails, or is none: a made-up one."""

import http.server
import json
import os
import threading

from batch_support import read_lines, read_state, write_ndjson
from support import check, check_equal, check_in, main, run


class MadeUp:
    """Answers by `answer(path, items)`, which gives status and body; `asked` is what came."""

    def __init__(self, answer):
        outer = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                outer.asked.append((self.path, body.get('items'), body.get('atomic', False), self.headers['Idempotency-Key']))
                status, answer_body = answer(self.path, body.get('items'))
                text = json.dumps(answer_body).encode() if not isinstance(answer_body, bytes) else answer_body
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server.server_address[1]}'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def made(item):
    return {'status': 201, 'key': f'sk_live_{item["ownerId"]}', 'record': {'id': f'key_{item["ownerId"]}'}}


def problem(status, code, **more):
    return status, {'code': code, 'title': 'Title.', 'detail': 'Detail.', 'status': status, **more}


def batch(folder, server, *arguments, count=4, code=None):
    items = write_ndjson(os.path.join(folder, 'items.ndjson'), [{'ownerId': str(i)} for i in range(count)])
    return run('batch', 'create', items, '--out', os.path.join(folder, 'out'), *arguments, '--url', server.url,
               env={'KEYWARD_KEY': 'kw_live_x'}, code=code)


def said(folder):
    return [line.get('code', 'ok') for line in read_lines(os.path.join(folder, 'out'))]


def owners(items):
    return ''.join(item['ownerId'] for item in items)


def test_a_server_that_is_busy(folder):
    left = [3]

    def answer(_, items):
        left[0] -= 1
        return problem(503, 'TOO_BUSY') if left[0] >= 0 else (200, {'items': [made(item) for item in items]})
    with MadeUp(answer) as server:
        batch(folder, server, code=0)
        check_equal([owners(items) for _, items, _, _ in server.asked], ['0123'] * 4)
        names = {item['idempotencyKey'] for _, items, _, _ in server.asked for item in items}
        check_equal(len(names), 4, 'the same names each time')
    check_equal(said(folder), ['ok'] * 4)


def test_items_that_fail_for_now_are_asked_for_again(folder):
    left = [2]

    def answer(_, items):
        left[0] -= 1
        return 200, {'items': [{'status': 503, 'code': 'STORE_UNAVAILABLE', 'detail': 'x'}
                               if left[0] >= 0 and item['ownerId'] in '13' else made(item) for item in items]}
    with MadeUp(answer) as server:
        batch(folder, server, code=0)
        check_equal([owners(items) for _, items, _, _ in server.asked], ['0123', '13', '13'])
    check_equal([line['key'] for line in read_lines(os.path.join(folder, 'out'))], [f'sk_live_{i}' for i in range(4)])


def test_items_that_keep_failing_end_the_run(folder):
    fails = [True]

    def answer(_, items):
        return 200, {'items': [{'status': 507, 'code': 'STORE_FULL', 'detail': 'Full.'}
                               if fails[0] and item['ownerId'] == '1' else made(item) for item in items]}
    with MadeUp(answer) as server:
        done = batch(folder, server, '--chunk', '2', code=2)
        check_in('the server could not do all items', done.err)
        check_in('2 items are done. The same command with --resume goes on', done.err)
        check_equal(said(folder), ['ok', 'STORE_FULL'])
        fails[0] = False
        batch(folder, server, '--chunk', '2', '--resume', code=1)
        check_equal(said(folder), ['ok', 'STORE_FULL', 'ok', 'ok'])
        check_equal(owners(server.asked[-1][1]), '23')


def test_all_or_none_is_asked_for_again_as_a_whole(folder):
    left = [1]

    def answer(_, items):
        left[0] -= 1
        if left[0] < 0:
            return 200, {'items': [made(item) for item in items]}
        return 200, {'items': [{'status': 503 if item['ownerId'] == '1' else 409, 'code': 'NOT_DONE', 'detail': 'x'}
                               for item in items]}
    with MadeUp(answer) as server:
        batch(folder, server, '--atomic', code=0)
        check_equal([(owners(items), atomic) for _, items, atomic, _ in server.asked], [('0123', True)] * 2)
    check_equal(said(folder), ['ok'] * 4)


def test_a_server_that_refuses_more(folder):
    """One of another version refuses a request as a whole for an item that looks right from here."""
    def answer(_, items):
        for at, item in enumerate(items):
            if item['ownerId'] in '02':
                return problem(400, 'INVALID_FIELD', field=f'items[{at}].ownerId')
        return 200, {'items': [made(item) for item in items]}
    with MadeUp(answer) as server:
        batch(folder, server, code=1)
        check_equal([owners(items) for _, items, _, _ in server.asked], ['0123', '123', '13'])
        lines = read_lines(os.path.join(folder, 'out'))
        check_equal([line.get('message', line['ok']) for line in lines], ['ownerId: Detail.', True, 'ownerId: Detail.', True])
        os.unlink(os.path.join(folder, 'out'))
        server.asked.clear()
        batch(folder, server, '--atomic', code=1)
        check_equal([owners(items) for _, items, _, _ in server.asked], ['0123'])
    check_equal(said(folder), ['INVALID_FIELD', 'NOT_DONE', 'NOT_DONE', 'NOT_DONE'])


def test_an_answer_that_would_be_too_large(folder):
    def answer(_, items):
        return problem(413, 'BODY_TOO_LARGE') if len(items) > 2 else (200, {'items': [made(item) for item in items]})
    with MadeUp(answer) as server:
        batch(folder, server, count=9, code=0)
        check_equal([owners(items) for _, items, _, _ in server.asked], ['012345678', '0123', '01', '23', '45', '67', '8'])
    check_equal(said(folder), ['ok'] * 9)


def test_refusals_and_nonsense_end_the_run(folder):
    answers = [problem(401, 'UNAUTHORIZED'), problem(400, 'INVALID_FIELD', field='items[4].ownerId'),
               problem(400, 'INVALID_FIELD', field='items[x]'), problem(413, 'BODY_TOO_LARGE'), (200, {'items': []}), (200, {}),
               (200, b'{"items": ['), (200, {'items': [{'status': 'x'}] * 4}), (200, {'items': [[]] * 4}),
               (200, {'items': [{'status': 201}] * 5}), (500, b'null')]
    for at, answer in enumerate(answers):
        inner = os.path.join(folder, str(at))
        os.mkdir(inner)
        with MadeUp(lambda *_, given=answer: given) as server:
            done = batch(inner, server, *(['--atomic'] if at == 3 else []), code=2)
            check(('(UNAUTHORIZED)' if at == 0 else '(INVALID_FIELD)' if at < 3 else '(BODY_TOO_LARGE)' if at == 3 else
                   'is the server of another version?') in done.err, done)
            check_in('0 items are done. The same command with --resume goes on', done.err)
            check_equal((said(inner), read_state(os.path.join(inner, 'out'))['items']), ([], 0))


def test_a_lost_secret_is_rotated_until_one_is_seen(folder):
    """Attempts to rotate may have been interrupted too: each leaves a key that nobody has seen."""
    rotations = {'key_0': (200, 'key_a'), 'key_a': (200, 'key_b'), 'key_b': (201, 'key_c'), 'key_1': (409, 'key_1')}

    def answer(path, items):
        if items is not None:
            return 200, {'items': [made(item) if item['ownerId'] > '2' else
                                   {'status': 200, 'code': 'SECRET_ALREADY_SHOWN', 'id': f'key_{item["ownerId"]}'}
                                   for item in items]}
        status, new = rotations[path.split('/')[3]]
        if status == 409:
            return problem(409, 'CANNOT_MODIFY_REVOKED')
        return status, {'record': {'id': new}, **({'key': 'sk_live_new'} if status == 201 else {})}
    items = [{'ownerId': '0'}, {'ownerId': '1'}, {'ownerId': '2', 'idempotencyKey': 'mine'}, {'ownerId': '3'}]
    with MadeUp(answer) as server:
        done = run('batch', 'create', write_ndjson(os.path.join(folder, 'items.ndjson'), items), '--out', '-', '--rotate-unseen',
                   '--url', server.url, env={'KEYWARD_KEY': 'kw_live_x'}, code=1)
        lines = [json.loads(line) for line in done.out.splitlines()]
        check_equal(lines[0], {'line': 1, 'ok': True, 'id': 'key_c', 'key': 'sk_live_new', 'rotatedFrom': 'key_b'})
        check_equal((lines[1]['ok'], lines[1]['id'], lines[1]['code']), (False, 'key_1', 'CANNOT_MODIFY_REVOKED'))
        check_equal((lines[2]['ok'], lines[2]['id'], lines[2]['code']), (False, 'key_2', 'SECRET_ALREADY_SHOWN'))
        check_equal(lines[3]['ok'], True)
        run_name = server.asked[0][1][0]['idempotencyKey'].split('-')[0]
        check_equal([name for *_, name in server.asked[1:]], [f'{run_name}-1-r1', f'{run_name}-1-r2', f'{run_name}-1-r3',
                                                              f'{run_name}-2-r1'])
        check_equal(server.asked[0][1][2]['idempotencyKey'], 'mine')


if __name__ == '__main__':
    main([test_a_server_that_is_busy, test_items_that_fail_for_now_are_asked_for_again,
          test_items_that_keep_failing_end_the_run, test_all_or_none_is_asked_for_again_as_a_whole,
          test_a_server_that_refuses_more, test_an_answer_that_would_be_too_large, test_refusals_and_nonsense_end_the_run,
          test_a_lost_secret_is_rotated_until_one_is_seen])
