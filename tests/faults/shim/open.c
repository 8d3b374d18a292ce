/* Calls that make, copy and end descriptors; of them only open changes anything: it creates and truncates. */
#include "shim.h"

#include <stdarg.h>

static int open_noting(struct place *place, int flags, mode_t mode)
{
    bool truncates = place->exists && flags & O_TRUNC;
    if (place->exists && S_ISLNK(place->st.st_mode) && !(flags & O_NOFOLLOW) && flags & (O_CREAT | O_TRUNC))
        die("creating or truncating through a symbolic link cannot be followed", place->relative);
    if (truncates && (flags & O_ACCMODE) == O_RDONLY)
        die("O_TRUNC without writing cannot be followed", place->relative);
    if (!place->exists && flags & O_CREAT) {
        errno = fault("write", place->relative);
        if (errno)
            return -1;
        note_entry(place->directory_node, place->name, 0);
    }
    int fd = REAL(openat)(place->directory, place->name, truncates ? flags & ~O_TRUNC : flags, mode);
    forget(fd);
    struct stat st;
    if (fd >= 0 && truncates && !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > 0) {
        note_data(fd, &st, 0, st.st_size);
        if (REAL(ftruncate)(fd, 0))
            die(strerror(errno), place->relative);
    }
    return fd;
}

static int open_at(int at, const char *path, int flags, mode_t mode)
{
    struct place place;
    bool changes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    if (!changes || flags & O_PATH || !locate(at, path, &place)) {
        int fd = REAL(openat)(at, path, flags, mode);
        forget(fd);
        char where[PATH_MAX];
        if (fd >= 0 && (flags & O_TMPFILE) == O_TMPFILE && relative_of(fd, where))
            die("O_TMPFILE cannot be followed", path);
        return fd;
    }
    if ((flags & O_TMPFILE) == O_TMPFILE)
        die("O_TMPFILE cannot be followed", path);
    lock();
    look(&place);
    int fd = open_noting(&place, flags, mode);
    unlock();
    return leave(&place, fd);
}

#define MODE(flags)                                              \
    ({                                                           \
        mode_t mode_ = 0;                                        \
        if ((flags) & (O_CREAT | __O_TMPFILE)) {                 \
            va_list rest_;                                       \
            va_start(rest_, flags);                              \
            mode_ = va_arg(rest_, mode_t);                       \
            va_end(rest_);                                       \
        }                                                        \
        mode_;                                                   \
    })

int open(const char *path, int flags, ...)
{
    return open_at(AT_FDCWD, path, flags, MODE(flags));
}
int open64(const char *, int, ...) __attribute__((alias("open")));

int openat(int at, const char *path, int flags, ...)
{
    return open_at(at, path, flags, MODE(flags));
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

/* What open and openat become in programs built with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *, int) __attribute__((alias("__open_2")));

int __openat_2(int at, const char *path, int flags)
{
    return open_at(at, path, flags, 0);
}
int __openat64_2(int, const char *, int) __attribute__((alias("__openat_2")));

int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *, mode_t) __attribute__((alias("creat")));

FILE *fopen(const char *path, const char *mode)
{
    struct place place;
    if (strpbrk(mode, "wa+") && locate(AT_FDCWD, path, &place))
        die("writing by stdio cannot be followed", path);
    return REAL(fopen)(path, mode);
}
FILE *fopen64(const char *, const char *) __attribute__((alias("fopen")));

int close(int fd)
{
    forget(fd);
    return REAL(close)(fd);
}

int dup(int fd)
{
    int copy = REAL(dup)(fd);
    forget(copy);
    return copy;
}

int dup2(int fd, int copy)
{
    forget(copy);
    return REAL(dup2)(fd, copy);
}

int dup3(int fd, int copy, int flags)
{
    forget(copy);
    return REAL(dup3)(fd, copy, flags);
}

int fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    int result = REAL(fcntl)(fd, command, argument);
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        forget(result);
    else if (command == F_SETFL)
        forget(fd);
    return result;
}
int fcntl64(int, int, ...) __attribute__((alias("fcntl")));
