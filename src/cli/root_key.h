/*
 * The root management key at the start of the server: made once, shown once, and never lost silently. On a terminal it
 * is printed and stands nowhere else; without one it lies in DIR/root-key, which only its owner may read.
 */
#ifndef KW_CLI_ROOT_KEY_H
#define KW_CLI_ROOT_KEY_H

#include "cli/cli.h"
#include "engine/data_folder.h"

enum kw_root_key_place {
    KW_ROOT_KEY_FOUND,    /* it was there before */
    KW_ROOT_KEY_CHOSEN,   /* KEYWARD_ROOT_KEY */
    KW_ROOT_KEY_TERMINAL, /* made now, to be printed */
    KW_ROOT_KEY_FILE,     /* made now, in DIR/root-key */
};

struct kw_root_key {
    enum kw_root_key_place place;
    struct kw_secret key;  /* KW_ROOT_KEY_TERMINAL: print it, then call kw_root_key_shown. The caller wipes it */
    bool again;            /* made anew, since nobody can have seen the one before for certain */
    bool has_file;         /* DIR/root-key is there */
    int64_t created_at_ms; /* KW_ROOT_KEY_FOUND */
};

struct kw_root_key_wish {
    const struct kw_secret *chosen; /* from the environment; size 0: none */
    bool make_new;                  /* --new-root-key */
    bool on_terminal;
    struct kw_entropy entropy;
};

/*
 * Sees to the root key. What is made is announced before the store knows of it (DIR/root-key.new, without the key when
 * it goes to a terminal), so that a crash at any point leads to a new one being made and shown, never to one that
 * nobody knows.
 */
KW_MUST_USE enum kw_status kw_root_key_settle(const struct kw_data_folder *folder, const struct kw_root_key_wish *wish,
                                              struct kw_root_key *root_out, struct kw_error *error_out);
/* The key was printed. */
KW_MUST_USE enum kw_status kw_root_key_shown(const struct kw_data_folder *folder, struct kw_error *error_out);

#define KW_ROOT_KEY_FILE_NAME "root-key"

#endif
