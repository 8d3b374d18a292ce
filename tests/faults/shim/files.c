/* Which descriptors and paths are under SHIM_DIR. A descriptor is looked up when it is first written to, and
 * forgotten when its number is given away; a path is looked up through its directory, held open meanwhile. */
#include "shim.h"

#define FDS 65536

enum { UNKNOWN = 0, FREE = 1, TRACKED = 2, APPENDS = 4, WRITES_THROUGH = 8 };
static unsigned char known[FDS];
static char root[PATH_MAX];
static size_t root_length;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIM_DIR");
    if (!path)
        return;
    if (!realpath(path, root))
        die("SHIM_DIR must exist", path);
    if (!getenv("SHIM_LOG"))
        die("SHIM_LOG is missing", path);
    root_length = strlen(root);
}

static const char *below_root(const char *path)
{
    if (!root_length || strncmp(path, root, root_length))
        return NULL;
    if (path[root_length] == 0)
        return ".";
    return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

/* The present path of `fd` relative to SHIM_DIR (the last one, if it has been removed), NULL if outside. */
const char *relative_of(int fd, char path[PATH_MAX])
{
    static const char gone[] = " (deleted)";
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(self, path, PATH_MAX - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    size_t suffix = sizeof gone - 1;
    if ((size_t)length > suffix && !strcmp(path + length - suffix, gone))
        path[length - suffix] = 0;
    return below_root(path);
}

bool is_shm(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && !strcmp(path + length - 4, "-shm");
}

void forget(int fd)
{
    if (fd >= 0 && fd < FDS)
        __atomic_store_n(&known[fd], UNKNOWN, __ATOMIC_RELAXED);
}

static unsigned char state_of(int fd)
{
    return fd >= 0 && fd < FDS ? __atomic_load_n(&known[fd], __ATOMIC_RELAXED) : (unsigned char)UNKNOWN;
}

static unsigned char resolve(int fd, const struct stat *st)
{
    char path[PATH_MAX];
    const char *relative = S_ISREG(st->st_mode) ? relative_of(fd, path) : NULL;
    unsigned char state = FREE;
    if (relative && !is_shm(relative)) {
        int flags = REAL(fcntl)(fd, F_GETFL);
        state = TRACKED | (flags & O_APPEND ? APPENDS : 0) | (flags & O_DSYNC ? WRITES_THROUGH : 0);
    }
    if (fd < FDS)
        __atomic_store_n(&known[fd], state, __ATOMIC_RELAXED);
    return state;
}

/* Whether writes to `fd` are to be noted; then `st` is its status. */
bool is_tracked(int fd, struct stat *st)
{
    unsigned char state = state_of(fd);
    if (!root_length || state == FREE || fd < 0 || fstat(fd, st))
        return false;
    if (state == UNKNOWN || !S_ISREG(st->st_mode))
        state = resolve(fd, st);
    return state & TRACKED;
}

bool appends(int fd)
{
    return fd < FDS ? state_of(fd) & APPENDS : REAL(fcntl)(fd, F_GETFL) & O_APPEND;
}

bool writes_through(int fd)
{
    return fd < FDS ? state_of(fd) & WRITES_THROUGH : REAL(fcntl)(fd, F_GETFL) & O_DSYNC;
}

/* Finds the directory that `path` names something in. False: not ours to note, call the real function.
 * True: call leave() in the end. */
bool locate(int at, const char *path, struct place *place)
{
    char parent[PATH_MAX], where[PATH_MAX];
    size_t length = path ? strlen(path) : 0;
    if (!root_length || length == 0 || length >= PATH_MAX)
        return false;
    memcpy(parent, path, length + 1);
    while (length > 1 && parent[length - 1] == '/')
        parent[--length] = 0;
    char *slash = strrchr(parent, '/');
    const char *name = slash ? slash + 1 : parent;
    if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > NAME_MAX || is_shm(name))
        return false;
    strcpy(place->name, name);
    if (slash)
        slash[slash == parent] = 0;
    int directory = REAL(openat)(at, slash ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return false;
    const char *relative = relative_of(directory, where);
    if (!relative) {
        REAL(close)(directory);
        return false;
    }
    int cut = snprintf(place->relative, PATH_MAX, "%s%s%s", strcmp(relative, ".") ? relative : "",
                       strcmp(relative, ".") ? "/" : "", name);
    if (cut >= PATH_MAX)
        die("path too long", path);
    struct stat st;
    fstat(directory, &st);
    place->directory = directory;
    place->directory_node = st.st_ino;
    look(place);
    return true;
}

/* Looks again at what the name leads to, now that the lock is held. */
void look(struct place *place)
{
    place->exists = !fstatat(place->directory, place->name, &place->st, AT_SYMLINK_NOFOLLOW);
}

int leave(struct place *place, int result)
{
    int kept = errno;
    REAL(close)(place->directory);
    errno = kept;
    return result;
}
