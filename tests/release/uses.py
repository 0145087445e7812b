"""Every way in which a server receives a key. Each use is a function of the server, a fresh key and its id; what it
sends may be as wrong as it likes, and what comes back joins the transcript.
"""

import base64
import socket

from canary import check, request

BODY_MAX = 1024 * 1024


def ok(answer, *statuses):
    check(answer[0] in statuses, f'status {answer[0]}, not {statuses}: {answer[1][:600]!r}')


def verify(server, key, key_id, **question):
    return server.ask('/v1/keys/verify', key=server.root, body={'key': key, **question})


def end(server, key_id):
    ok(server.ask(f'/v1/keys/{key_id}/revoke', key=server.root), 200)


# --- as it should be ---

def verify_valid(server, key, key_id):
    ok(verify(server, key, key_id), 200)


def verify_refused(server, key, key_id):
    ok(verify(server, key, key_id, scopes=['read'], env='live'), 200)
    ok(server.ask(f'/v1/keys/{key_id}/disable', key=server.root), 200)
    ok(verify(server, key, key_id), 200)
    end(server, key_id)
    ok(verify(server, key, key_id), 200)
    ok(server.ask(f'/v1/keys/{key_id}', 'DELETE', key=server.root), 204)
    ok(verify(server, key, key_id), 200)


def verify_malformed(server, key, key_id):
    """Nearly the key: its random part is all there."""
    for text in (key[:-1], key + 'x', key + key, ' ' + key, key[8:], key.swapcase(), key[:-6] + '000000'):
        ok(verify(server, text, key_id), 200, 400)


def verify_escaped(server, key, key_id):
    """A JSON text may write its letters as numbers: the decoded key is put together somewhere."""
    escaped = ''.join(f'\\u{ord(letter):04x}' for letter in key)
    ok(server.ask('/v1/keys/verify', key=server.root, body=f'{{"key":"{escaped}"}}'.encode()), 200)


def verify_many(server, key, key_id):
    items = [{'key': key}, {'key': key[:-1]}, {'key': key, 'scopes': ['read']}] * 40
    ok(server.ask('/v1/keys/batch/verify', key=server.root, body={'items': items}), 200)


def looked_up(server, key, key_id):
    """By a reader's thread, and once by a text that is put together from its escapes; nearly the key, and when it is gone."""
    escaped = ''.join(f'\\u{ord(letter):04x}' for letter in key)
    ok(server.ask('/v1/keys/lookup', key=server.root, body={'key': key}), 200)
    ok(server.ask('/v1/keys/lookup', key=server.root, body=f'{{"key":"{escaped}"}}'.encode()), 200)
    for text in (key[:-1], key + key, ' ' + key):
        ok(server.ask('/v1/keys/lookup', key=server.root, body={'key': text}), 404)
    for body in ({'key': key, 'digest': key}, {'digest': key}, {'key': [key]}, {'key': key * 5}, {key: key}):
        ok(server.ask('/v1/keys/lookup', key=server.root, body=body), 400)
    end(server, key_id)
    ok(server.ask('/v1/keys/lookup', key=server.root, body={'key': key}), 200)


def found_by_parts(server, key, key_id):
    """A key where a filter should be."""
    for name in ('lastFour', 'tag', 'parent', 'cursor', 'createdAfter', 'sort', key):
        server.ask(f'/v1/keys?{name}={key}', 'GET', key=server.root)
        server.ask(f'/v1/keys/count?{name}={key}', 'GET', key=server.root)


def authorize(server, key, key_id):
    for path in ('/v1/authorize/default', '/v1/authorize/default/a/b?c=d', '/v1/authorize/nowhere'):
        for headers in ([f'Authorization: Bearer {key}'], [f'X-API-Key: {key}'],
                        [f'X-API-Key: {key}', f'Authorization: Bearer {key}']):
            server.ask(path, 'GET', headers=headers)
    end(server, key_id)
    ok(server.ask('/v1/authorize/default', 'GET', headers=[f'X-API-Key: {key}']), 401)


def rotated(server, key, key_id):
    new_key, new_id = server.make(f'/v1/keys/{key_id}/rotate', {'gracePeriod': '1h'})
    for text in (key, new_key):
        ok(verify(server, text, key_id), 200)
    newest, _ = server.make(f'/v1/keys/{new_id}/rotate', {'name': 'no grace'})
    ok(verify(server, newest, key_id), 200)
    return [new_key, newest]


def done_once(server, key, key_id):
    """A creation and a rotation that come again: the key is in the first answer only."""
    made = []
    for path, body in (('/v1/keys', {'ownerId': 'once'}), (f'/v1/keys/{key_id}/rotate', {'gracePeriod': '1h'})):
        headers = [f'Idempotency-Key: {key_id}']
        made.append(server.make(path, body, headers=headers)[0])
        for _ in range(2):
            ok(server.ask(path, key=server.root, body=body, headers=headers), 200)
        ok(server.ask(path, key=server.root, body={'name': 'other', 'ownerId': '1'}, headers=headers), 422)
    return made


def made_many(server, key, key_id):
    """Many at once, all or none; those of a batch that is refused were drawn for nobody."""
    keys = server.make_many(12)
    for text in keys:
        ok(verify(server, text, key_id), 200)
    ok(server.ask('/v1/keys/batch/create', key=server.root,
                  body={'items': [{'ownerId': '1'}, {'ownerId': '1', 'tags': ['a b']}], 'atomic': True}), 200)
    ok(server.ask('/v1/keys/batch/update', key=server.root, body={'items': [{'id': key_id, 'name': 'x'}]}), 200)
    ok(server.ask('/v1/keys/revoke', key=server.root, body={'ids': [key_id]}), 200)
    for path in ('/v1/keys/batch/update', '/v1/keys/batch/revoke', '/v1/keys/batch/create'):
        server.ask(path, key=server.root, body={'items': [{'id': key}, {key: key}]})
    server.ask('/v1/keys/revoke', key=server.root, body={'ids': [key], 'reason': 'x'})
    server.ask('/v1/keys/revoke', key=server.root, body={'tag': key[:60], key: 'x'})
    return keys


# --- in the wrong place ---

def management_by_customer(server, key, key_id):
    for method, path in (('POST', '/v1/keys'), ('GET', '/v1/keys'), ('GET', f'/v1/keys/{key_id}'),
                         ('POST', f'/v1/keys/{key_id}/revoke'), ('POST', '/v1/keys/verify')):
        ok(server.ask(path, method, key=key, body={'ownerId': '1'} if method == 'POST' else b''), 401)


def other_schemes(server, key, key_id):
    basic = base64.b64encode(f'{key}:'.encode()).decode()
    for value in (f'Basic {basic}', f'Token {key}', key, f'Bearer  {key} ', f'Bearer {key}, Bearer {key}'):
        for path in ('/v1/keys', '/v1/authorize/default'):
            server.ask(path, 'GET', headers=[f'Authorization: {value}'])


def wrong_headers(server, key, key_id):
    for name in ('Idempotency-Key', 'Keyward-Project', 'User-Agent', 'X-Request-Id', 'If-Match', 'Content-Type',
                 'X-Anything', 'Host', 'Cookie', key):
        for path in ('/v1/keys', '/v1/authorize/default', '/healthz'):
            server.ask(path, 'GET', key=server.root, headers=[f'{name}: {key}'])
    server.ask('/v1/keys/verify', key=server.root, headers=[f'Content-Type: {key}'], body=b'{"key": "x"}')
    server.ask(f'/v1/keys/{key_id}', 'PATCH', key=server.root, headers=[f'If-Match: {key}'], body={'name': 'x'})
    server.ask('/v1/keys', key=server.root, headers=[f'Idempotency-Key: {key}'], body={'ownerId': key_id})
    server.ask('/v1/keys', 'GET', headers=[f'Authorization: Bearer {server.root}', f'Authorization: Bearer {key}'])


def in_address(server, key, key_id):
    for path in (f'/v1/keys?q={key}', f'/v1/keys?cursor={key}', f'/v1/keys?{key}=1', f'/v1/keys?ownerId={key}',
                 f'/v1/keys?limit={key}', f'/v1/keys?status={key}', f'/v1/keys?owner={key}', f'/v1/keys?tag={key}',
                 f'/v1/keys/{key}', f'/v1/keys/{key}/revoke', f'/v1/authorize/{key}',
                 f'/v1/authorize/default?key={key}', f'/v1/authorize/default/{key}', f'/{key}', f'/healthz?{key}'):
        for method in ('GET', 'POST'):
            server.ask(path, method, key=server.root)
    server.ask(f'/v1/keys/{key_id}', key, key=server.root)


def wrong_members(server, key, key_id):
    """As a name, as a value of the wrong field, as a value of the wrong type."""
    bodies = [{key: 'x'}, {'key': 'x', key: 1}, {'key': key, 'other': 1}, {'key': [key]}, {'key': {key: key}},
              {'key': 'x', 'scopes': [f'{key} {key}']}, {'key': 'x', 'scopes': {key: 1}}, {'key': 'x', 'env': key},
              {'key': 'x', 'resource': {'type': key, key: key}}, {'key': key, 'resource': {'type': 'a b', 'id': key}},
              key, [key], {'key': key, 'scopes': [key]}, {'key': 'x', 'ip': key}]
    for body in bodies:
        server.ask('/v1/keys/verify', key=server.root, body=body)
    server.ask('/v1/keys/verify', key=server.root, body=f'{{"key":"{key}","key":"{key}"}}'.encode())
    server.ask('/v1/keys/verify', key=server.root, body=f'{{"{key}":"{key}","{key}":1}}'.encode())
    server.ask('/v1/keys/batch/verify', key=server.root, body={'items': [{'key': key}, {key: key}]})
    server.ask('/v1/keys/batch/verify', key=server.root, body={'items': [key], key: key})


def wrong_members_of_changes(server, key, key_id):
    for body in ({key: 1}, {'ownerId': '1', 'key': key}, {'ownerId': '1', 'scopes': [f'{key} '], 'tags': [key + '\n']},
                 {'ownerId': '1', 'expiresIn': key}, {'ownerId': '1', 'expiresAt': key}, {'ownerId': '1', 'env': key},
                 {'owner': key}, {'ownerId': '1', 'name': [key]}, {'ownerId': '1', 'resources': {key: key}},
                 {'ownerId': '1', 'resources': {f'{key} {key}': [key]}}, {'ownerId': '1', 'isPublic': key},
                 {'ownerId': '1', 'metadata': key}, {'ownerId': '1', 'resources': {key: ['read']}},
                 {'ownerId': '1', 'resources': {f'{key}:{key}:': ['read']}}, {'ownerId': '1', 'scopes': [key]},
                 {'ownerId': '1', 'resources': {f'site:{key}': ['a b']}}, {'ownerId': '1', 'tags': ['a b', key, key]}):
        ok(server.ask('/v1/keys', key=server.root, body=body), 400)
    for path, body in (('revoke', {'reason': [key]}), ('revoke', {key: 1}), ('rotate', {'gracePeriod': key}),
                       ('rotate', {key: key}), ('disable', {'reason': {key: key}})):
        ok(server.ask(f'/v1/keys/{key_id}/{path}', key=server.root, body=body), 400)


# --- in what is no request ---

def broken_json(server, key, key_id):
    for text in (f'{{"key":"{key}"', f'{{"key":"{key}', f'{{"key":{key}}}', f'{key}', f'{{"{key}',
                 f'{{"key":"{key}"}}x', f'{{"key":"{key}\\x"}}', f'{{"key":"{key}\x01"}}', '[' * 200 + f'"{key}"',
                 f'{{"a":"\\ud800{key}"}}'):
        for path in ('/v1/keys/verify', '/v1/keys', '/v1/keys/batch/verify'):
            ok(server.ask(path, key=server.root, body=text.encode()), 400)
    ok(server.ask('/v1/keys/verify', key=server.root, body=b'{"key":"' + key.encode() + b'\xff"}'), 400)
    server.ask('/v1/keys/verify', key=server.root, body=b'\xff\xfe' + key.encode('utf-16-le'))


def too_large_body(server, key, key_id):
    for filler in (BODY_MAX - 100, BODY_MAX + 100):
        body = f'{{"key":"{key}","x":"'.encode() + b'x' * filler + f'","{key}":"{key}"}}'.encode()
        server.ask('/v1/keys/verify', key=server.root, body=body)
    many = ','.join([f'{{"key":"{key}"}}'] * 1001)
    server.ask('/v1/keys/batch/verify', key=server.root, body=f'{{"items":[{many}]}}'.encode())


def chunked_body(server, key, key_id):
    body = f'{{"key":"{key}"}}'.encode()
    head = request('/v1/keys/verify', key=server.root, headers=['Transfer-Encoding: chunked',
                                                                    'Content-Type: application/json'])
    chunks = b''.join(b'5\r\n' + body[at:at + 5] + b'\r\n' for at in range(0, len(body) // 5 * 5, 5))
    rest = body[len(body) // 5 * 5:]
    if rest:
        chunks += b'%x\r\n%s\r\n' % (len(rest), rest)
    trailer = f'0\r\nX-Key: {key}\r\n\r\n'.encode()
    with server.connect() as client:
        ok(client.ask(head + chunks + trailer), 200)
        ok(client.ask(head + f'5;x={key}\r\n'.encode() + body), 400)
    with server.connect() as client:
        client.ask(head + f'{key}\r\n'.encode())


def broken_http(server, key, key_id):
    root = server.root
    for data in (f'{key}\r\n\r\n', f'GET /{key} HTTP/9.9\r\n\r\n', f'GET / HTTP/1.1\r\n{key}\r\n\r\n',
                 f'GET / HTTP/1.1\r\nHost: {key}\r\nHost: {key}\r\n\r\n', f'{key} / HTTP/1.1\r\nHost: a\r\n\r\n',
                 f'GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n {key}\r\n\r\n',
                 f'GET / HTTP/1.1\r\nHost: a\r\nX-API-Key : {key}\r\n\r\n',
                 f'GET /v1/keys HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {root}\r\nX-API-Key: {key}\rx\r\n\r\n',
                 f'GET /{key * 300} HTTP/1.1\r\nHost: a\r\n\r\n',
                 f'GET / HTTP/1.1\r\nHost: a\r\nCookie: {key * 800}\r\n\r\n',
                 f'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {key}\r\n\r\n',
                 f'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {key}\r\n\r\n'):
        with server.connect() as client:
            status, _ = client.ask(data.encode())
            check(status == 0 or status >= 400, f'{data[:60]!r} was answered with {status}')


# --- in pieces ---

def in_pieces(server, key, key_id):
    """Cut in the middle of the key, in head and body, more than once on one connection."""
    data = request('/v1/keys/verify', key=server.root, headers=[f'X-API-Key: {key}'], body={'key': key})
    cuts = [data.index(key.encode()) + 20, data.rindex(key.encode()) + 20]
    with server.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3):
            client.send(data[:cuts[0]])
            server.ask('/healthz', 'GET')
            client.send(data[cuts[0]:cuts[1]])
            server.ask('/healthz', 'GET')
            ok(client.ask(data[cuts[1]:]), 200)


def pipelined(server, key, key_id):
    """More than one read takes, with changes between, so that some wait for others."""
    one = request('/v1/keys/verify', key=server.root, body={'key': key})
    change = request(f'/v1/keys/{key_id}', 'PATCH', key=server.root, body={'name': 'x'})
    with server.connect() as client:
        client.send((one * 200 + change) * 2)
        for _ in range(2 * 201):
            status, answer = client.receive()
            server.transcript += answer
            ok((status, answer), 200)


def given_up(server, key, key_id):
    """The client goes in the middle of its request, and before its answer."""
    data = request('/v1/keys/verify', key=server.root, headers=[f'X-API-Key: {key}'], body={'key': key})
    change = request(f'/v1/keys/{key_id}', 'PATCH', key=server.root, headers=[f'X-API-Key: {key}'], body={'name': 'x'})
    for part in (data[:data.index(key.encode()) + 40], data[:-5], data, change, change + data):
        with server.connect() as client:
            client.send(part)
    server.ask('/healthz', 'GET')


ALL = (verify_valid, verify_refused, verify_malformed, verify_escaped, verify_many, looked_up, found_by_parts, authorize,
       rotated, done_once, made_many, management_by_customer, other_schemes, wrong_headers, in_address, wrong_members,
       wrong_members_of_changes, broken_json, too_large_body, chunked_body, broken_http, in_pieces, pipelined, given_up)
# Where the bytes of a request take another way when they come encrypted.
BY_TLS = (verify_valid, verify_many, authorize, rotated, done_once, made_many, too_large_body, broken_http, in_pieces,
          pipelined, given_up)
