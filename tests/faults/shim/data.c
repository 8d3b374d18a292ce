/* Calls that change the content or length of a file: note what was there, then let them through, in one lock. */
#include "shim.h"

#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

/* Offset of a write() or writev(): where the descriptor stands. */
#define HERE (-1)

enum change { WRITE, ALLOCATE, CUT };
enum outcome { REFUSED, UNTRACKED, NOTED };
static struct {
    uint64_t node;
    bool was_clean;
} current; /* of the holder of the lock */

static enum outcome before(enum change change, int fd, off_t offset, off_t length)
{
    struct stat st;
    char path[PATH_MAX];
    if (!is_tracked(fd, &st))
        return UNTRACKED;
    if (change != CUT && has_faults()) {
        const char *relative = relative_of(fd, path);
        int error = relative ? fault("write", relative) : 0;
        if (error) {
            errno = error;
            return REFUSED;
        }
    }
    lock();
    fstat(fd, &st);
    current.node = st.st_ino;
    current.was_clean = is_clean(st.st_ino);
    if (change == WRITE && appends(fd))
        offset = st.st_size; /* pwrite too, on Linux */
    else if (offset == HERE)
        offset = lseek(fd, 0, SEEK_CUR);
    note_data(fd, &st, offset, length);
    return NOTED;
}

/* A write through O_SYNC or O_DSYNC makes itself durable, but nothing written before it by other means. */
static void after(enum change change, enum outcome outcome, int fd, bool done)
{
    if (outcome != NOTED)
        return;
    if (change == WRITE && done && current.was_clean && writes_through(fd))
        note_sync(current.node, mark());
    unlock();
}

#define NOTING(fd, offset, length, call)                                   \
    ({                                                                     \
        enum outcome outcome_ = before(WRITE, fd, offset, length);         \
        ssize_t result_ = outcome_ == REFUSED ? -1 : (call);               \
        after(WRITE, outcome_, fd, result_ >= 0);                          \
        result_;                                                           \
    })

static off_t total(const struct iovec *parts, int count)
{
    off_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    return NOTING(fd, HERE, length, REAL(write)(fd, bytes, length));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return NOTING(fd, HERE, total(parts, count), REAL(writev)(fd, parts, count));
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return NOTING(fd, offset, length, REAL(pwrite)(fd, bytes, length, offset));
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return NOTING(fd, offset, total(parts, count), REAL(pwritev)(fd, parts, count, offset));
}
ssize_t pwritev64(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev")));

static bool refuses(int fd, int error)
{
    struct stat st;
    if (!is_tracked(fd, &st))
        return false;
    errno = error;
    return true;
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (flags && refuses(fd, EOPNOTSUPP))
        return -1;
    return NOTING(fd, offset, total(parts, count), REAL(pwritev2)(fd, parts, count, offset, flags));
}
ssize_t pwritev64v2(int, const struct iovec *, int, off_t, int) __attribute__((alias("pwritev2")));

/* These have errors after which every caller copies by read and write. */
ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags)
{
    return refuses(out, EXDEV) ? -1 : REAL(copy_file_range)(in, in_offset, out, out_offset, length, flags);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t length)
{
    return refuses(out, EINVAL) ? -1 : REAL(sendfile)(out, in, offset, length);
}
ssize_t sendfile64(int, int, off_t *, size_t) __attribute__((alias("sendfile")));

ssize_t splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags)
{
    return refuses(out, EINVAL) ? -1 : REAL(splice)(in, in_offset, out, out_offset, length, flags);
}

int ftruncate(int fd, off_t length)
{
    struct stat st;
    enum change change = !fstat(fd, &st) && length > st.st_size ? ALLOCATE : CUT;
    enum outcome outcome = length < 0 ? UNTRACKED : before(change, fd, length, LONG_MAX - length);
    int result = outcome == REFUSED ? -1 : REAL(ftruncate)(fd, length);
    after(change, outcome, fd, result == 0);
    return result;
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

int truncate(const char *path, off_t length)
{
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return REAL(truncate)(path, length);
    forget(fd);
    int result = ftruncate(fd, length), kept = errno;
    close(fd);
    errno = kept;
    return result;
}
int truncate64(const char *, off_t) __attribute__((alias("truncate")));

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && refuses(fd, EOPNOTSUPP))
        return -1;
    enum outcome outcome = before(ALLOCATE, fd, offset, length);
    int result = outcome == REFUSED ? -1 : REAL(fallocate)(fd, mode, offset, length);
    after(ALLOCATE, outcome, fd, result == 0);
    return result;
}
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));

/* Answers the error, and lets errno be. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
    int kept = errno;
    enum outcome outcome = before(ALLOCATE, fd, offset, length);
    int result = outcome == REFUSED ? errno : REAL(posix_fallocate)(fd, offset, length);
    after(ALLOCATE, outcome, fd, result == 0);
    errno = kept;
    return result;
}
int posix_fallocate64(int, off_t, off_t) __attribute__((alias("posix_fallocate")));

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    struct stat st;
    if (fd >= 0 && flags & MAP_SHARED && protection & PROT_WRITE && is_tracked(fd, &st)) {
        char path[PATH_MAX];
        die("a shared writable mapping cannot be followed", relative_of(fd, path));
    }
    return REAL(mmap)(address, length, protection, flags, fd, offset);
}
void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));
