/*
 * Makes a replica read as its primary, from C. The call blocks; a callback shows how far it is, and
 * stops it when somebody has pressed Ctrl-C.
 *
 *     cc -std=c99 resync.c $(pkg-config --cflags --libs vhdresync) -o resync
 *     ./resync PRIMARY REPLICA
 */

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include <vhdresync.h>

static volatile sig_atomic_t stop_requested = 0;

static void request_stop(int number) {
    (void)number;
    stop_requested = 1;
}

/* Called several times a second, from a thread of the library. */
static int32_t show(const vhdresync_progress *progress, void *context) {
    FILE *output = context;
    fprintf(output, "%3" PRIu32 " %%, %" PRIu64 " blocks differ", progress->percent_complete,
        progress->blocks_differing);
    if (progress->eta_seconds != VHDRESYNC_UNKNOWN) {
        fprintf(output, ", %" PRIu64 " s left in this phase", progress->eta_seconds);
    }
    fputc('\n', output);
    /* Not 0: stop at the next block. */
    return stop_requested;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: resync PRIMARY REPLICA\n");
        return 2;
    }
    signal(SIGINT, request_stop);

    /* All zeros are the defaults of all options. */
    vhdresync_options options = {0};
    options.struct_size = sizeof options;

    char *result = NULL;
    uint32_t code = vhdresync_resynchronize(argv[1], argv[2], &options, show, stderr, &result);
    if (code != VHDRESYNC_COMPLETED) {
        fprintf(stderr, "resync: %s (%" PRIu32 "): %s\n", vhdresync_code_name(code), code,
            vhdresync_last_error());
    }
    /* There is a result of every job that was begun. */
    if (result != NULL) puts(result);
    vhdresync_text_free(result);
    /* As the program does it: a process has 8 bits for its status. */
    return code == VHDRESYNC_COMPLETED ? 0 : (int)(code - 32767);
}
