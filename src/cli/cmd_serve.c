#include "cli/banner.h"
#include "cli/config.h"

#include "base/log.h"
#include "base/time.h"
#include "core/transition.h"
#include "notify/notify.h"
#include "server/server.h"

#include <signal.h>

/* What the options of `serve` come to. Secrets stay where they are, and are wiped there when they were used. */
struct serving {
    struct kw_data_options data;
    struct kw_server_options server;
    struct kw_address_range proxies[KW_PROXIES_MAX];
    struct kw_address_range allowed[KW_GUARD_ALLOWED_MAX]; /* --allow-private */
    struct kw_geo *geo;
    struct kw_config config; /* --config */
    struct kw_root_key_wish root;
    struct kw_log log;
};

static enum kw_status take_level(const struct kw_command_line *line, enum kw_log_level *level_out,
                                 struct kw_error *error_out)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *wanted = kw_line_value(line, "log-level");
    *level_out = KW_LOG_INFO;
    for (size_t i = 0; wanted != NULL && i < KW_COUNT_OF(names); i++) {
        if (strcmp(names[i], wanted) == 0) {
            *level_out = (enum kw_log_level)i;
            return KW_OK;
        }
    }
    return wanted == NULL
               ? KW_OK
               : kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--log-level must be debug, info, warn or error");
}

static enum kw_status take_timeouts(const struct kw_command_line *line, struct kw_server_options *options,
                                    struct kw_error *error_out)
{
    const struct {
        const char *option;
        unsigned *ms;
    } timeouts[] = {
        {"header-timeout", &options->header_timeout_ms}, {"body-timeout", &options->body_timeout_ms},
        {"idle-timeout", &options->idle_timeout_ms},     {"write-timeout", &options->write_timeout_ms},
        {"drain-timeout", &options->drain_timeout_ms},
    };
    for (size_t i = 0; i < KW_COUNT_OF(timeouts); i++) {
        const char *text = kw_line_value(line, timeouts[i].option);
        int64_t ms = 0;
        if (text != NULL && (!kw_duration_parse(kw_bytes_of_text(text), &ms) || ms > INT64_C(86400) * 1000)) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                           "--%s must be a duration of at most a day, such as 500ms, 30s or 5m", timeouts[i].option);
        }
        *timeouts[i].ms = (unsigned)ms;
    }
    return KW_OK;
}

static enum kw_status take_limits(const struct kw_command_line *line, struct kw_server_options *options,
                                  struct kw_error *error_out)
{
    uint64_t loops, connections;
    enum kw_status status = kw_line_number(line, "loops", 1, KW_SERVER_LOOPS_MAX, 0, &loops, error_out);
    if (status == KW_OK) {
        status = kw_line_number(line, "connections", 1, 10000000, 0, &connections, error_out);
    }
    if (status != KW_OK) {
        return status;
    }
    options->loop_count = (unsigned)loops;
    options->connection_max = (unsigned)connections;
    return take_timeouts(line, options, error_out);
}

/* The ranges that an option which may be repeated names. */
static enum kw_status take_ranges(const struct kw_command_line *line, const char *name, struct kw_address_range *ranges,
                                  size_t most, size_t *count_out, struct kw_error *error_out)
{
    const struct kw_option *option = kw_command_option(line->command, name);
    size_t count = 0;
    for (size_t i = 0; i < line->given_count; i++) {
        if (line->given[i].option != option) {
            continue;
        }
        const char *why;
        const char *text = line->given[i].value;
        if (count == most) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s may stand at most %zu times: give ranges",
                           name, most);
        }
        if (kw_address_range_parse(kw_bytes_of_text(text), &ranges[count], &why) != KW_OK) {
            return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--%s %s %s", name,
                           kw_looks_like_key(text) ? "…" : text, why);
        }
        count++;
    }
    *count_out = count;
    return KW_OK;
}

static enum kw_status take_origins(const struct kw_command_line *line, struct serving *serving,
                                   struct kw_error *error_out)
{
    const char *path = kw_line_value(line, "geo-database");
    size_t proxy_count = 0;
    size_t allowed_count = 0;
    enum kw_status status = take_ranges(line, "trust-proxy", serving->proxies, KW_PROXIES_MAX, &proxy_count, error_out);
    status = status != KW_OK ? status
                             : take_ranges(line, "allow-private", serving->allowed, KW_GUARD_ALLOWED_MAX,
                                           &allowed_count, error_out);
    serving->server.origins.proxies = (struct kw_proxies){serving->proxies, proxy_count};
    serving->data.guard = (struct kw_guard){serving->allowed, allowed_count};
    if (status == KW_OK && path != NULL) {
        status = kw_geo_open(path, &serving->geo, error_out);
        serving->server.origins.geo = serving->geo;
    }
    return status;
}

static enum kw_status take_options(struct kw_cli *cli, const struct kw_command_line *line, struct serving *serving,
                                   struct kw_error *error_out)
{
    const char *path = kw_line_value(line, "data");
    const char *listen = kw_line_value(line, "listen");
    serving->log = (struct kw_log){.fd = cli->err.fd, .clock = cli->clock};
    cli->data_path = path == NULL ? KW_CLI_DEFAULT_DATA : path;
    serving->data = (struct kw_data_options){
        .path = cli->data_path,
        .may_make = true,
        .pepper_file = kw_line_value(line, "pepper-file"),
        .audit_key_file = kw_line_value(line, "audit-key-file"),
        .checkpoint_file = kw_line_value(line, "checkpoint-file"),
        .pepper_hex = kw_buffer_bytes(&cli->environment.pepper),
        .clock = cli->clock,
        .entropy = cli->entropy,
        .log = &serving->log,
    };
    serving->server = (struct kw_server_options){
        .log = &serving->log,
        .clock = cli->clock,
        .listen = listen == NULL ? KW_CLI_DEFAULT_LISTEN : listen,
        .tls_cert = kw_line_value(line, "tls-cert"),
        .tls_key = kw_line_value(line, "tls-key"),
    };
    serving->root = (struct kw_root_key_wish){
        .chosen = &cli->environment.root_key,
        .make_new = kw_line_has(line, "new-root-key"),
        .on_terminal = cli->out.is_terminal,
        .entropy = cli->entropy,
    };
    if ((serving->server.tls_cert == NULL) != (serving->server.tls_key == NULL)) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL, "--tls-cert and --tls-key go together: give both");
    }
    if (serving->root.make_new && serving->root.chosen->size > 0) {
        return kw_fail(error_out, KW_E_INVALID, KW_CLI_USAGE, NULL,
                       "--new-root-key makes a key, KEYWARD_ROOT_KEY sets one: use one of the two");
    }
    enum kw_status status = take_level(line, &serving->log.level_min, error_out);
    status = status == KW_OK ? take_limits(line, &serving->server, error_out) : status;
    const char *config = kw_line_value(line, "config");
    if (status == KW_OK && config != NULL) {
        status = kw_config_read(config, &serving->config, error_out);
    }
    return status == KW_OK ? take_origins(line, serving, error_out) : status;
}

/* Says where the server is and what its root key is; from then on the key is the reader's to keep. */
static enum kw_status greet(struct kw_cli *cli, const struct serving *serving, const struct kw_data_folder *folder,
                            const struct kw_server *server, struct kw_error *error_out)
{
    struct kw_root_key root = {0};
    enum kw_status status = kw_root_key_settle(folder, &serving->root, &root, error_out);
    if (status != KW_OK) {
        return status;
    }
    struct kw_banner banner = {
        .folder = folder,
        .root = &root,
        .listen = serving->server.listen,
        .port = kw_server_port(server),
        .tls = serving->server.tls_cert != NULL,
    };
    kw_banner_write(&banner, &cli->out);
    status = kw_output_flush(&cli->out, error_out);
    if (status == KW_OK && root.place == KW_ROOT_KEY_TERMINAL) {
        status = kw_root_key_shown(folder, error_out);
    }
    kw_secret_wipe(&root.key);
    return status;
}

static enum kw_status serve(struct kw_cli *cli, struct serving *serving, struct kw_error *error_out)
{
    struct kw_data_folder folder = {.fd = -1, .lock_fd = -1};
    struct kw_server *server = NULL;
    enum kw_status status = kw_data_folder_open(&serving->data, &folder, error_out);
    kw_buffer_deinit(&cli->environment.pepper);
    kw_secret_wipe(&cli->environment.key);
    if (status != KW_OK) {
        return status;
    }
    serving->server.engine = folder.engine;
    struct kw_notify *notify = NULL;
    struct kw_notify_options notify_options = {.engine = folder.engine,
                                               .log = &serving->log,
                                               .clock = cli->clock,
                                               .entropy = cli->entropy,
                                               .setup = &serving->config.setup};
    if (kw_notify_start(&notify_options, &notify) != KW_OK) {
        status = kw_fail(error_out, KW_E_MEMORY, KW_CLI_FAILED, NULL, "there is no memory left to start with");
    }
    serving->server.notify = notify;
    /* It listens before a root key is made: a start that fails for its port has shown none. */
    status = status == KW_OK ? kw_server_open(&serving->server, &server, error_out) : status;
    if (status == KW_OK) {
        status = greet(cli, serving, &folder, server, error_out);
    }
    kw_secret_wipe(&cli->environment.root_key);
    if (status == KW_OK) {
        status = kw_server_run(server, error_out);
    }
    kw_notify_stop(notify);
    kw_server_close(server);
    kw_data_folder_close(&folder);
    return status;
}

int kw_cmd_serve(struct kw_cli *cli, const struct kw_command_line *line)
{
    struct serving serving = {0};
    struct kw_error error = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    enum kw_status status = take_options(cli, line, &serving, &error);
    if (status == KW_OK) {
        status = serve(cli, &serving, &error);
    }
    kw_geo_close(serving.geo);
    kw_config_deinit(&serving.config);
    return status == KW_OK ? KW_EXIT_OK : kw_report(cli, &error, false);
}
