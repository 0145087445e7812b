"""kill -9 in the midst of deliveries, again and again: no event is lost, none is made up, and those of one key arrive in their order
(one that was sent when the process died may arrive twice).
"""

import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time
import traceback

from model import check
from server import Server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'http'))
from webhook_receiver import Receiver  # noqa: E402: a neighbour's

KILLS = 50
KEYS = 4
PATIENCE_S = 120
STEPS = ('disable', 'enable')


class Webhooked(Server):
    options = ('--allow-private', '127.0.0.1')

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=20)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {'Authorization': f'Bearer {self.root}', 'Content-Type': 'application/json'})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b'null')
        finally:
            connection.close()


def change(server, keys, changes, must_stop):
    """Changes keys until the server is gone; what it says of the log later is what counts."""
    while not must_stop.is_set():
        key = keys[changes[0] % len(keys)]
        step = STEPS[changes[0] // len(keys) % len(STEPS)]
        changes[0] += 1
        try:
            server.call('POST', f'/v1/keys/{key}/{step}')
        except (OSError, http.client.HTTPException, ValueError):
            return


def all_events(server):
    """The events of keys, from the log, in its order."""
    events, cursor = [], ''
    while True:
        status, page = server.call('GET', f'/v1/events?type=key.*&limit=1000{cursor}')
        check(status == 200, f'the log of events answers {status}')
        events += page['items']
        if 'nextCursor' not in page:
            return events
        cursor = f'&cursor={page["nextCursor"]}'


def first_arrivals(messages):
    seen, order = set(), []
    for message in messages:
        if message.id not in seen:
            seen.add(message.id)
            order.append(message)
    return order


def compare(server, receiver):
    events = all_events(server)
    wanted = {event['id'] for event in events}
    until = time.monotonic() + PATIENCE_S
    while not wanted <= {message.id for message in list(receiver.messages)}:
        missing = len(wanted - {message.id for message in list(receiver.messages)})
        check(time.monotonic() < until, f'{missing} of {len(wanted)} events are lost')
        time.sleep(0.05)
    messages = list(receiver.messages)
    check({message.id for message in messages} == wanted, 'events were made up')
    by_id = {event['id']: event for event in events}
    for message in messages:
        sent = dict(message.json)
        check(sent.pop('type') == sent['event'] and sent == by_id[message.id], f'{message.id} is not what the log says')
    order = first_arrivals(messages)
    for key in {event['data']['keyId'] for event in events}:
        expected = [event['id'] for event in events if event['data']['keyId'] == key]
        check([message.id for message in order if message.key == key] == expected, f'the order of {key} is not kept')
    return len(events), len(messages)


def check_no_step_back(receiver, positions):
    """Of one key, nothing that came earlier in the log arrives once a later one has, but what was under way at a kill."""
    last = {}
    for message in receiver.messages:
        place = positions[message.id]
        check(place >= last.get(message.key, 0) - 1, f'{message.id} arrives long after what came behind it')
        last[message.key] = max(place, last.get(message.key, 0))


def run(program):
    draw = random.Random(20260131)
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix='keyward-webhooks-') as folder:
        server = Webhooked(program, folder)
        try:
            server.start()
            status, _ = server.call('POST', '/v1/webhooks', {'name': 'all', 'url': receiver.url(), 'events': ['key.*']})
            check(status == 201, f'the webhook: {status}')
            keys = [server.call('POST', '/v1/keys', {'ownerId': str(number)})[1]['record']['id'] for number in range(KEYS)]
            changes = [0]
            for _ in range(KILLS):
                must_stop = threading.Event()
                changer = threading.Thread(target=change, args=(server, keys, changes, must_stop))
                seen = len(receiver.messages)
                changer.start()
                # The kill comes with a message that is drawn, or amid the changes where nothing arrives yet.
                enough = seen + draw.randint(1, 12)
                receiver.wait(lambda messages, enough=enough: len(messages) >= enough, 'messages after a start')
                check(server.kill(), 'it was the kill that ended it')
                must_stop.set()
                changer.join()
                server.start()
            events, messages = compare(server, receiver)
            per_key = {}
            positions = {}
            for event in all_events(server):
                key = event['data']['keyId']
                per_key[key] = per_key.get(key, 0) + 1
                positions[event['id']] = per_key[key]
            check_no_step_back(receiver, positions)
            server.stop()
        finally:
            server.end()
            receiver.close()
    print(f'# {KILLS} kills, {events} events, {messages} messages')


def main():
    print('TAP version 13\n1..1')
    try:
        run(sys.argv[1])
        print('ok 1 - no_event_is_lost_or_made_up')
    except Exception:  # whatever it is, the case failed
        print('\n'.join(f'# {line}' for line in traceback.format_exc().splitlines()))
        print('not ok 1 - no_event_is_lost_or_made_up')
        sys.exit(1)


if __name__ == '__main__':
    main()
