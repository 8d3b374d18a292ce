/* fsync and fdatasync: what was done before one began is durable once it has returned.
 * sync_file_range, msync, sync and syncfs are not here: none of them is a sync to rely on. */
#include "shim.h"

static int synced(int fd, const char *call, int (*real)(int))
{
    char path[PATH_MAX];
    struct stat st;
    const char *relative = relative_of(fd, path);
    if (!relative || is_shm(relative) || fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return real(fd);
    bool is_directory = S_ISDIR(st.st_mode);
    if (sync_is_ignored(is_directory ? "dir" : "file", relative) || (!is_directory && sync_is_ignored(call, relative)))
        return 0;
    int error = fault("fsync", relative);
    if (error) {
        errno = error;
        return -1;
    }
    lock();
    struct mark from = mark();
    unlock();
    int result = real(fd);
    if (result == 0) {
        lock();
        note_sync(st.st_ino, from);
        unlock();
        error = fault("synced", relative);
        if (error) {
            errno = error;
            return -1;
        }
    }
    return result;
}

int fsync(int fd)
{
    return synced(fd, "fsync", REAL(fsync));
}

int fdatasync(int fd)
{
    return synced(fd, "fdatasync", REAL(fdatasync));
}
