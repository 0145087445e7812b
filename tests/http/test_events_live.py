"""Events as they happen: streams that go on where they broke off, whoever they are cut by, and that hold up nobody."""

import http.client
import json
import socket
import threading
import time

from api_support import Failed, check, equal, main

PATH = '/v1/events'
PATIENCE_S = 60
OF_PROJECT_MAX = 64
BEAT_S = 15


class Stream:
    """One connection that follows; `next` gives (id, event)."""

    def __init__(self, server, query='', last=None, key=None, project=None):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=PATIENCE_S)
        headers = {'Accept': 'text/event-stream', 'Authorization': f'Bearer {key or server.root}'}
        if last is not None:
            headers['Last-Event-ID'] = last
        if project is not None:
            headers['Keyward-Project'] = project
        self.connection.request('GET', f'{PATH}?{query}', headers=headers)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.beats = 0
        self.last = last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def next(self):
        """None at the end of the stream."""
        fields = {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            check(time.monotonic() < deadline, 'the next event in time')
            line = self.response.readline().decode()
            if line == '':
                return None
            line = line.rstrip('\n')
            if line.startswith(':'):
                self.beats += line == ': still here'
            elif line:
                name, _, value = line.partition(': ')
                fields[name] = value
            elif 'data' in fields:
                event = json.loads(fields['data'])
                equal(fields['event'], event['event'], 'the name of the event')
                self.last = fields['id']
                return fields['id'], event
            else:
                fields = {}

    def take(self, count):
        return [self.next()[1] for _ in range(count)]


def everything(server, query='', **options):
    items, cursor = [], '0'
    while cursor:
        page = server.expect(200, 'GET', f'{PATH}?limit=1000&cursor={cursor}&{query}', **options).json
        items += page['items']
        cursor = page.get('nextCursor')
    return items


def what_happens_arrives(server):
    server.create({'ownerId': 'before'})
    with Stream(server) as stream:
        equal((stream.status, stream.response.getheader('Content-Type')), (200, 'text/event-stream'), 'a stream')
        _, record = server.create({'ownerId': 'after'})
        server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', {'reason': 'seen'})
        created, revoked = stream.take(2)
        equal((created['event'], created['data']['keyId']), ('key.created', record['id']), 'nothing of before')
        equal((revoked['event'], revoked['data']['reason']), ('key.revoked', 'seen'), 'in order')
        equal(everything(server)[-2:], [created, revoked], 'as the list has it')


def a_stream_keeps_to_its_filter(server):
    with Stream(server, 'type=revoked,policy.*&ownerId=mine') as mine, Stream(server, 'type=policy.*') as policies:
        for owner in ('mine', 'other'):
            _, record = server.create({'ownerId': owner})
            server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke')
        server.expect(201, 'POST', '/v1/policies', {'name': 'streamed'})
        equal([(item['event'], item['data']['ownerId']) for item in mine.take(1)], [('key.revoked', 'mine')], 'mine')
        equal([item['data']['name'] for item in policies.take(1)], ['streamed'], 'policies')


def a_stream_begins_where_it_is_told(server):
    told = everything(server)
    with Stream(server, 'cursor=0') as stream:
        equal(stream.take(len(told)), told, 'from the first on')
        ids = stream.last
    with Stream(server, last=ids) as stream:
        _, record = server.create()
        equal(stream.take(1)[0]['data']['keyId'], record['id'], 'behind the last one')
    with Stream(server, f'since={told[-1]["timestamp"]}') as stream:
        equal(stream.take(1)[0]['timestamp'], told[-1]['timestamp'], 'since a time')
    cursor = server.expect(200, 'GET', f'{PATH}?limit=1000').json['resume']
    with Stream(server, f'cursor={cursor}') as stream:
        _, record = server.create()
        equal(stream.take(1)[0]['data']['keyId'], record['id'], 'behind a page')


def a_start_that_cannot_be_is_refused(server):
    accept = {'Accept': 'text/html, text/event-stream;q=0.9'}
    server.refuse('INVALID_FIELD', 'GET', f'{PATH}?sort=-timestamp', field='sort', headers=accept)
    server.refuse('INVALID_FIELD', 'GET', f'{PATH}?type=flown', field='type', headers=accept)
    server.refuse('INVALID_FIELD', 'GET', PATH, field='Last-Event-ID', headers={**accept, 'Last-Event-ID': 'evt_1'})
    server.refuse('UNAUTHORIZED', 'GET', PATH, headers=accept, key=None)
    equal(server.expect(200, 'GET', PATH, headers={'Accept': 'application/json'}).header('Content-Type'), 'application/json', 'a page')


def a_stream_outlives_its_server(server):
    with Stream(server, 'type=created') as stream:
        server.create({'ownerId': 'first'})
        stream.take(1)
        last = stream.last
    missed = [server.create({'ownerId': 'missed'})[1]['id'] for _ in range(3)]
    server.stop()
    server.start()
    missed.append(server.create({'ownerId': 'missed'})[1]['id'])
    with Stream(server, 'type=created', last=last) as stream:
        equal([item['data']['keyId'] for item in stream.take(len(missed))], missed, 'what was missed, in order')


def a_stop_ends_streams(server):
    with Stream(server) as stream:
        server.create()
        stream.take(1)
        began = time.monotonic()
        server.stop()
        equal(stream.next(), None, 'the end')
        check(time.monotonic() - began < 8, 'before the server would cut it off')
    server.start()


def a_revoked_manager_hears_no_more(server):
    key, record = server.manager('events:read')
    with Stream(server, key=key) as stream, Stream(server) as other:
        server.create({'ownerId': 'heard'})
        equal(stream.take(1)[0]['data']['ownerId'], 'heard', 'as long as it may')
        server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', headers={'Keyward-Project': 'keyward'})
        server.create({'ownerId': 'secret'})
        equal(stream.next(), None, 'the end')
        equal([item['data']['ownerId'] for item in other.take(2)], ['heard', 'secret'], 'others go on')


def open_with_patience(server):
    """A stream, once there is room: the server learns a moment later that a client has left."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        stream = Stream(server)
        if stream.status == 200:
            return stream
        stream.close()
        check(time.monotonic() < deadline, 'there is room')
        time.sleep(0.01)


def there_is_a_cap_on_streams(server):
    streams = [open_with_patience(server) for _ in range(OF_PROJECT_MAX)]
    try:
        equal({stream.status for stream in streams}, {200}, 'as many as may be')
        refused = server.refuse('TOO_BUSY', 'GET', PATH, status=503, headers={'Accept': 'text/event-stream'})
        check('64' in refused['detail'], refused)
        with Stream(server, project='keyward') as elsewhere:
            equal(elsewhere.status, 200, 'of another project')
        _, record = server.create()
        for stream in streams:
            equal(stream.take(1)[0]['data']['keyId'], record['id'], 'each of them')
    finally:
        for stream in streams:
            stream.close()
    open_with_patience(server).close()


def open_without_reading(server):
    """A client that asks, with a small window, and takes nothing."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(PATIENCE_S)
    slow.connect(('127.0.0.1', server.port))
    slow.sendall(f'GET {PATH} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer {server.root}\r\n\r\n'.encode())
    check(slow.recv(1) == b'H', 'it answers')
    return slow


def a_slow_client_holds_up_nobody(server):
    slow = open_without_reading(server)
    lines = b''.join(json.dumps({'id': f'slow-{number}', 'key': f'slow_{number:033d}', 'ownerId': '1'}).encode() + b'\n' for number in range(8000))
    with Stream(server) as quick:
        server.expect(200, 'POST', '/v1/import', lines, headers={'Content-Type': 'application/x-ndjson'})
        told = 0
        while told < 8000:  # a megabyte of ids, in events of a thousand keys
            told += quick.next()[1]['data']['count']
        _, record = server.create()
        equal(quick.take(1)[0]['data']['keyId'], record['id'], 'what comes then')
    received = b''
    while record['id'].encode() not in received:
        piece = slow.recv(65536)
        check(piece, f'it catches up from the log: {len(received)} bytes')
        received += piece
    slow.close()


def a_quiet_stream_says_that_it_is_there(server):
    with Stream(server, 'type=pepper.*') as stream:
        began = time.monotonic()
        while stream.beats == 0:
            line = stream.response.readline().decode()
            check(line, 'it goes on')
            stream.beats += line.startswith(': still')
        check(time.monotonic() - began < 4 * BEAT_S, 'within a moment')


class Follower(threading.Thread):
    """Follows from the first event on, and comes back whenever it is cut off."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.seen = []
        self.is_over = False
        self.cut = 0

    def run(self):
        last = '0'
        while not self.is_over:
            try:
                with Stream(self.server, last=last) as stream:
                    while not self.is_over:
                        found = stream.next()
                        if found is None:
                            break
                        last = found[0]
                        self.seen.append(found[1]['id'])
            except (OSError, http.client.HTTPException, ValueError, Failed):
                self.cut += 1
                time.sleep(0.01)


def nothing_is_lost_or_doubled_by_kills(server):
    follower = Follower(server)
    follower.start()
    acknowledged = []
    for _ in range(5):
        until = time.monotonic() + PATIENCE_S
        made = 0
        while made < 40:
            check(time.monotonic() < until, 'keys are made')
            acknowledged.append(server.create({'ownerId': 'killed'})[1]['id'])
            made += 1
        server.process.kill()
        server.process.wait()
        server.start()
    told = everything(server)
    created = [item['data']['keyId'] for item in told if item['event'] == 'key.created' and item['data'].get('ownerId') == 'killed']
    equal(created, acknowledged, 'each that was acknowledged, in order')
    ids = [item['id'] for item in told]
    equal(len(set(ids)), len(ids), 'ids')
    deadline = time.monotonic() + PATIENCE_S
    while len(follower.seen) < len(ids):
        check(time.monotonic() < deadline, f'{len(follower.seen)} of {len(ids)} arrived')
        time.sleep(0.01)
    follower.is_over = True
    server.create()  # so that it notices
    follower.join(PATIENCE_S)
    equal(follower.seen[:len(ids)], ids, 'each once, in order, however often it was cut off')
    check(follower.cut > 0 or len(ids) > 0, 'it was cut off')


if __name__ == '__main__':
    main([what_happens_arrives, a_stream_keeps_to_its_filter, a_stream_begins_where_it_is_told, a_start_that_cannot_be_is_refused,
          a_stream_outlives_its_server, a_stop_ends_streams, a_revoked_manager_hears_no_more, there_is_a_cap_on_streams,
          a_slow_client_holds_up_nobody, a_quiet_stream_says_that_it_is_there, nothing_is_lost_or_doubled_by_kills])
