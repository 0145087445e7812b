"""Policies as documents: kept, listed, changed, refused, each in its project."""

import sys

from api_support import check, equal, main

PATH = '/v1/policies'
KEY_ID = 'key_01JD5W3K2M8Q4T6V9X0Z1B3D5F'
WHOLE = {'name': 'whole', 'description': 'For partners.', 'scopes': ['orders:*'], 'resources': {'website:*': ['read']},
         'maxTtl': '90d', 'requireIP': True, 'maxResources': 3, 'environments': ['live'], 'creators': [KEY_ID]}


def policies_are_kept(server):
    made = server.expect(201, 'POST', PATH, WHOLE)
    equal(made.header('Location'), PATH + '/whole', 'address')
    equal({name: made.json[name] for name in WHOLE}, WHOLE, 'what was given')
    equal(server.expect(200, 'GET', PATH + '/whole').json, made.json, 'read again')
    changed = server.expect(200, 'PATCH', PATH + '/whole', {'maxTtl': '1d', 'creators': None}, headers={'If-Match': '"1"'})
    equal((changed.json['maxTtl'], 'creators' in changed.json, changed.header('ETag')), ('1d', False, '"2"'), 'change')
    server.refuse('VERSION_CONFLICT', 'PATCH', PATH + '/whole', {}, headers={'If-Match': '"1"'})
    server.refuse('ALREADY_EXISTS', 'POST', PATH, WHOLE, field='name')
    server.expect(204, 'DELETE', PATH + '/whole')
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/whole', status=404)
    server.refuse('POLICY_NOT_FOUND', 'DELETE', PATH + '/whole')
    server.expect(201, 'POST', PATH, {'name': 'whole'})


def policies_belong_to_a_project(server):
    server.expect(201, 'POST', '/v1/projects', {'name': 'other'})
    server.expect(201, 'POST', PATH, {'name': 'here'})
    server.refuse('POLICY_NOT_FOUND', 'GET', PATH + '/here', headers={'Keyward-Project': 'other'})
    equal(server.expect(200, 'GET', PATH, headers={'Keyward-Project': 'other'}).json, {'items': []}, 'of another project')
    server.expect(201, 'POST', PATH, {'name': 'here', 'maxResources': 0}, headers={'Keyward-Project': 'other'})
    server.expect(204, 'DELETE', '/v1/projects/other')
    equal('maxResources' in server.expect(200, 'GET', PATH + '/here').json, False, 'its own')


def what_a_policy_says_is_checked(server):
    for settings, code, field in [
            ({'scopes': ['no scope']}, 'INVALID_FIELD', 'scopes[0]'), ({'scopes': 'read'}, 'INVALID_FIELD', 'scopes'),
            ({'resources': {'website': ['read']}}, 'INVALID_FIELD', 'resources'),
            ({'resources': {'website:1': []}}, 'INVALID_FIELD', 'resources.website:1'),
            ({'maxTtl': 7}, 'INVALID_FIELD', 'maxTtl'), ({'requireIP': 'yes'}, 'INVALID_FIELD', 'requireIP'),
            ({'maxResources': 65}, 'INVALID_FIELD', 'maxResources'), ({'maxResources': -1}, 'INVALID_FIELD', 'maxResources'),
            ({'environments': []}, 'INVALID_FIELD', 'environments'),
            ({'environments': ['x' * 33]}, 'INVALID_FIELD', 'environments[0]'),
            ({'creators': ['user:1']}, 'INVALID_FIELD', 'creators[0]'),
            ({'creators': [KEY_ID] * 65}, 'INVALID_FIELD', 'creators'),
            ({'owner': 'user:1'}, 'UNKNOWN_FIELD', 'owner'), ({'number': 1}, 'CANNOT_CHANGE_FIELD', 'number'),
            ({'name': 'a b'}, 'INVALID_FIELD', 'name'), ({'name': ''}, 'INVALID_FIELD', 'name')]:
        server.refuse(code, 'POST', PATH, {'name': 'bad', **settings}, field=field)
    check('bad' not in [item['name'] for item in server.expect(200, 'GET', PATH).json['items']], 'it was made')


def only_who_may_changes_policies(server):
    server.expect(201, 'POST', PATH, {'name': 'guarded'})
    reader, _ = server.manager('policies:read')
    writer, _ = server.manager('policies:update')
    server.expect(200, 'GET', PATH + '/guarded', key=reader)
    server.refuse('FORBIDDEN', 'PATCH', PATH + '/guarded', {}, key=reader)
    server.refuse('FORBIDDEN', 'POST', PATH, {'name': 'x'}, key=reader)
    server.refuse('FORBIDDEN', 'DELETE', PATH + '/guarded', key=reader)
    server.refuse('FORBIDDEN', 'GET', PATH, key=writer)
    server.expect(200, 'PATCH', PATH + '/guarded', {'maxTtl': '1d'}, key=writer)
    server.expect(204, 'DELETE', PATH + '/guarded', key=writer)


if __name__ == '__main__':
    sys.exit(main([policies_are_kept, policies_belong_to_a_project, what_a_policy_says_is_checked,
                   only_who_may_changes_policies]))
