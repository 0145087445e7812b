"""Webhooks over HTTP: setting them up, what is sent to them, what becomes of it, and what is refused."""

import base64
import itertools
import pathlib
import sys
import threading
import time

from api_support import check, equal, main
from webhook_receiver import PATIENCE_S, Receiver

PATH = '/v1/webhooks'
NAMES = (f'hook{number}' for number in itertools.count())
TRICKS = ['http://127.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://0177.0.0.1/', 'http://user@example.com/', 'ftp://example.com/',
          'http://example.com#x', 'http://', 'example.com']
REFUSED = ['http://10.0.0.1/', 'http://192.168.1.1/', 'http://169.254.169.254/latest', 'http://100.64.0.1/', 'http://[::1]/',
           'http://[fd00::1]/', 'http://[64:ff9b::a00:1]/', 'http://[2002:a00:1::]/', 'http://0.0.0.0/', 'http://[::ffff:10.0.0.1]/']


def make(server, url, **fields):
    """A new webhook: (its name, its secret)."""
    made = server.expect(201, 'POST', PATH, {'name': next(NAMES), 'url': url, **fields}).json
    return made['name'], made['secret']


def deliveries(server, name, query=''):
    return server.expect(200, 'GET', f'{PATH}/{name}/deliveries{query}').json['items']


def wait_for(condition, what):
    until = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < until, f'{what} did not happen')
        time.sleep(0.02)


def drop(server, name, receiver):
    server.expect(204, 'DELETE', f'{PATH}/{name}')
    receiver.close()


def an_event_arrives_with_its_data(server):
    receiver = Receiver()
    name, _ = make(server, receiver.url('/in?x=1'), events=['created'])
    _, record = server.create({'ownerId': '77', 'name': 'laptop'})
    message = receiver.wait(lambda messages: messages, 'a message')[0]
    equal(message.path, '/in?x=1', 'path')
    equal(message.headers['content-type'], 'application/json', 'content type')
    equal((message.json['event'], message.json['type']), ('key.created', 'key.created'), 'event')
    equal(message.json['id'], message.id, 'id')
    equal(message.json['data']['keyId'], record['id'], 'key')
    equal(message.json['data']['ownerId'], '77', 'owner')
    event = next(item for item in server.expect(200, 'GET', '/v1/events?limit=1000').json['items'] if item['id'] == message.id)
    equal({**event, 'type': 'key.created'}, message.json, 'what the log of events says')
    delivery = wait_for(lambda: [item for item in deliveries(server, name) if item['state'] == 'delivered'], 'a delivery')[0]
    equal((delivery['eventId'], delivery['event'], delivery['attempts']), (message.id, 'key.created', 1), 'delivery')
    equal((delivery['tries'][0]['status'], delivery['tries'][0]['answer']), (200, 'thanks'), 'try')
    drop(server, name, receiver)


def filters_choose(server):
    receiver = Receiver()
    names = [make(server, receiver.url('/revoked'), events=['revoked'])[0],
             make(server, receiver.url('/test'), events=['key.*'], environments=['test'])[0],
             make(server, receiver.url('/owner'), events=['*'], owners=['user:alice'])[0]]
    _, other = server.create({'ownerId': 'bob'})
    _, test = server.create({'ownerId': 'bob', 'env': 'test'})
    _, alice = server.create({'ownerId': 'alice'})
    for record in (other, test, alice):
        server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke')
    receiver.wait(lambda messages: len(messages) >= 7, 'seven messages')
    seen = sorted((message.path, message.event, message.key) for message in receiver.messages)
    expected = [('/revoked', 'key.revoked', record['id']) for record in (other, test, alice)]
    expected += [(path, event, record['id']) for path, record in (('/test', test), ('/owner', alice))
                 for event in ('key.created', 'key.revoked')]
    equal(seen, sorted(expected), 'messages')
    for name in names[1:]:
        server.expect(204, 'DELETE', f'{PATH}/{name}')
    drop(server, names[0], receiver)


def the_order_of_a_key_is_kept(server):
    """The first of a key fails; what comes after it waits, and other keys do not."""
    failed = threading.Event()

    def answer(message):
        if message.event == 'key.disabled' and not failed.is_set():
            failed.set()
            return 500, {}, b'not now'
        return 200, {}, b''

    receiver = Receiver(answer)
    name, _ = make(server, receiver.url(), events=['key.*'])
    _, first = server.create()
    server.expect(200, 'POST', f'/v1/keys/{first["id"]}/disable')
    receiver.wait(lambda _: failed.is_set(), 'the failure')
    server.expect(200, 'POST', f'/v1/keys/{first["id"]}/enable')
    server.expect(200, 'POST', f'/v1/keys/{first["id"]}/revoke')
    _, second = server.create()
    receiver.wait(lambda messages: [m for m in messages if m.key == second['id']], 'a message about the other key')
    check(not receiver.of('key.enabled'), 'what comes later waits')
    states = {item['event']: item['state'] for item in deliveries(server, name) if item['event'] in ('key.enabled', 'key.revoked')}
    equal(states, {'key.enabled': 'held', 'key.revoked': 'held'}, 'states')
    receiver.wait(lambda messages: [m for m in messages if m.event == 'key.revoked'], 'the last one')
    equal([m.event for m in receiver.messages if m.key == first['id']],
          ['key.created', 'key.disabled', 'key.disabled', 'key.enabled', 'key.revoked'], 'order')
    again = [m.id for m in receiver.of('key.disabled')]
    equal(again[0], again[1], 'the id of what is sent again')
    delivery = wait_for(lambda: [item for item in deliveries(server, name, '?state=delivered') if item['event'] == 'key.disabled'],
                        'its delivery')[0]
    equal([one['status'] for one in delivery['tries']], [500, 200], 'tries')
    equal(delivery['tries'][0]['answer'], 'not now', 'its first answer')
    drop(server, name, receiver)


def one_that_asks_for_speed_waits_for_nothing(server):
    receiver = Receiver(lambda message: (500 if message.event == 'key.created' else 200, {'Retry-After': '3600'}, b''))
    name, _ = make(server, receiver.url(), events=['key.*'], ordered=False)
    _, record = server.create()
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke')
    receiver.wait(lambda messages: [m for m in messages if m.event == 'key.revoked'], 'the later one')
    waiting = wait_for(lambda: deliveries(server, name, '?state=waiting'), 'a delivery that waits')[0]
    equal((waiting['event'], waiting['attempts']), ('key.created', 1), 'what waits')
    equal(waiting['nextAttemptAt'] > waiting['tries'][0]['at'], True, 'time of the next try')
    hour = (time.mktime(time.strptime(waiting['nextAttemptAt'][:19], '%Y-%m-%dT%H:%M:%S')) -
            time.mktime(time.strptime(waiting['tries'][0]['at'][:19], '%Y-%m-%dT%H:%M:%S')))
    check(3599 <= hour <= 3660, f'Retry-After is respected: {hour}')
    drop(server, name, receiver)


def gone_switches_it_off(server):
    receiver = Receiver(lambda message: (410, {}, b''))
    name, _ = make(server, receiver.url(), events=['key.created'])
    server.create()
    wait_for(lambda: server.expect(200, 'GET', f'{PATH}/{name}').json['status'] == 'disabled', 'that it is switched off')
    event = [item for item in server.expect(200, 'GET', '/v1/events?limit=1000').json['items'] if item['event'] == 'webhook.disabled'][-1]
    equal((event['data']['name'], event['data']['actor']), (name, 'keyward'), 'the event')
    check('410' in event['data']['reason'], 'its reason')
    count = len(receiver.messages)
    witness = Receiver()
    other, _ = make(server, witness.url(), events=['key.created'])
    server.create()
    witness.wait(lambda messages: messages, 'a message to another one')
    enabled = server.expect(200, 'POST', f'{PATH}/{name}/enable').json
    equal(enabled['status'], 'active', 'status')
    equal(len(receiver.messages), count, 'messages while it was off')
    drop(server, other, witness)
    drop(server, name, receiver)


def what_waits_while_paused_is_sent_then(server):
    receiver = Receiver()
    name, _ = make(server, receiver.url(), events=['key.created'], status='paused')
    _, record = server.create()
    wait_for(lambda: deliveries(server, name, '?state=waiting'), 'a delivery that waits')
    equal(receiver.messages, [], 'messages while it is paused')
    server.expect(200, 'POST', f'{PATH}/{name}/enable')
    equal(receiver.wait(lambda messages: messages, 'a message')[0].key, record['id'], 'key')
    drop(server, name, receiver)


def deliveries_are_replayed(server):
    receiver = Receiver()
    name, _ = make(server, receiver.url(), events=['key.created'])
    records = [server.create()[1] for _ in range(3)]
    wait_for(lambda: len(deliveries(server, name, '?state=delivered')) == 3, 'three deliveries')
    listed = deliveries(server, name)
    equal(server.expect(200, 'POST', f'{PATH}/{name}/replay', {'id': listed[0]['id']}).json, {'replayed': 1}, 'one')
    receiver.wait(lambda messages: len(messages) == 4, 'it again')
    equal(receiver.messages[3].id, listed[0]['eventId'], 'its id')
    wait_for(lambda: len(deliveries(server, name, '?state=delivered')) == 3, 'that it is delivered')
    equal(server.expect(200, 'POST', f'{PATH}/{name}/replay', {'since': '2020-01-01T00:00:00Z'}).json, {'replayed': 3}, 'all')
    receiver.wait(lambda messages: len(messages) == 7, 'all again')
    equal(sorted(m.key for m in receiver.messages[4:]), sorted(record['id'] for record in records), 'keys')
    equal(server.expect(200, 'POST', f'{PATH}/{name}/replay', {'since': '2020-01-01T00:00:00Z', 'failedOnly': True}).json,
          {'replayed': 0}, 'those that failed')
    one = server.expect(200, 'GET', f'{PATH}/{name}/deliveries?id={listed[0]["id"]}').json
    equal((one['id'], len(one['tries']) >= 2), (listed[0]['id'], True), 'one alone')
    page = server.expect(200, 'GET', f'{PATH}/{name}/deliveries?limit=2').json
    rest = deliveries(server, name, f'?limit=2&cursor={page["nextCursor"]}')
    equal([item['id'] for item in page['items'] + rest], [item['id'] for item in listed], 'pages')
    server.refuse('DELIVERY_NOT_FOUND', 'POST', f'{PATH}/{name}/replay', {'id': '999999'})
    server.refuse('MISSING_FIELD', 'POST', f'{PATH}/{name}/replay', {})
    server.refuse('INVALID_FIELD', 'GET', f'{PATH}/{name}/deliveries?cursor=x', field='cursor')
    drop(server, name, receiver)


def a_ping_says_what_became_of_it(server):
    receiver = Receiver(lambda message: (204 if message.path == '/good' else 503, {}, b''))
    good, _ = make(server, receiver.url('/good'), events=['key.revoked'])
    bad, _ = make(server, receiver.url('/bad'), events=['key.revoked'])
    answer = server.expect(200, 'POST', f'{PATH}/{good}/ping').json
    equal((answer['delivered'], answer['tries'][0]['status']), (True, 204), 'a good one')
    answer = server.expect(200, 'POST', f'{PATH}/{bad}/ping').json
    equal((answer['delivered'], answer['tries'][0]['status']), (False, 503), 'a bad one')
    equal([m.event for m in receiver.messages], ['webhook.ping'] * 2, 'events')
    equal(deliveries(server, good), [], 'no delivery')
    server.refuse('WEBHOOK_NOT_FOUND', 'POST', f'{PATH}/nobody/ping')
    server.expect(204, 'DELETE', f'{PATH}/{bad}')
    drop(server, good, receiver)


def a_slow_one_holds_up_nobody(server):
    release = threading.Event()
    slow = Receiver(lambda message: (release.wait(PATIENCE_S) and 200, {}, b''))
    quick = Receiver()
    slow_name, _ = make(server, slow.url(), events=['key.created'])
    quick_name, _ = make(server, quick.url(), events=['key.created'])
    records = [server.create()[1] for _ in range(60)]
    quick.wait(lambda messages: len(messages) == 60, 'all at the quick one')
    check(len(slow.messages) < 60, 'the slow one has not had all')
    release.set()
    slow.wait(lambda messages: len(messages) == 60, 'all at the slow one')
    equal({m.key for m in slow.messages}, {record['id'] for record in records}, 'keys')
    server.expect(204, 'DELETE', f'{PATH}/{quick_name}')
    quick.close()
    drop(server, slow_name, slow)


def private_places_are_refused(server):
    for url in TRICKS:
        server.refuse('INVALID_FIELD', 'POST', PATH, {'url': url}, field='url')
    for url in REFUSED:
        server.refuse('ADDRESS_NOT_ALLOWED', 'POST', PATH, {'url': url}, field='url')
    receiver = Receiver()
    name, _ = make(server, receiver.url(), events=['key.revoked'])
    server.refuse('ADDRESS_NOT_ALLOWED', 'PATCH', f'{PATH}/{name}', {'url': 'http://10.0.0.1/'}, field='url')
    drop(server, name, receiver)


def a_redirect_to_a_private_place_ends_there(server):
    receiver = Receiver(lambda message: (307, {'Location': 'http://169.254.169.254/latest/meta-data'}, b''))
    name, _ = make(server, receiver.url(), events=['key.revoked'])
    one = server.expect(200, 'POST', f'{PATH}/{name}/ping').json['tries'][0]
    check('status' not in one and 'metadata' in one['error'], f'refused: {one}')
    drop(server, name, receiver)


def a_webhook_is_read_changed_and_deleted(server):
    receiver = Receiver()
    made = server.expect(201, 'POST', PATH, {'url': receiver.url()})
    name = made.json['name']
    check(name.startswith('whk_'), 'a name is made up')
    equal(made.header('Location'), f'{PATH}/{name}', 'location')
    check(made.json['secret'].startswith('whsec_') and made.json['publicKey'].startswith('whpk_'), 'secrets')
    read = server.expect(200, 'GET', f'{PATH}/{name}')
    check('secret' not in read.json and made.json['secret'].encode() not in read.body, 'the secret is shown once')
    equal((read.json['events'], read.json['ordered'], read.json['status'], read.json['signature'], read.json['timeout']),
          (['*'], True, 'active', 'hmac', '15s'), 'what it is by itself')
    changed = server.expect(200, 'PATCH', f'{PATH}/{name}', {'events': ['revoked'], 'timeout': '5s'}, headers={'If-Match': '"1"'})
    equal((changed.json['version'], changed.json['events']), (2, ['revoked']), 'change')
    check('secret' not in changed.json, 'a change makes no secret')
    server.refuse('VERSION_CONFLICT', 'PATCH', f'{PATH}/{name}', {'timeout': '6s'}, headers={'If-Match': '"1"'})
    server.refuse('ALREADY_EXISTS', 'POST', PATH, {'name': name, 'url': receiver.url()})
    for field, value in (('events', ['nothing']), ('timeout', '31s'), ('status', 'gone'), ('environments', ['moon']),
                         ('owners', ['x']), ('signature', 'rsa'), ('url', 7)):
        server.refuse('INVALID_FIELD', 'PATCH', f'{PATH}/{name}', {field: value})
    server.refuse('MISSING_FIELD', 'POST', PATH, {'name': 'empty'}, field='url')
    server.refuse('UNKNOWN_FIELD', 'POST', PATH, {'url': receiver.url(), 'secret': 'x'}, field='secret')
    audit = server.expect(200, 'GET', '/v1/audit?action=webhook.updated').json['items']
    check(len(audit) >= 1, 'the audit log has the change')
    equal(name in [item['name'] for item in server.expect(200, 'GET', f'{PATH}?limit=1000').json['items']], True, 'list')
    drop(server, name, receiver)
    server.refuse('WEBHOOK_NOT_FOUND', 'GET', f'{PATH}/{name}')
    server.refuse('WEBHOOK_NOT_FOUND', 'GET', f'{PATH}/{name}/deliveries')


def another_of_the_same_name_gets_nothing_of_the_first(server):
    receiver = Receiver()
    name, _ = make(server, receiver.url('/first'), events=['key.created'], status='paused')
    server.create()
    wait_for(lambda: deliveries(server, name), 'a delivery')
    server.expect(204, 'DELETE', f'{PATH}/{name}')
    server.expect(201, 'POST', PATH, {'name': name, 'url': receiver.url('/second'), 'events': ['key.created']})
    _, record = server.create()
    receiver.wait(lambda messages: messages, 'a message')
    equal([(m.path, m.key) for m in receiver.messages], [('/second', record['id'])], 'messages')
    drop(server, name, receiver)


def only_who_may_sees_them(server):
    reader, _ = server.manager('webhooks:read')
    server.expect(200, 'GET', PATH, key=reader)
    server.refuse('FORBIDDEN', 'POST', PATH, {'url': 'https://example.com/'}, key=reader)
    stranger, _ = server.manager('keys:read')
    server.refuse('FORBIDDEN', 'GET', PATH, key=stranger)


def no_secret_stands_in_the_database(server):
    receiver = Receiver()
    name, secret = make(server, receiver.url(), events=['key.revoked'])
    raw = base64.b64decode(secret.removeprefix('whsec_'))
    equal(len(raw), 32, 'size of a secret')
    for path in pathlib.Path(server.folder.name, 'data').iterdir():
        content = path.read_bytes()
        check(raw not in content and secret.encode() not in content, f'{path.name} holds a secret')
        if path.name == 'sealing-key':
            equal(path.stat().st_mode & 0o777, 0o600, 'mode of the sealing key')
    drop(server, name, receiver)


CASES = [an_event_arrives_with_its_data, filters_choose, the_order_of_a_key_is_kept, one_that_asks_for_speed_waits_for_nothing,
         gone_switches_it_off, what_waits_while_paused_is_sent_then, deliveries_are_replayed, a_ping_says_what_became_of_it,
         a_slow_one_holds_up_nobody, private_places_are_refused, a_redirect_to_a_private_place_ends_there,
         a_webhook_is_read_changed_and_deleted, another_of_the_same_name_gets_nothing_of_the_first, only_who_may_sees_them,
         no_secret_stands_in_the_database]

if __name__ == '__main__':
    sys.exit(main(CASES, ['--allow-private', '127.0.0.1']))
