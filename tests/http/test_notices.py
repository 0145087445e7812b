"""Notices to people: mail over TLS, a chat, a command; what is told to whom, how much at once, and what becomes of it when
something fails or the server is killed.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

from api_support import Failed, Server, check, equal, main
from notice_support import PASSWORD, Place

PATH = '/v1/channels'
PATIENCE_S = 40
place = Place()


def wait(condition, what):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise Failed(f'waited {PATIENCE_S} s in vain: {what}')


def channel(server, name, **body):
    """A channel that is told of revocations alone, at once, unless the body says otherwise."""
    return server.expect(201, 'POST', PATH, {'name': name, 'events': ['key.revoked'], 'every': '0s', **body}).json


def drop(server, *names):
    for name in names:
        server.expect(204, 'DELETE', f'{PATH}/{name}')


def revoked(server, **body):
    """A key that was made and revoked: its record."""
    _, record = server.create(body)
    server.expect(200, 'POST', f'/v1/keys/{record["id"]}/revoke', {'reason': 'found in a log'})
    return record


def deliveries(server, name, query='limit=1000'):
    return server.expect(200, 'GET', f'{PATH}/{name}/deliveries?{query}').json['items']


def states(server, name):
    return [item['state'] for item in deliveries(server, name)]


def a_mail_says_what_happened_to_which_key(server):
    channel(server, 'team', kind='email', to=['ops@example.com', 'security@example.com'])
    before = len(place.mail.mails)
    record = revoked(server, name='Büro <b>\u202egnp.exe')
    wait(lambda: len(place.mail.mails) > before, 'a mail')
    mail = place.mail.mails[-1]
    check(mail.over_tls, 'the mail came in the clear')
    equal(mail.sender, 'keyward@example.com', 'sender')
    equal(mail.recipients, ['ops@example.com', 'security@example.com'], 'recipients')
    message = mail.message
    equal([address.addr_spec for address in message['To'].addresses], mail.recipients, 'To')
    equal(message['From'].addresses[0].addr_spec, 'keyward@example.com', 'From')
    check(abs(message['Date'].datetime.timestamp() - time.time()) < 120, f'Date {message["Date"]}')
    check(re.fullmatch(r'<[0-9a-f]{32}@example\.com>', message['Message-ID']), message['Message-ID'])
    equal(message.get_content_type(), 'multipart/alternative', 'type')
    equal(message.defects, [], 'defects')
    check('Büro <b> gnp.exe' in message['Subject'] and record['lastFour'] in message['Subject'], message['Subject'])
    check(all(len(line) <= 78 for line in mail.raw.decode('ascii').split('\r\n')), 'a line of the mail is too long')
    plain, html = mail.part('text/plain'), mail.part('text/html')
    check(f'The key "Büro <b> gnp.exe" (…{record["lastFour"]}) was revoked' in plain, plain)
    check('found in a log' in plain and 'What to do: ' in plain and record['id'] in plain, plain)
    check('Büro &lt;b&gt; gnp.exe' in html and '<b>' not in html and record['lastFour'] in html, html)
    wait(lambda: states(server, 'team') == ['delivered'], 'the delivery is settled')
    drop(server, 'team')


def headers_cannot_be_put_in(server):
    channel(server, 'team', kind='email', to=['ops@example.com'])
    before = len(place.mail.mails)
    revoked(server, name='a =?utf-8?q?=0d=0aBcc:_x@y?= . Bcc: evil@example.com')
    wait(lambda: len(place.mail.mails) > before, 'a mail')
    mail = place.mail.mails[-1]
    equal(mail.recipients, ['ops@example.com'], 'recipients')
    check('Bcc' not in mail.message.keys(), mail.message.keys())
    check('=?utf-8?q?=0d=0aBcc:_x@y?=' in mail.message['Subject'], mail.message['Subject'])
    for address in ['a@b\r\nRCPT TO:<x@y>', 'a b@example.com', '<a@example.com>', 'a@@b', 'a@b@c', 'nobody', '@example.com', 'a@', 'a@-b', 'a..b@c', 'x' * 65 + '@c']:
        server.refuse('INVALID_FIELD', 'POST', PATH, {'name': 'bad', 'kind': 'email', 'to': [address]}, field='to[0]')
    drop(server, 'team')


def owners_get_what_is_theirs(server):
    channel(server, 'owners', kind='email', toOwner=True)
    before = len(place.mail.mails)
    place.mail.hold = threading.Event()
    records = [revoked(server, name=f'key {number}', ownerId=owner, metadata={'ownerEmail': f'{owner}@example.com'})
               for number, owner in enumerate(['ann', 'bob', 'ann', 'bob', 'ann'])]
    revoked(server, name='of nobody')
    place.mail.hold.set()
    place.mail.hold = None
    wait(lambda: sorted(states(server, 'owners')) == ['delivered'] * 5 + ['waiting'], 'all is settled')
    told = {'ann@example.com': '', 'bob@example.com': ''}
    for mail in place.mail.mails[before:]:
        equal(len(mail.recipients), 1, 'recipients of a mail to an owner')
        told[mail.recipients[0]] += mail.part('text/plain')
    for record, owner in zip(records, ['ann', 'bob', 'ann', 'bob', 'ann']):
        for address, text in told.items():
            equal(record['id'] in text, address == f'{owner}@example.com', f'{address} is told of {owner}')
    failed = next(item for item in deliveries(server, 'owners') if item['state'] == 'waiting')
    check('ownerEmail' in failed['tries'][0]['error'], failed)
    drop(server, 'owners')


def a_chat_gets_text_that_makes_no_markup(server):
    made = channel(server, 'chat', kind='slack', url=place.chat.url())
    equal(made['url'], f'http://127.0.0.1:{place.chat.port}/...', 'URL as it is shown')
    record = revoked(server, name='<!channel> & co')
    text = wait(lambda: place.chat.texts, 'a message')[-1]
    equal(place.chat.paths[-1], '/services/T00/B00/verysecret', 'path')
    check('&lt;!channel&gt; &amp; co' in text and '<' not in text and record['lastFour'] in text, text)
    for path in [PATH, f'{PATH}/chat', '/v1/audit?limit=100', '/v1/events?limit=100']:
        answer = server.call('GET', path) if 'events' not in path else server.raw('GET', path, None, {'Authorization': f'Bearer {server.root}'})
        check(b'verysecret' not in answer.body, f'{path} shows the URL')
    stored = b''.join(path.read_bytes() for path in pathlib.Path(server.folder.name, 'data').iterdir() if path.is_file())
    check(b'verysecret' not in stored, 'the URL lies open in the data folder')
    check(b'verysecret' not in server.log_path.read_bytes(), 'the log shows the URL')
    # What is given back as it was shown stays; another one takes its place.
    server.expect(200, 'PATCH', f'{PATH}/chat', {'url': made['url'], 'description': 'x'})
    revoked(server)
    wait(lambda: len(place.chat.texts) == 2, 'a message')
    server.expect(200, 'PATCH', f'{PATH}/chat', {'url': place.chat.url('other')})
    revoked(server)
    wait(lambda: len(place.chat.texts) == 3, 'a message')
    equal(place.chat.paths[-2:], ['/services/T00/B00/verysecret', '/services/other'], 'paths')
    server.refuse('INVALID_FIELD', 'PATCH', f'{PATH}/chat', {'url': 'https://' + 'h' * 200 + '/'}, field='url')
    server.refuse('ADDRESS_NOT_ALLOWED', 'POST', PATH, {'name': 'm', 'kind': 'slack', 'url': 'http://169.254.169.254/latest'}, field='url')
    drop(server, 'chat')


def a_command_gets_the_text_and_nothing_else(server):
    channel(server, 'pager', kind='command', command='keep')
    record = revoked(server, name="it's; rm -rf /")
    text, env, argument = wait(place.programs.messages, 'a message')[-1]
    check("it's; rm -rf /" in text and record['lastFour'] in text, text)
    equal(argument, '$(touch x); "y"', 'the argument')
    equal(sorted(set(env) - {'PWD', 'OLDPWD', 'SHLVL', '_'}),
          ['KEYWARD_CHANNEL', 'KEYWARD_EVENT_COUNT', 'KEYWARD_MESSAGE_ID', 'KEYWARD_PROJECT', 'KEYWARD_SUBJECT', 'LANG', 'PATH'], 'environment')
    equal((env['KEYWARD_CHANNEL'], env['KEYWARD_PROJECT'], env['KEYWARD_EVENT_COUNT'], env['PWD']), ('pager', 'default', '1', '/'), 'environment')
    check(server.root not in str(env), 'the root key is in the environment')
    server.refuse('INVALID_FIELD', 'POST', PATH, {'name': 'x', 'kind': 'command', 'command': 'other'}, field='command')
    server.refuse('INVALID_FIELD', 'POST', PATH, {'name': 'x', 'kind': 'command', 'command': '/bin/sh'}, field='command')
    drop(server, 'pager')


def commands_are_held_to_their_bounds(server):
    for name, error in [('fail', 'ended with 3'), ('sleep', 'took too long'), ('shout', 'took too long')]:
        channel(server, name, kind='command', command=name)
        answer = server.expect(200, 'POST', f'{PATH}/{name}/test').json
        check(not answer['delivered'] and error in answer['tries'][0]['error'], answer)
        drop(server, name)
        if name == 'fail':
            equal(answer['tries'][0]['answer'], 'it is broken\n', 'what it printed')
        if name == 'shout':
            equal(len(answer['tries'][0]['answer']), 512, 'bytes of what it printed')
    sleeper = int(pathlib.Path(place.programs.folder, 'sleeper').read_text())

    def is_gone():
        try:
            return pathlib.Path(f'/proc/{sleeper}/stat').read_text().split(')')[1].split()[0] == 'Z'
        except OSError:
            return True
    wait(is_gone, 'what the command had started goes with it')


def a_test_sends_one_message(server):
    channel(server, 'team', kind='email', to=['ops@example.com'])
    before = len(place.mail.mails)
    answer = server.expect(200, 'POST', f'{PATH}/team/test').json
    equal(answer['delivered'], True, f'{answer}')
    equal(len(place.mail.mails), before + 1, 'mails')
    check('This is a test' in place.mail.mails[-1].part('text/plain'), 'text')
    equal(deliveries(server, 'team'), [], 'deliveries')
    place.mail.answer = '554 not today'
    try:
        answer = server.expect(200, 'POST', f'{PATH}/team/test').json
        check(not answer['delivered'] and '554' in answer['tries'][0]['error'], answer)
    finally:
        place.mail.answer = None
    server.refuse('CHANNEL_NOT_FOUND', 'POST', f'{PATH}/other/test')
    drop(server, 'team')


def a_hundred_events_make_one_readable_message(server):
    channel(server, 'team', kind='email', to=['ops@example.com'], every='1d')
    keys = [server.create({'name': f'key {number}'})[1] for number in range(100)]
    before = len(place.mail.mails)
    revoked(server, name='the first')
    wait(lambda: states(server, 'team') == ['delivered'], 'the first message')
    server.expect(200, 'POST', '/v1/keys/batch/revoke', {'items': [{'id': key['id']} for key in keys]})
    wait(lambda: len(states(server, 'team')) == 101, 'all events wait')
    server.stop()
    server.start()
    check(server.expect(200, 'POST', f'{PATH}/team/test').json['delivered'], 'a test goes out though it is quiet')
    equal(sorted(states(server, 'team')), ['delivered'] + ['waiting'] * 100, 'a start does not end the quiet')
    equal(len(place.mail.mails), before + 2, 'mails while it is quiet')
    server.expect(200, 'PATCH', f'{PATH}/team', {'every': '0s'})
    wait(lambda: states(server, 'team') == ['delivered'] * 101, 'all are delivered')
    equal(len(place.mail.mails), before + 3, 'mails')
    mail = place.mail.mails[-1]
    check('100 keys were revoked' in mail.message['Subject'], mail.message['Subject'])
    text = mail.part('text/plain')
    check('and 90 more' in text and text.count('(…') == 10 and len(text) < 4096, text)
    drop(server, 'team')


def a_channel_gets_what_it_asks_for(server):
    channel(server, 'created', kind='slack', url=place.chat.url('created'), events=['created'], owners=['user:77'], environments=['live'])
    before = len(place.chat.texts)
    server.create({'name': 'other owner'})
    server.create({'name': 'other place', 'ownerId': '77', 'env': 'test'})
    revoked(server, name='the one', ownerId='77')
    wait(lambda: len(place.chat.texts) > before, 'a message')
    check('"the one"' in place.chat.texts[-1] and 'was created' in place.chat.texts[-1], place.chat.texts[-1])
    equal(len(deliveries(server, 'created')), 1, 'deliveries')
    drop(server, 'created')


def one_that_fails_is_tried_again_and_holds_up_nobody(server):
    channel(server, 'mail', kind='email', to=['ops@example.com'])
    channel(server, 'chat', kind='slack', url=place.chat.url())
    channel(server, 'pager', kind='command', command='keep')
    before, chats, pages = len(place.mail.mails), len(place.chat.texts), len(place.programs.messages())
    place.mail.answer, tries = '451 later', place.mail.tries
    place.chat.hold = threading.Event()
    record = revoked(server, name='urgent')
    wait(lambda: len(place.programs.messages()) > pages, 'the command is told though the others fail')
    wait(lambda: place.mail.tries > tries, 'a try')
    failed = wait(lambda: [item for item in deliveries(server, 'mail') if item['tries']], 'the try is settled')[0]
    equal((failed['state'], failed['attempts']), ('waiting', 1), 'delivery')
    check('451' in failed['tries'][0]['error'] and 'nextAttemptAt' in failed, failed)
    place.mail.answer = None
    place.chat.hold.set()
    place.chat.hold = None
    wait(lambda: len(place.mail.mails) > before and len(place.chat.texts) > chats, 'the others are told in the end')
    check(record['id'] in place.mail.mails[-1].part('text/plain'), 'the mail')
    done = wait(lambda: [item for item in deliveries(server, 'mail') if item['state'] == 'delivered'], 'it is settled')[0]
    equal(done['attempts'], 2, 'attempts')
    drop(server, 'mail', 'chat', 'pager')


def a_mail_that_comes_twice_is_known_again(server):
    """The relay takes it, and the server is killed before it hears of that."""
    channel(server, 'team', kind='email', to=['ops@example.com'])
    before, tries = len(place.mail.mails), place.mail.tries
    hold = place.mail.hold = threading.Event()
    revoked(server, name='twice')
    wait(lambda: place.mail.tries > tries, 'a try')
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    hold.set()
    place.mail.hold = None
    wait(lambda: len(place.mail.mails) > before, 'the relay has it')
    server.start()
    wait(lambda: states(server, 'team') == ['delivered'], 'it is settled')
    ids = [mail.message['Message-ID'] for mail in place.mail.mails[before:]]
    check(len(ids) == 2 and ids[0] == ids[1], ids)
    drop(server, 'team')


def kills_lose_no_notice(server):
    channel(server, 'chat', kind='slack', url=place.chat.url('kills'))
    records = []
    for turn in range(12):
        place.chat.hold = threading.Event() if turn % 2 else None
        records += [revoked(server, name=f'kill {turn} {number}') for number in range(2)]
        if place.chat.hold is not None:
            tries = place.chat.tries
            wait(lambda: place.chat.tries > tries or 'sending' in states(server, 'chat'), 'a message is under way')
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        if place.chat.hold is not None:
            place.chat.hold.set()
            place.chat.hold = None
        server.start()
        if turn % 4 == 3:  # no message has more than it names one by one
            wait(lambda: states(server, 'chat') == ['delivered'] * len(records), 'all are delivered')
    told = '\n'.join(place.chat.texts)
    for record in records:
        check(record['id'] in told, f'{record["name"]} was not told')
    drop(server, 'chat')


def what_failed_can_be_sent_again(server):
    channel(server, 'chat', kind='slack', url=place.chat.url())
    before = len(place.chat.texts)
    revoked(server)
    item = wait(lambda: [item for item in deliveries(server, 'chat') if item['state'] == 'delivered'], 'it is delivered')[0]
    equal(server.expect(200, 'POST', f'{PATH}/chat/replay', {'id': item['id']}).json, {'replayed': 1}, 'replay')
    wait(lambda: len(place.chat.texts) == before + 2, 'it comes again')
    server.refuse('DELIVERY_NOT_FOUND', 'POST', f'{PATH}/chat/replay', {'id': '999999999'})
    server.refuse('CHANNEL_NOT_FOUND', 'GET', f'{PATH}/other/deliveries')
    drop(server, 'chat')


def what_is_asked_for_is_checked(server):
    mail = {'name': 'c', 'kind': 'email', 'to': ['a@example.com']}
    for code, field, body in [
            ('MISSING_FIELD', 'kind', {'name': 'c'}), ('INVALID_FIELD', 'kind', {'name': 'c', 'kind': 'pigeon'}),
            ('INVALID_FIELD', 'to', {'name': 'c', 'kind': 'email'}), ('INVALID_FIELD', 'to', {**mail, 'toOwner': True}),
            ('INVALID_FIELD', 'url', {**mail, 'url': 'https://example.com/'}), ('INVALID_FIELD', 'command', {**mail, 'command': 'keep'}),
            ('MISSING_FIELD', 'url', {'name': 'c', 'kind': 'slack'}), ('MISSING_FIELD', 'command', {'name': 'c', 'kind': 'command'}),
            ('INVALID_FIELD', 'events[0]', {**mail, 'events': ['nothing.*']}), ('INVALID_FIELD', 'every', {**mail, 'every': '2d'}),
            ('INVALID_FIELD', 'every', {**mail, 'every': 'soon'}), ('INVALID_FIELD', 'environments[0]', {**mail, 'environments': ['moon']}),
            ('UNKNOWN_FIELD', 'program', {**mail, 'program': '/bin/sh'})]:
        server.refuse(code, 'POST', PATH, body, field=field)
    made = server.expect(201, 'POST', PATH, mail).json
    equal((made['every'], made['events'], made['status'], made['toOwner']), ('5m', ['*'], 'active', False), 'what is not given')
    server.refuse('ALREADY_EXISTS', 'POST', PATH, mail)
    server.refuse('CANNOT_CHANGE_FIELD', 'PATCH', f'{PATH}/c', {'kind': 'slack', 'to': None, 'url': place.chat.url()}, field='kind')
    equal(server.expect(200, 'POST', f'{PATH}/c/disable').json['status'], 'disabled', 'status')
    equal(server.expect(200, 'POST', f'{PATH}/c/enable').json['status'], 'active', 'status')
    key, _ = server.manager('channels:read')
    server.expect(200, 'GET', f'{PATH}/c', key=key)
    equal(server.call('DELETE', f'{PATH}/c', key=key).status, 403, 'status')
    drop(server, 'c')


def a_relay_without_what_was_asked_for_gets_nothing(_):
    """No STARTTLS, a certificate that nobody vouches for, an address that is not opened: the mail stays here."""
    def check_refused(config, error):
        own.write({**own.settings, 'smtp': {**own.settings['smtp'], **config}})
        other = Server(sys.argv[1], own.options())
        try:
            channel(other, 'team', kind='email', to=['ops@example.com'])
            answer = other.expect(200, 'POST', f'{PATH}/team/test').json
            check(not answer['delivered'] and error in answer['tries'][0]['error'], answer)
            equal(own.mail.mails, [], 'mails')
        finally:
            other.close()
    own = Place(tls='none', user=None)
    check_refused({'tls': 'starttls'}, 'SSL')
    own.close()
    own = Place()
    check_refused({'caFile': '/etc/ssl/certs/ca-certificates.crt'} if os.path.exists('/etc/ssl/certs/ca-certificates.crt') else {'caFile': str(own.config)}, 'SSL')
    check_refused({'allowPrivate': []}, 'loopback')
    password = pathlib.Path(own.temporary.name, 'password')
    password.write_text('wrong')
    check_refused({}, '')
    own.close()


def mail_under_tls_from_the_first_byte(_):
    own = Place(tls='tls', user=None)
    other = Server(sys.argv[1], own.options())
    try:
        channel(other, 'team', kind='email', to=['ops@example.com', 'gone@example.com'])
        own.mail.refused = {'gone@example.com'}
        check(other.expect(200, 'POST', f'{PATH}/team/test').json['delivered'], 'it is sent to the one who is there')
        equal(own.mail.mails[0].recipients, ['ops@example.com'], 'recipients')
    finally:
        other.close()
        own.close()


def a_configuration_is_read_strictly(_):
    own = Place()
    folder = own.temporary.name

    def start(text, mode=0o600):
        own.write(text)
        os.chmod(own.config, mode)
        done = subprocess.run([sys.argv[1], 'serve', '--data', folder + '/data', '--listen', '127.0.0.1:0', *own.options()],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        check(done.returncode != 0, 'it started')
        return done.stderr
    command = {'name': 'c', 'program': '/bin/true'}
    smtp = {'host': 'relay.example.com', 'from': 'a@example.com'}
    for text, words in [('{\n"commands": [\n{]}', 'line 3'), ({'comands': []}, 'comands'), ({'commands': [{'name': 'c'}]}, 'commands[0].program'),
                        ({'commands': [{**command, 'program': 'true'}]}, 'whole path'), ({'commands': [{**command, 'program': '/no/such'}]}, 'not there'),
                        ({'commands': [command, command]}, 'commands[1]'), ({'commands': [{**command, 'timeout': '2m'}]}, '60s'),
                        ({'smtp': {**smtp, 'from': 'nobody'}}, 'smtp.from'), ({'smtp': {**smtp, 'host': 'a/b'}}, 'smtp.host'),
                        ({'smtp': {**smtp, 'user': 'u'}}, 'smtp.user'), ({'smtp': {**smtp, 'tls': 'none', 'user': 'u', 'password': 'p'}}, 'smtp.tls'),
                        ({'smtp': {**smtp, 'allowPrivate': ['ten']}}, 'allowPrivate'), ({'smtp': {**smtp, 'tls': 'ssl'}}, 'smtp.tls')]:
        said = start(text)
        check(words in said and str(own.config) in said, f'{text}: {said}')
    check('chmod' in start(json.dumps({'commands': []}), 0o622), 'a file that others may write to')
    check(PASSWORD not in start({'smtp': {**smtp, 'user': 'u', 'password': PASSWORD, 'tls': 'none'}}), 'the password is shown')
    own.config.unlink()
    done = subprocess.run([sys.argv[1], 'serve', '--data', folder + '/data', *own.options()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    check(done.returncode != 0 and 'no such file' in done.stderr, done.stderr)
    own.close()


def the_command_line_does_the_same(server):
    def keyward(*arguments):
        return subprocess.run([sys.argv[1], 'channels', *arguments, '--url', f'http://127.0.0.1:{server.port}'], env={**os.environ, 'KEYWARD_KEY': server.root},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    made = keyward('create', '--name', 'cli', '--kind', 'email', '--to', 'ops@example.com', '--event', 'key.revoked', '--every', '10m')
    equal((made.returncode, made.stderr), (0, ''), 'create')
    check('cli' in made.stdout and '10m' in made.stdout, made.stdout)
    check('cli' in keyward('list').stdout and 'email' in keyward('list').stdout, 'list')
    equal(json.loads(keyward('show', 'cli', '--json').stdout)['to'], ['ops@example.com'], 'show')
    check('was delivered' in keyward('test', 'cli').stdout, 'test')
    equal(keyward('update', 'cli', '--every', '1h').returncode, 0, 'update')
    check('Nothing was sent' in keyward('deliveries', 'cli').stderr, 'deliveries')
    equal(keyward('delete', 'cli').stdout, 'Deleted the channel cli.\n', 'delete')
    check(keyward('test').returncode != 0, 'test of nothing')


if __name__ == '__main__':
    try:
        main([a_mail_says_what_happened_to_which_key, headers_cannot_be_put_in, owners_get_what_is_theirs, a_chat_gets_text_that_makes_no_markup,
              a_command_gets_the_text_and_nothing_else, commands_are_held_to_their_bounds, a_test_sends_one_message,
              a_hundred_events_make_one_readable_message, a_channel_gets_what_it_asks_for, one_that_fails_is_tried_again_and_holds_up_nobody,
              a_mail_that_comes_twice_is_known_again, kills_lose_no_notice, what_failed_can_be_sent_again, what_is_asked_for_is_checked,
              a_relay_without_what_was_asked_for_gets_nothing, mail_under_tls_from_the_first_byte, a_configuration_is_read_strictly,
              the_command_line_does_the_same], options=place.options('--allow-private', '127.0.0.1'))
    finally:
        place.close()
