/*
 * An engine that is opened again and again on what it left, with the peppers that a test names by letters ("ba": the
 * pepper b for new keys, and a for older ones). On SQLite or on a shelf.
 */
#ifndef KW_TESTS_UNIT_ENGINE_HOUSE_H
#define KW_TESTS_UNIT_ENGINE_HOUSE_H

#include "engine/index.h"
#include "engine/methods.h"
#include "engine/peppers.h"
#include "support/engine.h"

struct house {
    struct test *t;
    struct test_engine fixture;
    struct kw_store *shelf;                /* NULL: on SQLite */
    const struct kw_pepper_keeper *keeper; /* of the engine; NULL: none */
    const struct kw_peppers *kept;         /* what house_open(house, NULL) opens with */
    bool opens_at_once;                    /* before the index is filled */
    bool forgets_erased;                   /* when a pepper is retired */
    char folder[64];
    struct kw_error error; /* of the last opening */
    uint8_t record_memory[4096];
};

/* False, and a failed check, when there is no store. */
bool house_begin(struct test *t, struct house *house, bool on_sqlite);
void house_end(struct house *house);
enum kw_status house_open(struct house *house, const char *peppers);
void house_close(struct house *house);
void house_pepper(char letter, struct kw_secret *pepper_out);

/* When it returns, what verifications left word of before is written. */
void house_settle(struct house *house);

/* The record as the store has it; false when it has none. The last one read is valid. */
bool house_record(struct house *house, const struct kw_id *id, struct kw_record *record_out);
/* Whether the store has a row, erased or not, under the key's digest by that method. */
bool house_has_digest(struct house *house, uint8_t method, struct kw_bytes key);

enum house_state { HOUSE_ACTIVE, HOUSE_REVOKED, HOUSE_ERASED };
/* Puts a record into the store as an import would, past the engine, which is to be opened after it or told by a load.
 */
struct kw_id house_import(struct house *house, struct kw_bytes key, uint8_t method, uint8_t number,
                          enum house_state state);
/* What a verification in the default project says; asks the store where it must. */
enum kw_code house_verify(struct house *house, struct kw_bytes key);
enum kw_status house_change_project(struct house *house, const char *json);

#endif
