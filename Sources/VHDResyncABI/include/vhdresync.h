/*
 * vhdresync: makes a stale VHDX disk image read exactly as another one, and writes only the blocks
 * that differ. This is its C interface, for C99, C++ and whatever can call C; it is compiled and
 * linked with what `pkg-config --cflags --libs vhdresync` says. docs/embedding.md has examples.
 *
 * Codes.    A function that can fail returns one of the codes below, as Hyper-V documents them for
 *           Msvm_ReplicationService.Resynchronize: 0 for success, 4096 for a job that runs, and a
 *           number from 32768 on for a failure. vhdresync_last_error() says what failed.
 *
 * Texts.    UTF-8 that ends with a zero. What is passed in is copied before the call returns. A
 *           text that comes back through a `char **` belongs to the caller, who gives it to
 *           vhdresync_text_free(); one that is returned as `const char *` belongs to the library.
 *           A pointer through which something comes back is NULL where nothing comes.
 *
 * Handles.  Jobs, images and services belong to the caller, who gives each back once. A handle is a
 *           number in the form of a pointer, and no number is used twice: one that is NULL, was
 *           given back or is of another kind is refused with 32773, and nothing is read through it.
 *
 * Threads.  Every function may be called from any thread, and several at once with one handle. The
 *           work is done in threads of the library. It handles no signal, and starts no process but
 *           the one that reaches another host over ssh. A child of fork() calls nothing here before
 *           it has called exec(). The library stays loaded until the process ends.
 *
 * Growth.   A structure begins with its size, `struct_size`, which the caller sets to sizeof. Later
 *           versions add fields at its end: the library takes absent ones as zero, fills in no more
 *           than there is room for, and refuses with 32770 what it does not know and is not zero.
 *
 * Crashes.  If the process is killed or loses power while a replica is written, the replica is
 *           afterwards as it was, or reads as its primary, or refuses to open until
 *           vhdresync_recover_start() or the next run has finished it; docs/journal.md says how.
 */

#ifndef VHDRESYNC_H
#define VHDRESYNC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* MARK: The library */

/* The version that this file belongs to. */
#define VHDRESYNC_VERSION "0.1.0"

/* The version of the library that is loaded. */
const char *vhdresync_version(void);

/* Return codes. docs/return-codes.md says of each when it is returned. */
/* Done; of a job that writes: the replica was proven to read as it is to. */
#define VHDRESYNC_COMPLETED 0u
/* The parameters were right, and the job runs. */
#define VHDRESYNC_JOB_STARTED 4096u
/* Damage, an I/O error, no space, a job that was cancelled: anything with no better code. */
#define VHDRESYNC_FAILED 32768u
/* The system or another host denies it. */
#define VHDRESYNC_ACCESS_DENIED 32769u
/* Something of a later version, or that the file system cannot do. */
#define VHDRESYNC_NOT_SUPPORTED 32770u
/* The connection broke while the other host finished the replica. */
#define VHDRESYNC_STATUS_UNKNOWN 32771u
/* timeout_ms has passed, or the other host was silent for too long. */
#define VHDRESYNC_TIMEOUT 32772u
/* A parameter makes no sense, a handle is none, both disks are one file. */
#define VHDRESYNC_INVALID_PARAMETER 32773u
/* Somebody else has a disk open, or another image builds on the replica. */
#define VHDRESYNC_SYSTEM_IN_USE 32774u
/* Sizes differ, the primary changed meanwhile, a disk is half-written. */
#define VHDRESYNC_INVALID_STATE 32775u
/* Not a VHDX file, not a map, not a delta. */
#define VHDRESYNC_INCORRECT_DATA_TYPE 32776u
/* The other host cannot be reached. */
#define VHDRESYNC_SYSTEM_NOT_AVAILABLE 32777u
#define VHDRESYNC_OUT_OF_MEMORY 32778u
/* A disk is not there, or a parent of it. */
#define VHDRESYNC_FILE_NOT_FOUND 32779u

/* The documented name of a code: "File not found". "Unknown code" for any other number. */
const char *vhdresync_code_name(uint32_t code);

/*
 * What failed in the last call of this thread, in one clause: "cannot open /a.vhdx: No such file or
 * directory". Empty where that call did not fail, and never NULL. Only functions that return a code
 * count as calls. The text stays until the next of these calls of this thread.
 *
 * What went wrong in a job is the error of vhdresync_job_wait() and of vhdresync_resynchronize(),
 * and stands in the job's result.
 */
const char *vhdresync_last_error(void);

/* Gives a text back. NULL is nothing. */
void vhdresync_text_free(char *text);

/* MARK: Options */

/* What is to be done beyond the two disks: bits of `flags`. */
#define VHDRESYNC_DRY_RUN 0x1u       /* count what differs, and write nothing */
#define VHDRESYNC_CREATE 0x2u        /* make the replica if it does not exist */
#define VHDRESYNC_GROW 0x4u          /* make a replica that is smaller as large as the primary */
#define VHDRESYNC_FORCE 0x8u         /* write to the replica even if another image builds on it */
#define VHDRESYNC_VERIFY 0x10u       /* read the whole replica again afterwards */
#define VHDRESYNC_CHECK_PARENTS 0x20u /* vhdresync_check: check the images that it builds on too */

/* How blocks are compared: `compare`. */
#define VHDRESYNC_COMPARE_HASH 0u  /* by SHA-256 */
#define VHDRESYNC_COMPARE_BYTES 1u /* byte by byte, on one host, without a root digest */

/* What computes SHA-256: `hash_provider`. The digests are the same. */
#define VHDRESYNC_HASH_AUTO 0u    /* the fastest that this processor has */
#define VHDRESYNC_HASH_OPENSSL 1u /* OpenSSL alone */

/* What becomes of the page cache: `cache_use`. */
#define VHDRESYNC_CACHE_KEEP 0u /* what was read and written stays in it, as the system sees fit */
#define VHDRESYNC_CACHE_DROP 1u /* what was not in it before is given back */

/* How a replica is written: `write_method`. */
#define VHDRESYNC_WRITE_JOURNAL 0u  /* from a journal beside it that holds everything */
#define VHDRESYNC_WRITE_CLONE 1u    /* the same, to a clone that then takes its place */
#define VHDRESYNC_WRITE_IN_PLACE 2u /* without a journal: a stop leaves it half-written */

/* What the bytes of a disk's file mean: `primary_format`, `replica_format`. */
#define VHDRESYNC_FORMAT_AUTO 0u /* a block device is a raw disk, and a file an image */
#define VHDRESYNC_FORMAT_VHDX 1u
#define VHDRESYNC_FORMAT_RAW 2u

/*
 * What a call may be told beside its disks. Zero, or NULL, is the default of each field, which
 * stands in brackets, and a NULL pointer in the place of the structure is all of the defaults.
 * Fields that mean nothing to a call are checked, and have no effect.
 */
typedef struct vhdresync_options {
    uint32_t struct_size; /* sizeof (vhdresync_options) */
    uint32_t flags;
    /* The unit of comparison in bytes: a power of two from 4096 to 16 MiB. [65536] */
    uint32_t block_size;
    /* Threads that read and hash, 1 to 256. [one for each processor] */
    uint32_t worker_count;
    uint32_t compare;        /* VHDRESYNC_COMPARE_... */
    uint32_t write_method;   /* VHDRESYNC_WRITE_... */
    uint32_t primary_format; /* VHDRESYNC_FORMAT_... */
    uint32_t replica_format;
    /* How often to call another host again when a connection breaks, up to 1000000. */
    uint32_t retry_count;
    /* Between two calls of a progress callback, 10 to 10000. [200] */
    uint32_t progress_interval_ms;
    /* After so long a job stops, with 32772. [never] */
    uint64_t timeout_ms;
    /* The most that crosses a connection, 1024 at least. [no limit] */
    uint64_t bytes_per_second;
    /* How long another host may be silent, 1000 to 86400000. [60000] */
    uint64_t idle_timeout_ms;
    /* Where the journal stands. [beside the replica] */
    const char *journal_folder;
    /* With VHDRESYNC_CREATE: the image that the new replica builds on. [none] */
    const char *parent_of_replica;
    /* Folders in which parents may be, beside those of the images that build on them. */
    const char *const *parent_folders;
    uint64_t parent_folder_count;
    /* What reaches a host, for host:path, and how vhdresync is started there. Both are taken apart
       at spaces, and quotes keep words together. ["ssh" and "vhdresync"] */
    const char *remote_shell;
    const char *remote_command;
    /* Files for vhdresync://, which needs all three: the certificate and the key of this side, and
       the authorities that it trusts. */
    const char *certificate;
    const char *key;
    const char *authorities;
    uint32_t hash_provider; /* VHDRESYNC_HASH_... */
    uint32_t cache_use;     /* VHDRESYNC_CACHE_... */
} vhdresync_options;

/* MARK: Progress */

/* What a job is doing. A job that first finishes an earlier run has some phases twice. */
#define VHDRESYNC_PHASE_OPENING 0u
#define VHDRESYNC_PHASE_COMPARING 1u /* and recording what differs, or writing it in place */
#define VHDRESYNC_PHASE_RECEIVING 2u /* copying a delta to the journal */
#define VHDRESYNC_PHASE_APPLYING 3u  /* writing to the replica */
#define VHDRESYNC_PHASE_VERIFYING 4u
#define VHDRESYNC_PHASE_FINISHED 5u

/* Where a job stands: JobState of Msvm_ConcreteJob. */
#define VHDRESYNC_STATE_NEW 2u
#define VHDRESYNC_STATE_STARTING 3u
#define VHDRESYNC_STATE_RUNNING 4u
#define VHDRESYNC_STATE_SUSPENDED 5u     /* of a service alone */
#define VHDRESYNC_STATE_SHUTTING_DOWN 6u /* of a service alone */
#define VHDRESYNC_STATE_COMPLETED 7u
#define VHDRESYNC_STATE_TERMINATED 8u /* cancelled */
#define VHDRESYNC_STATE_EXCEPTION 10u /* failed */

/* A number that is not known, or not yet. */
#define VHDRESYNC_UNKNOWN 0xFFFFFFFFFFFFFFFFull

/* How far a job is at one instant. Counts are those of its result so far. */
typedef struct vhdresync_progress {
    uint32_t struct_size;
    uint32_t job_state;        /* VHDRESYNC_STATE_... */
    uint32_t phase;            /* VHDRESYNC_PHASE_... */
    uint32_t percent_complete; /* of the whole job; never falls, and 100 is a job that completed */
    uint32_t is_stopping;      /* 1 where it was asked to stop and has not ended yet */
    uint32_t block_size;       /* 0 until it is known */
    uint64_t elapsed_ms;
    uint64_t virtual_size; /* of the disk; 0 until it is open */
    uint64_t bytes_done;   /* of this phase: what it is through with, */
    uint64_t bytes_to_do;  /* and all of it */
    uint64_t blocks_total;
    uint64_t blocks_skipped; /* not read: stored on neither side or, by bytes, once for both */
    uint64_t blocks_compared;
    uint64_t blocks_differing;
    uint64_t bytes_compared;
    uint64_t bytes_differing; /* whole blocks */
    uint64_t bytes_read;      /* from both disks */
    uint64_t bytes_written;
    uint64_t bytes_sent;     /* over a connection, from the primary; 0 on one machine */
    uint64_t bytes_received; /* and to it */
    /* Over the last ten seconds of this phase, or VHDRESYNC_UNKNOWN. */
    uint64_t bytes_done_per_second;
    uint64_t bytes_read_per_second;
    uint64_t bytes_written_per_second;
    uint64_t bytes_sent_per_second;
    uint64_t eta_seconds; /* until the end of this phase, or VHDRESYNC_UNKNOWN */
} vhdresync_progress;

/*
 * Is told how far a job is: several times a second, as the options say, and once more at its end.
 *
 * It is called from threads of the library, never from two at once, and not after the job has
 * ended: once vhdresync_job_wait() has returned the job's code, or vhdresync_resynchronize() has
 * returned, `context` is the caller's alone. The progress is valid until the callback returns.
 * While the callback takes its time the job goes on, but does not end.
 *
 * It returns 0, or another number to cancel the job. It may call all functions here, but it may
 * neither wait for its own job nor free it: these calls return 32775 then.
 */
typedef int32_t (*vhdresync_progress_callback)(const vhdresync_progress *progress, void *context);

/* MARK: Jobs */

/* A job that runs or is over. */
typedef struct vhdresync_job vhdresync_job;

/*
 * Makes the replica read as the primary, and returns when that is done, or has failed.
 *
 * A disk is a path. One of the two may be on another host: "host:path" over ssh, or
 * "vhdresync://host/path" over TLS; "./a:b" is the file a:b. The replica is written through a
 * journal beside it, "REPLICA.resync"; one that VHDRESYNC_CREATE makes needs none. Success means
 * proof: what was written was read back, and the digest of the whole replica equals the primary's.
 *
 * progress may be NULL. result may be NULL too; through it comes back what became of a job that was
 * begun, whatever its end: the object that `vhdresync --json` prints. "Results for programs" in
 * README.md documents its fields.
 *
 * Returns the code of the job: never 4096.
 */
uint32_t vhdresync_resynchronize(
    const char *primary, const char *replica, const vhdresync_options *options,
    vhdresync_progress_callback progress, void *context, char **result);

/*
 * Starts a job and returns at once: 4096 and the job, or the code of parameters that make no sense,
 * and no job. What is wrong with the disks is the end of the job. progress and options may be NULL.
 *
 *   resynchronize  makes the replica read as the primary
 *   recover        finishes a replica that an interrupted run has left half-written
 *   map            writes the digests of a disk to the file `map`
 *   diff           compares a disk with another one, or with a map, and changes nothing; what
 *                  differs it writes to the file `delta`, unless that is NULL
 *   apply          makes the replica read as a delta says
 *
 * All but resynchronize work on disks of this host.
 */
uint32_t vhdresync_resynchronize_start(
    const char *primary, const char *replica, const vhdresync_options *options,
    vhdresync_progress_callback progress, void *context, vhdresync_job **job);
uint32_t vhdresync_recover_start(
    const char *replica, const vhdresync_options *options, vhdresync_progress_callback progress,
    void *context, vhdresync_job **job);
uint32_t vhdresync_map_start(
    const char *disk, const char *map, const vhdresync_options *options,
    vhdresync_progress_callback progress, void *context, vhdresync_job **job);
uint32_t vhdresync_diff_start(
    const char *primary, const char *replica_or_map, const char *delta,
    const vhdresync_options *options, vhdresync_progress_callback progress, void *context,
    vhdresync_job **job);
uint32_t vhdresync_apply_start(
    const char *delta, const char *replica, const vhdresync_options *options,
    vhdresync_progress_callback progress, void *context, vhdresync_job **job);

/* Says how far the job is. struct_size is set before the call. */
uint32_t vhdresync_job_progress(vhdresync_job *job, vhdresync_progress *progress);

/* Waits for ever: `timeout_ms` of vhdresync_job_wait(). */
#define VHDRESYNC_FOREVER 0xFFFFFFFFFFFFFFFFull

/*
 * Waits for the end of the job, for so long at most; 0 does not wait. Returns the code of the job,
 * or 4096 where it still runs.
 */
uint32_t vhdresync_job_wait(vhdresync_job *job, uint64_t timeout_ms);

/*
 * Asks the job to stop at the next block, and does not wait for that. The job ends with 32768, its
 * state is "terminated", and its error says what the replica is now. What was recorded stays in the
 * journal, and the next run goes on from there. A job that is over stays as it is.
 */
uint32_t vhdresync_job_cancel(vhdresync_job *job);

/*
 * Gives the result of a job that is over, the object that `vhdresync --json` prints, and returns 0,
 * whatever the code of the job. While the job runs: 4096, and NULL.
 */
uint32_t vhdresync_job_result(vhdresync_job *job, char **result);

/* Gives the job back. One that runs is cancelled, and its end waited for. NULL is nothing. */
uint32_t vhdresync_job_free(vhdresync_job *job);

/* MARK: Images */

/* An image that is open for reading, with all that it builds on. */
typedef struct vhdresync_image vhdresync_image;

#define VHDRESYNC_KIND_FIXED 1u
#define VHDRESYNC_KIND_DYNAMIC 2u
#define VHDRESYNC_KIND_DIFFERENCING 3u

/* What an image is. */
typedef struct vhdresync_image_description {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t virtual_size; /* bytes of the disk */
    uint64_t file_size;
    uint32_t payload_block_size;
    uint32_t logical_sector_size;
    uint32_t physical_sector_size;
    uint32_t log_is_dirty;    /* 1 where a log counts, which the next writer has to replay */
    char virtual_disk_id[40]; /* a GUID as text: the same for all copies of the disk */
    char data_write_guid[40]; /* another one after each change of the content */
} vhdresync_image_description;

/*
 * Opens an image for reading. Its file is locked against writers until it is closed, and not
 * changed by a bit. Of the options the folders of parents count; they may be NULL. An image that is
 * half-written is refused with 32775.
 */
uint32_t vhdresync_image_open(
    const char *path, const vhdresync_options *options, vhdresync_image **image);

/* Describes the image. struct_size is set before the call. */
uint32_t vhdresync_image_describe(
    vhdresync_image *image, vhdresync_image_description *description);

/* Reads bytes of the disk, all of which lie on it. */
uint32_t vhdresync_image_read(
    vhdresync_image *image, uint64_t offset, void *buffer, uint64_t count);

/* Closes the image, once the reads under way have ended. NULL is nothing. */
uint32_t vhdresync_image_close(vhdresync_image *image);

/*
 * Says what a file is, an image (a half-written one too), a digest map, a delta or a journal: the
 * object that `vhdresync info --json` prints.
 */
uint32_t vhdresync_info(const char *path, const vhdresync_options *options, char **info);

/* How much is wrong with an image and, with VHDRESYNC_CHECK_PARENTS, with what it builds on. */
typedef struct vhdresync_findings {
    uint32_t struct_size;
    uint32_t image_count; /* images that were checked */
    uint64_t error_count; /* an image with errors is one that nothing opens */
    uint64_t warning_count;
    uint64_t notice_count;
} vhdresync_findings;

/*
 * Holds an image against every rule of the format, and changes nothing. Returns 0 where there is no
 * error among the findings, and else the code of the worst one; the findings and the report come
 * back in both cases. Either may be NULL. The report is what `vhdresync check --json` prints.
 */
uint32_t vhdresync_check(
    const char *path, const vhdresync_options *options, vhdresync_findings *findings,
    char **report);

/* MARK: The replication service */

/*
 * A replication service in this process: the virtual machines of an inventory, their jobs, and what
 * is remembered of them. docs/service.md says what it promises; `vhdresync service` is one in a
 * process of its own.
 */
typedef struct vhdresync_service vhdresync_service;

/*
 * Starts a service. `configuration` is the inventory, which docs/inventory.md describes, and
 * `state_folder` keeps the jobs; it is made where it is missing. What an earlier service had
 * accepted goes on. `socket` is where `vhdresync vm` and `vhdresync job` reach it; NULL for
 * "service.sock" in the folder.
 *
 * Returns 0; 32773 for an inventory with mistakes, each of which is a line of
 * vhdresync_last_error(); 32774 where another service has the folder.
 */
uint32_t vhdresync_service_start(
    const char *configuration, const char *state_folder, const char *socket,
    vhdresync_service **service);

/*
 * Msvm_ReplicationService.Resynchronize: `computer_system` is the GUID or the name of a machine,
 * and `start_time` a CIM datetime, or NULL for now. Returns 4096 and, through job_id, the
 * InstanceID of the job, which no crash loses any more; or the code that says why there is none.
 * job_id may be NULL.
 */
uint32_t vhdresync_service_resynchronize(
    vhdresync_service *service, const char *computer_system, const char *start_time,
    char **job_id);

/*
 * Waits for the end of a job, for so long at most; 0 does not wait. Returns the code of the job, or
 * 4096 where it is not over: it may also wait for its time, or be suspended.
 *
 * progress may be NULL. It is called on this thread, several times a second, and once more at the
 * end; of the numbers those are set that docs/embedding.md lists. Where it returns another number
 * than 0, the job is asked to end.
 */
uint32_t vhdresync_service_job_wait(
    vhdresync_service *service, const char *job_id, uint64_t timeout_ms,
    vhdresync_progress_callback progress, void *context);

/*
 * Asks for anything that docs/control.md describes but watching: `request` is one JSON object, and
 * so is the answer. Returns the answer's return value where that is one of the codes here, and else
 * 0; the answer comes back in both cases.
 */
uint32_t vhdresync_service_request(
    vhdresync_service *service, const char *request, char **answer);

/*
 * Takes another inventory: what waits begins as that one says, and what is at work goes on. One
 * with mistakes is refused as a whole.
 */
uint32_t vhdresync_service_reload(vhdresync_service *service, const char *configuration);

/*
 * Ends the service and gives it back: comparisons stop, and go on with the next service; what is
 * being written to a replica is finished first. Waits for that. NULL is nothing.
 */
uint32_t vhdresync_service_stop(vhdresync_service *service);

#ifdef __cplusplus
}
#endif

#endif
