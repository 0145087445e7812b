#include "server/router.h"

#include "base/bytes.h"

static bool matches(const struct kw_route_path *path, struct kw_bytes text, struct kw_bytes *parameter_out)
{
    if (!path->has_parameter) {
        return kw_bytes_equal(text, path->start);
    }
    if (!kw_bytes_starts_with(text, path->start)) {
        return false;
    }
    struct kw_bytes after = kw_bytes_skip(text, path->start.size);
    size_t size = 0;
    while (size < after.size && after.data[size] != '/') {
        size++;
    }
    struct kw_bytes rest = kw_bytes_skip(after, size);
    *parameter_out = kw_bytes_of(after.data, size);
    return size > 0 && (path->takes_rest || kw_bytes_equal(rest, path->end));
}

struct kw_route_match kw_route_find(enum kw_method method, struct kw_bytes path)
{
    struct kw_route_match match = {0};
    for (size_t i = 0; i < kw__route_path_count && match.path == NULL; i++) {
        if (matches(&kw__route_paths[i], path, &match.parameter)) {
            match.path = &kw__route_paths[i];
        }
    }
    if (match.path == NULL) {
        return (struct kw_route_match){0};
    }
    enum kw_method wanted = method == KW_HEAD ? KW_GET : method;
    for (size_t i = 0; i < match.path->route_count && match.route == NULL; i++) {
        if (match.path->any_method || match.path->routes[i].method == wanted) {
            match.route = &match.path->routes[i];
        }
    }
    return match;
}
