/*
 * A data folder, held by one process at a time: DIR/lock (who holds it), DIR/pepper, DIR/audit-key, DIR/keyward.db, and
 * DIR/sealing-key once there are webhooks. The library, `keyward serve` and commands with --data open it the same way.
 */
#ifndef KW_ENGINE_DATA_FOLDER_H
#define KW_ENGINE_DATA_FOLDER_H

#include "engine/engine.h"
#include "engine/peppers.h"

struct kw_data_folder {
    const char *path; /* borrowed */
    int fd;           /* of the folder */
    int lock_fd;
    bool was_there;     /* the database was there before */
    uint64_t key_count; /* in it, management keys aside */
    struct kw_engine *engine;
    struct kw_pepper_place *peppers;        /* where they are kept while the engine runs */
    struct kw_checkpoint_file *checkpoints; /* NULL: nobody wants copies of them */
    struct kw_sealing_place *sealing;
};

struct kw_data_options {
    const char *path;
    bool may_make;                       /* makes what is missing; else a folder without a database is an error */
    const char *pepper_file;             /* NULL: `pepper_hex`, or DIR/pepper */
    struct kw_bytes pepper_hex;          /* from the environment; size 0: none */
    const char *audit_key_file;          /* NULL: DIR/audit-key */
    const char *checkpoint_file;         /* that each checkpoint of the audit log is appended to; NULL: none */
    struct kw_bytes forgotten;           /* as in struct kw_engine_options */
    enum kw_digest_scheme digest_scheme; /* of new keys; 0: as it was, hmac-sha256 at first */
    bool schedules_by_hand;              /* whoever opens it says when schedules are seen to (scheduler.h) */
    struct kw_clock clock;
    struct kw_entropy entropy;
    const struct kw_log *log; /* borrowed until it is closed */
    struct kw_guard guard;    /* as in struct kw_engine_options */
};

/*
 * Takes the folder, sees to its pepper, opens the database and an engine on it. Fails with DATA_IN_USE,
 * PEPPER_MISMATCH, STORE_CORRUPT, STORE_NEWER and others, each with what to do. A pepper is made, and is durable,
 * before the database is; where there is a database it is never made. A key of the audit log is made wherever it is
 * missing.
 */
KW_MUST_USE enum kw_status kw_data_folder_open(const struct kw_data_options *options, struct kw_data_folder *folder_out,
                                               struct kw_error *error_out);
/* Finishes what is under way and lets go of the folder. Fine on one that is not open. */
void kw_data_folder_close(struct kw_data_folder *folder);

/* The peppers of the folder (pepper.c); where there is no database yet, one is made. */
KW_MUST_USE enum kw_status kw_pepper_find(const struct kw_data_folder *folder, const struct kw_data_options *options,
                                          struct kw_peppers *peppers_out, struct kw_error *error_out);
/*
 * Removes a file of peppers in the folder that a crash kept from taking its place. Nothing was made with what it alone
 * has; but only where the folder is known to come up without it.
 */
KW_MUST_USE enum kw_status kw_pepper_tidy(const struct kw_data_folder *folder, struct kw_error *error_out);
/*
 * Makes what the engine keeps peppers with. It outlives `options`; the folder's descriptor must outlive it.
 * KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_pepper_place_new(const struct kw_data_folder *folder,
                                               const struct kw_data_options *options,
                                               struct kw_pepper_place **place_out, struct kw_pepper_keeper *keeper_out);
void kw_pepper_place_free(struct kw_pepper_place *place);

/*
 * Makes what finds the key that secrets are sealed under, in a file of the folder (0600) that is made when it is first
 * needed. The folder's descriptor must outlive it. KW_E_MEMORY.
 */
KW_MUST_USE enum kw_status kw_sealing_place_new(const struct kw_data_folder *folder,
                                                const struct kw_data_options *options,
                                                struct kw_sealing_place **place_out,
                                                struct kw_sealing_keeper *keeper_out);
void kw_sealing_place_free(struct kw_sealing_place *place);

/*
 * Replaces the file that they come from, as a whole or not at all (0600). INVALID_FIELD where they come from the
 * environment, or the file is a link: then it is the operator who can change them.
 */
KW_MUST_USE enum kw_status kw_pepper_keep(const struct kw_data_folder *folder, const struct kw_data_options *options,
                                          const struct kw_peppers *peppers, struct kw_error *error_out);

#endif
