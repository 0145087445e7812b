#include "server/transport.h"

void kw__deadline_remove(struct kw__connection *connection)
{
    struct kw__list *list = &connection->loop->lists[connection->deadline];
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else if (list->first == connection) {
        list->first = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    } else if (list->last == connection) {
        list->last = connection->previous;
    }
    connection->previous = connection->next = NULL;
}

void kw__deadline_set(struct kw__connection *connection, enum kw__deadline deadline)
{
    struct kw__loop *loop = connection->loop;
    /* Within one sweep's time a busy connection stays where it is in its list. */
    if (connection->deadline == deadline && connection->deadline_tick == loop->tick) {
        return;
    }
    kw__deadline_remove(connection);
    struct kw__list *list = &loop->lists[deadline];
    connection->deadline = deadline;
    connection->deadline_tick = loop->tick;
    connection->deadline_ms = uv_now(&loop->uv) + loop->server->duration_ms[deadline];
    connection->previous = list->last;
    if (list->last != NULL) {
        list->last->next = connection;
    } else {
        list->first = connection;
    }
    list->last = connection;
}

/* A request that was begun is answered; where none was, there is nobody to tell. */
static void time_out_head(struct kw__connection *connection)
{
    kw__count(connection->loop, KW__COUNT_TIMED_OUT_HEAD, 1);
    if (connection->input.size == 0) {
        kw__connection_close(connection);
        return;
    }
    kw__serve_refuse(connection, KW_CODE_REQUEST_TIMEOUT, "The request's head did not arrive in time.");
    kw__connection_settle(connection);
}

static void time_out_body(struct kw__connection *connection)
{
    kw__count(connection->loop, KW__COUNT_TIMED_OUT_BODY, 1);
    kw__serve_refuse(connection, KW_CODE_REQUEST_TIMEOUT, "The request's body did not arrive in time.");
    kw__connection_settle(connection);
}

static void time_out_write(struct kw__connection *connection)
{
    if (kw__output_has_progressed(connection)) {
        kw__deadline_set(connection, KW__DEADLINE_WRITE);
        return;
    }
    kw__count(connection->loop, KW__COUNT_TIMED_OUT_WRITE, 1);
    kw__connection_close(connection);
}

static void time_out(struct kw__connection *connection)
{
    switch (connection->deadline) {
    case KW__DEADLINE_HEAD:
        time_out_head(connection);
        break;
    case KW__DEADLINE_BODY:
        time_out_body(connection);
        break;
    case KW__DEADLINE_IDLE:
        kw__count(connection->loop, KW__COUNT_TIMED_OUT_IDLE, 1);
        kw__connection_close(connection);
        break;
    case KW__DEADLINE_WRITE:
        time_out_write(connection);
        break;
    case KW__DEADLINE_NONE:
    case KW__DEADLINE_LINGER:
    case KW__DEADLINE_COUNT:
        kw__connection_close(connection);
        break;
    }
}

void kw__deadline_sweep(struct kw__loop *loop)
{
    uint64_t now_ms = uv_now(&loop->uv);
    for (int deadline = KW__DEADLINE_HEAD; deadline < KW__DEADLINE_COUNT; deadline++) {
        struct kw__list *list = &loop->lists[deadline];
        while (list->first != NULL && list->first->deadline_ms <= now_ms) {
            time_out(list->first);
        }
    }
}
