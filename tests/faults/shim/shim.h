/* A disk that forgets: what the files of one directory share to note everything that is not synced yet.
 *
 * Loaded with LD_PRELOAD, the shim writes to an undo log, before each change of a file or name under SHIM_DIR,
 * what it takes to undo that change, and after each fsync or fdatasync what that sync made durable. After a
 * kill -9, harness/restore.rs undoes whatever no sync covered, as a power cut would. Files named *-shm are let be:
 * SQLite maps them and rebuilds them.
 *
 * The model is the strict one of POSIX: data and length of a file need a sync of that file, a name (created,
 * renamed, removed) needs a sync of its directory. A sync covers what was done before it began. Where a call
 * cannot be followed (a shared writable mapping, stdio, a rename over the border of SHIM_DIR), it is refused, or
 * the process is aborted with the reason. Not seen at all: raw system calls, mkstemp, file modes and times.
 *
 * Environment:
 *   SHIM_DIR     the directory
 *   SHIM_LOG     the undo log, outside of it and on the same file system; beside it SHIM_LOG.kept, for removed files
 *   SHIM_IGNORE  file:GLOB or dir:GLOB, comma-separated: a sync of these answers 0 and does nothing;
 *                fsync:GLOB or fdatasync:GLOB: of these files, by that call
 *   SHIM_FAIL    GLOB:OP:ERROR:SWITCH, comma-separated: while the file SWITCH exists, OP (write or fsync) of these
 *                fails with ERROR (ENOSPC or EIO); synced is an fsync that fails although it was done
 * A glob is fnmatch(3)'s on the path relative to SHIM_DIR (which is "." itself); * matches slashes too.
 */
#ifndef SHIM_H
#define SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The function of this name that the program would have called without us. */
#define REAL(name)                                                  \
    ({                                                              \
        static __typeof__(&name) real_;                             \
        if (!real_)                                                 \
            real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name);     \
        real_;                                                      \
    })

/* One record of the log: this head, then `length` bytes. Its place in the log is its number. */
struct head {
    uint32_t kind;
    uint32_t length;
    uint64_t node; /* inode number of the file or directory that changes; kept files keep theirs from reuse */
    uint64_t a, b;
};
enum {
    DATA = 1,  /* a = length of the file before, b = offset; bytes = what was at that offset */
    ENTRY = 2, /* a = inode that the name led to before, 0 for none; bytes = the name */
    SYNC = 3,  /* a = end of the log when the sync began: earlier records of this node are durable */
};

/* log.c */
_Noreturn void die(const char *why, const char *what);
void lock(void);
void unlock(void);
void note_data(int fd, const struct stat *st, off_t offset, off_t length);
void note_entry(uint64_t directory, const char *name, uint64_t before);
bool is_clean(uint64_t node);
struct mark {
    uint64_t round, end;
};
struct mark mark(void);
void note_sync(uint64_t node, struct mark from);
void kept_path(uint64_t node, char path[PATH_MAX]);

/* knobs.c */
bool sync_is_ignored(const char *kind, const char *relative);
int fault(const char *op, const char *relative);
bool has_faults(void);

/* files.c */
const char *relative_of(int fd, char path[PATH_MAX]);
bool is_shm(const char *path);
void forget(int fd);
bool is_tracked(int fd, struct stat *st);
bool appends(int fd);
bool writes_through(int fd);

/* The last part of a path, in a directory under SHIM_DIR that is held open. */
struct place {
    int directory;
    uint64_t directory_node;
    char name[NAME_MAX + 1];
    char relative[PATH_MAX];
    bool exists;
    struct stat st;
};
bool locate(int at, const char *path, struct place *place);
void look(struct place *place);
int leave(struct place *place, int result);

#endif
