/* The undo log and what is known of it: which nodes have changes that no sync covers.
 * Owns the one mutex; everything under `shared` is seen by forked children too. */
#include "shim.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define NODES (1u << 16)
#define PIECE (1u << 20)
#define COMPACT_AT (1u << 20) /* a log that is all covered starts again once it is this long */

struct node {
    uint64_t ino, round, last, covered;
};
static struct {
    pthread_mutex_t mutex;
    bool inherited; /* the log has records from before this process, so its own view is not all */
    uint64_t round; /* how often the log started again; nodes of another round are empty slots */
    uint64_t end;
    uint64_t dirty;
    uint64_t used;
    struct node nodes[NODES];
} *shared;
static int log_fd = -1;
static char log_path[PATH_MAX - 64];

void die(const char *why, const char *what)
{
    dprintf(2, "sync shim: %s: %s\n", what, why);
    abort();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIM_LOG");
    if (!path)
        return;
    if (path[0] != '/' || strlen(path) >= sizeof log_path)
        die("SHIM_LOG must be an absolute path", path);
    strcpy(log_path, path);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        die(strerror(errno), "mmap");
    shared->round = 1;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->mutex, &attributes);
}

void lock(void)
{
    if (pthread_mutex_lock(&shared->mutex) == EOWNERDEAD)
        pthread_mutex_consistent(&shared->mutex);
}

void unlock(void)
{
    int kept = errno;
    pthread_mutex_unlock(&shared->mutex);
    errno = kept;
}

/* Where the whole records end: a kill can tear the last one, whose change was then never made, and what is noted
 * next must not be taken for the rest of it. */
static uint64_t end_of_records(uint64_t size)
{
    uint64_t end = 0;
    for (;;) {
        struct head head;
        if (pread(log_fd, &head, sizeof head, end) != (ssize_t)sizeof head || size - end - sizeof head < head.length)
            return end;
        end += sizeof head + head.length;
    }
}

/* On first use, so that a shell or launcher that only starts the server leaves the log alone. */
static void open_log(void)
{
    log_fd = REAL(open)(log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        die(strerror(errno), log_path);
    if (flock(log_fd, LOCK_EX | LOCK_NB))
        die("another process writes this undo log", log_path);
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s.kept", log_path);
    if (REAL(mkdir)(kept, 0700) && errno != EEXIST)
        die(strerror(errno), kept);
    struct stat st;
    fstat(log_fd, &st);
    shared->end = end_of_records(st.st_size);
    if (shared->end < (uint64_t)st.st_size && REAL(ftruncate)(log_fd, shared->end))
        die(strerror(errno), log_path);
    shared->inherited = shared->end > 0;
}

void kept_path(uint64_t node, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s.kept/%llu", log_path, (unsigned long long)node);
}

static struct node *find(uint64_t ino)
{
    for (uint64_t i = ino * 0x9E3779B97F4A7C15u;; i++) {
        struct node *node = &shared->nodes[i % NODES];
        if (node->round != shared->round) {
            if (++shared->used > NODES / 2)
                die("too many files for one undo log", log_path);
            *node = (struct node){.ino = ino, .round = shared->round};
            return node;
        }
        if (node->ino == ino)
            return node;
    }
}

/* `last` and `covered` are ends of records, so 0 is before every record. */
static bool clean(const struct node *node)
{
    return node->last <= node->covered;
}

/* Whether no change of this node waits for a sync. */
bool is_clean(uint64_t ino)
{
    if (log_fd < 0)
        open_log();
    return clean(find(ino)) && !shared->inherited;
}

static void append(uint32_t kind, uint64_t ino, uint64_t a, uint64_t b, const void *bytes, size_t length)
{
    if (log_fd < 0)
        open_log();
    struct head head = {.kind = kind, .length = length, .node = ino, .a = a, .b = b};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)bytes, length}};
    if (REAL(writev)(log_fd, parts, 2) != (ssize_t)(sizeof head + length))
        die("cannot write the undo log", log_path);
    shared->end += sizeof head + length;
    if (kind == SYNC)
        return;
    struct node *node = find(ino);
    shared->dirty += clean(node);
    node->last = shared->end;
}

/* Notes what `length` bytes at `offset` of a file are now, and how long it is. With the lock. */
void note_data(int fd, const struct stat *st, off_t offset, off_t length)
{
    static char piece[PIECE];
    off_t end = length < st->st_size - offset ? offset + length : st->st_size;
    if (end <= offset) {
        append(DATA, st->st_ino, st->st_size, st->st_size, NULL, 0);
        return;
    }
    int from = fd;
    while (offset < end) {
        size_t want = end - offset < (off_t)PIECE ? (size_t)(end - offset) : PIECE;
        ssize_t got = pread(from, piece, want, offset);
        if (got < 0 && errno == EBADF && from == fd) {
            /* Opened for writing only. Closing this one drops the process's POSIX locks of the file, which
             * only SQLite takes, and SQLite opens for both. */
            char self[32];
            snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
            from = REAL(open)(self, O_RDONLY | O_CLOEXEC);
            continue;
        }
        if (got <= 0)
            die("cannot read what is overwritten", strerror(errno));
        append(DATA, st->st_ino, st->st_size, offset, piece, got);
        offset += got;
    }
    if (from != fd)
        REAL(close)(from);
}

void note_entry(uint64_t directory, const char *name, uint64_t before)
{
    append(ENTRY, directory, before, 0, name, strlen(name));
}

/* Where a sync that begins now begins. With the lock, so that no noted change is still under way. */
struct mark mark(void)
{
    if (log_fd < 0)
        open_log();
    return (struct mark){.round = shared->round, .end = shared->end};
}

/* Everything is durable: the log starts again, and removed files go for good. */
static void compact(void)
{
    if (REAL(ftruncate)(log_fd, 0))
        die(strerror(errno), log_path);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.kept", log_path);
    DIR *kept = opendir(path);
    if (!kept)
        die(strerror(errno), path);
    for (struct dirent *file; (file = readdir(kept));)
        REAL(unlinkat)(dirfd(kept), file->d_name, file->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(kept);
    shared->round++;
    shared->end = shared->used = 0;
}

/* Notes that a sync of `node` that began at `from` has returned. With the lock. */
void note_sync(uint64_t ino, struct mark from)
{
    if (from.round != shared->round)
        return; /* the log started again meanwhile: everything before `from` was covered already */
    struct node *node = find(ino);
    if (clean(node) && !shared->inherited)
        return;
    append(SYNC, ino, from.end, 0, NULL, 0);
    bool was_clean = clean(node);
    if (from.end > node->covered)
        node->covered = from.end;
    shared->dirty -= !was_clean && clean(node);
    if (shared->dirty == 0 && shared->end > COMPACT_AT && !shared->inherited)
        compact();
}
