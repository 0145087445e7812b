"""Exports: what stands in them, what does not, how they are taken slowly or not to the end, and what the audit log says."""

import http.client
import json
import os
import pathlib
import re
import socket
import sqlite3
import sys
import time

from api_support import check, equal, main, quote

PATIENCE_S = 60
LINE_END = b'\n'


def wait_until(condition, what):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        check(time.monotonic() < until, f'waited in vain: {what}')
        time.sleep(0.02)


def lines_of(body):
    check(body.endswith(LINE_END), 'the last line ends')
    return [json.loads(line) for line in body.decode().split('\n')[:-1]]  # splitlines() knows other ends, which texts may hold


def export(server, query='', **options):
    """(the first line, the keys, the last line)"""
    answer = server.expect(200, 'GET', '/v1/export' + query, **options)
    equal(answer.header('Content-Type'), 'application/x-ndjson', 'content type')
    first, *keys, last = lines_of(answer.body)
    equal(last, {'keyward': 'end', 'keys': len(keys)}, 'the last line')
    return first, keys, last


def ids_of(keys):
    return [key['record']['id'] for key in keys]


def audits(server, action=None):
    """What the audit log holds of exports."""
    path = pathlib.Path(server.folder.name, 'data', 'keyward.db')
    database = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    try:
        rows = database.execute("SELECT action, project, actor, body FROM audit WHERE action LIKE 'export.%' ORDER BY sequence")
        return [(*row[:3], json.loads(row[3])) for row in rows.fetchall() if action in (None, row[0])]
    finally:
        database.close()


def project(server, name, **settings):
    server.expect(201, 'POST', '/v1/projects', {'name': name, **settings})
    return {'Keyward-Project': name}


def rich_family(server, headers):
    """Keys that between them have every field."""
    server.expect(201, 'POST', '/v1/policies', {'name': 'wide', 'scopes': ['*']}, headers=headers)
    server.expect(201, 'POST', '/v1/templates', {'name': 'ci', 'description': 'from "ci"'}, headers=headers)
    _, parent = server.create({'owner': 'team:9', 'orgId': 'acme', 'name': 'Büro \\ "1"', 'template': 'ci', 'policy': 'wide',
                               'description': 'line\u2029 "end"',
                               'tags': ['A', 'b'], 'metadata': {'a': [1, {'b': None}], 'c': '\u2028'}, 'expiresIn': '90d',
                               'scopes': ['read', 'write:*'], 'resources': {'website:1': ['read'], 'website:*': ['x']},
                               'allowedIPs': ['10.0.0.0/8', '2001:db8::/32'], 'blockedIPs': ['10.1.0.0/16'],
                               'schedule': {'disableAt': '2098-01-31T12:00:00Z', 'revokeAt': '2099-01-31T12:00:00Z',
                                            'notifyBefore': '7d'},
                               'allowedRegions': ['EU', 'US-CA'], 'blockedRegions': ['FR'],
                               'rateLimits': [{'name': 'burst', 'requests': 9, 'window': '1s'},
                                              {'requests': 100, 'window': '90s', 'per': 'org'}],
                               'quotas': [{'limit': 0.5, 'period': 'day', 'metric': 'cost', 'per': 'org'},
                                          {'limit': 9, 'period': 'week', 'anchor': 'created', 'onExceeded': 'throttle',
                                           'throttle': {'requests': 1, 'window': '1m'}}]},
                              headers=headers)
    server.create({'ownerId': 'child', 'parentId': parent['id'], 'scopes': ['read']}, headers=headers)
    server.create({'ownerId': 'p', 'isPublic': True, 'env': 'test'}, headers=headers)
    _, rotated = server.create({'ownerId': 'r'}, headers=headers)
    server.expect(201, 'POST', f'/v1/keys/{rotated["id"]}/rotate', {'gracePeriod': '1h', 'endGraceOnFirstUse': True},
                  headers=headers)
    _, revoked = server.create({'ownerId': 'x'}, headers=headers)
    server.expect(200, 'POST', f'/v1/keys/{revoked["id"]}/revoke', {'reason': 'leaked'}, headers=headers)
    _, disabled = server.create({'ownerId': 'd'}, headers=headers)
    server.expect(200, 'POST', f'/v1/keys/{disabled["id"]}/disable', {}, headers=headers)
    _, erased = server.create({'ownerId': 'gone'}, headers=headers)
    server.expect(200, 'POST', f'/v1/keys/{erased["id"]}/revoke', {}, headers=headers)
    server.call('DELETE', f'/v1/keys/{erased["id"]}', headers=headers)
    return parent, erased


def every_field_of_every_key(server):
    headers = project(server, 'fields')
    parent, erased = rich_family(server, headers)
    first, keys, _ = export(server, headers=headers)
    equal({name: first[name] for name in ('keyward', 'version', 'project')},
          {'keyward': 'export', 'version': 1, 'project': 'fields'}, 'the first line')
    equal(len(keys), 7, 'keys')
    equal(ids_of(keys), sorted(ids_of(keys)), 'the order')
    check(erased['id'] not in ids_of(keys), 'an erased key is there')
    for key in keys:
        shown = server.expect(200, 'GET', '/v1/keys/' + key['record']['id'], headers=headers).json
        shown.pop('effectiveStatus', None)  # what its parent makes of it, not its own
        equal(key['record'], shown, 'the record')
        equal((key['digest']['scheme'], key['digest']['pepper']), ('hmac-sha256', first['peppers'][0]), 'the digest')
        found = server.expect(200, 'POST', '/v1/keys/lookup', {'digest': key['digest']['value']}, headers=headers).json
        found.pop('effectiveStatus', None)
        equal(found, shown, 'what the digest finds')
    of_parent = next(key for key in keys if key['record']['id'] == parent['id'])
    equal(of_parent['kept'], {'hasChildren': True}, 'what is kept of the parent')
    seen = {name for key in keys for name in key['record']}
    wanted = set(server.schemas.document['components']['schemas']['Record']['properties'])
    use = {'lastUsedAt', 'lastUsedIP', 'lastUsedRegion'}  # is no part of a record, and stays here
    check(wanted - seen <= {'imported', 'effectiveStatus', *use}, f'no key here has {wanted - seen}: the test is too narrow')


def an_expiry_that_was_seen(server):
    headers = project(server, 'lapses')
    key, record = server.create({'ownerId': '1', 'expiresIn': '1s'}, headers=headers)
    wait_until(lambda: server.expect(200, 'POST', '/v1/keys/verify', {'key': key}, headers=headers).json.get('code') == 'EXPIRED',
               'it expires')
    wait_until(lambda: export(server, headers=headers)[1][0]['kept'] == {'lapsedAt': record['expiresAt']}, 'it is written down')


def one_json_document(server):
    headers = project(server, 'document')
    for path in ['/v1/export?format=json', '/v1/export?format=json&ownerId=nobody']:
        equal(server.expect(200, 'GET', path, headers=headers).json['keys'], [], path)
    made = [server.create({'ownerId': str(number)}, headers=headers)[1] for number in range(3)]
    document = server.expect(200, 'GET', '/v1/export?format=json', headers=headers).json
    first, keys, _ = export(server, headers=headers)
    equal(document['keys'], keys, 'the keys of both forms')
    equal((document['count'], document['peppers'], document['project']), (3, first['peppers'], 'document'), 'the document')
    equal([key['record'] for key in keys], made, 'the records')


def nothing_to_export(server):
    headers = project(server, 'empty')
    first, keys, last = export(server, headers=headers)
    equal((keys, last, len(first['peppers'])), ([], {'keyward': 'end', 'keys': 0}, 1), 'an empty export')


def filters(server):
    headers = project(server, 'filters')
    made = {}
    for name, body in {'a': {'owner': 'team:a+b', 'orgId': 'acme', 'tags': ['x']}, 'b': {'ownerId': '1', 'orgId': 'acme'},
                       'c': {'ownerId': '1', 'tags': ['x', 'y']}, 'd': {'ownerId': '2', 'env': 'test', 'tags': ['y']}}.items():
        made[name] = server.create(body, headers=headers)[1]['id']
    for query, names in {'owner=' + quote('team:a+b'): 'a', 'owner=user:1': 'bc', 'ownerId=1': 'bc', 'org=acme': 'ab', 'tag=X': 'ac',
                         'tag=x,y': 'acd', 'tag=x,y&tagMode=all': 'c', 'env=test': 'd', 'org=acme&ownerId=1': 'b',
                         'env=live&tag=y': 'c', 'org=none': ''}.items():
        _, keys, _ = export(server, '?' + query, headers=headers)
        equal(ids_of(keys), [made[name] for name in names], query)
    equal(len(export(server, headers=headers)[1]), 4, 'all')


def what_is_refused(server):
    for query, field in {'format=xml': 'format', 'env=nowhere': 'env', 'owner=1': 'owner', 'status=active': 'status',
                         'tag=a,,b': 'tag', 'limit=1': 'limit'}.items():
        server.refuse('UNKNOWN_FIELD' if field in ('status', 'limit') else 'INVALID_FIELD', 'GET', '/v1/export?' + query,
                      field=field)
    server.refuse('INVALID_FIELD', 'GET', '/v1/export?ownerId=1&owner=user:1')
    key, _ = server.manager('keys:read', 'keys:verify')
    server.refuse('FORBIDDEN', 'GET', '/v1/export', key=key)
    server.refuse('UNAUTHORIZED', 'GET', '/v1/export', key=None)
    equal(server.expect(405, 'POST', '/v1/export', {}).header('Allow'), 'GET, HEAD, OPTIONS', 'methods')


def who_took_what(server):
    headers = project(server, 'noted')
    server.create({'ownerId': '1', 'tags': ['x']}, headers=headers)
    key, record = server.manager('keys:export', project='noted')
    before = len(audits(server))
    export(server, '?ownerId=1&tag=x,y&tagMode=all', key=key)
    server.expect(200, 'HEAD', '/v1/export', headers=headers)
    server.refuse('INVALID_FIELD', 'GET', '/v1/export?format=xml', headers=headers)
    actor = 'key:' + record['id']
    said = {'format': 'ndjson', 'filter': {'owner': 'user:1', 'tags': ['x', 'y'], 'tagMode': 'all'}}
    equal(audits(server)[before:], [('export.started', 'noted', actor, said),
                                    ('export.ended', 'noted', actor, {**said, 'keys': 0, 'complete': True})], 'the audit log')


def make_many(server, headers, count):
    """Many keys, and one key's text of each thousand."""
    for first in range(0, count, 1000):
        items = [{'ownerId': str(number % 7), 'name': f'key {number}', 'tags': ['many'], 'metadata': {'n': number}}
                 for number in range(first, first + min(1000, count - first))]
        answer = server.expect(200, 'POST', '/v1/keys/batch/create', {'items': items}, headers=headers).json
        check(all(item['status'] == 201 for item in answer['items']), 'they are made')


def resident_kb(server):
    status = pathlib.Path(f'/proc/{server.process.pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', status).group(1))


def begin(server, headers, query=''):
    """An export that is read by hand: the socket, and what came with the head."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.settimeout(PATIENCE_S)
    sock.connect(('127.0.0.1', server.port))
    lines = [f'GET /v1/export{query} HTTP/1.1', 'Host: localhost', f'Authorization: Bearer {server.root}',
             *[f'{name}: {value}' for name, value in headers.items()]]
    sock.sendall(('\r\n'.join(lines) + '\r\n\r\n').encode())
    return sock


def many_keys_to_a_slow_reader(server):
    headers = project(server, 'many')
    count = 50000
    make_many(server, headers, count)
    before = resident_kb(server)
    sock = begin(server, headers)
    response = http.client.HTTPResponse(sock)
    response.begin()
    equal((response.status, response.getheader('Transfer-Encoding')), (200, 'chunked'), 'the head')
    body, grown = bytearray(), 0
    while piece := response.read(1 << 16):
        body += piece
        grown = max(grown, resident_kb(server) - before)
    sock.close()
    check(len(body) > 24 << 20, f'{len(body)} bytes: too little to tell anything')
    check(grown < 24 << 10, f'the server grew by {grown} KB for {len(body) >> 10} KB')
    _, *keys, last = lines_of(bytes(body))
    equal(last, {'keyward': 'end', 'keys': count}, 'the end')
    equal([key['record']['metadata']['n'] for key in keys], list(range(count)), 'each once, in order')
    for secret in server.secrets:
        check(secret.encode() not in body, 'a key stands in it')
    pepper = pathlib.Path(server.folder.name, 'data', 'pepper').read_text().strip()
    check(pepper.encode() not in body, 'the pepper stands in it')


def a_client_that_leaves(server):
    headers = {'Keyward-Project': 'many'}
    before = len(audits(server, 'export.ended'))
    sock = begin(server, headers, '?tag=many')
    check(sock.recv(1000).startswith(b'HTTP/1.1 200'), 'it begins')
    sock.close()
    wait_until(lambda: len(audits(server, 'export.ended')) == before + 1, 'the export ends')
    action, _, _, body = audits(server)[-1]
    equal((action, body['complete']), ('export.ended', False), 'the audit log')
    check(0 < body['keys'] < 50000, f'{body["keys"]} keys')


def too_many_at_once(server):
    headers = {'Keyward-Project': 'many'}
    before = len(audits(server, 'export.ended'))
    sockets = [begin(server, headers, '?tag=many') for _ in range(32)]
    for sock in sockets:
        check(sock.recv(1000).startswith(b'HTTP/1.1 200'), 'it begins')
    server.refuse('TOO_BUSY', 'GET', '/v1/export', headers=headers)
    server.expect(200, 'HEAD', '/v1/export', headers=headers)
    for sock in sockets:
        sock.close()
    wait_until(lambda: len(audits(server, 'export.ended')) == before + len(sockets), 'they end')
    wait_until(lambda: server.call('GET', '/v1/export?ownerId=nobody', headers=headers).status == 200, 'there is room again')


def a_stop_in_the_middle(server):
    headers = {'Keyward-Project': 'many'}
    sock = begin(server, headers)
    response = http.client.HTTPResponse(sock)
    response.begin()
    first = response.read(1000)
    server.process.terminate()
    body = first + response.read()
    sock.close()
    equal(lines_of(body)[-1], {'keyward': 'end', 'keys': 50000}, 'what was under way ends well')
    equal(server.process.wait(timeout=PATIENCE_S), 0, 'exit code')
    server.start()
    equal(audits(server)[-1][3]['complete'], True, 'the audit log')


def keys_made_meanwhile(server):
    headers = {'Keyward-Project': 'many'}
    sock = begin(server, headers)
    response = http.client.HTTPResponse(sock)
    response.begin()
    body = response.read(1000)
    make_many(server, headers, 1000)
    body += response.read()
    sock.close()
    _, *keys, last = lines_of(body)
    ids = ids_of(keys)
    equal(len(set(ids)), len(ids), 'none is there twice')
    check(50000 <= len(ids) <= 51000, f'{len(ids)} keys')
    equal(last['keys'], len(ids), 'the end')


def the_projects_own_alone(server):
    _, keys, _ = export(server, headers={'Keyward-Project': 'filters'})
    equal({key['record']['projectId'] for key in keys}, {'filters'}, 'projects')


if __name__ == '__main__':
    # Memory that was given back counts as given back under the sanitizer too.
    os.environ['ASAN_OPTIONS'] = ':'.join(filter(None, [os.environ.get('ASAN_OPTIONS'), 'quarantine_size_mb=1']))
    sys.exit(main([every_field_of_every_key, an_expiry_that_was_seen, one_json_document, nothing_to_export, filters,
                   what_is_refused, who_took_what, many_keys_to_a_slow_reader, a_client_that_leaves, too_many_at_once, a_stop_in_the_middle,
                   keys_made_meanwhile, the_projects_own_alone], ('--drain-timeout', '10m')))
