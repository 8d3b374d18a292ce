/* Calls that change what a directory holds. What a name stops leading to is kept beside the log, so that the
 * name can be given back and the inode's number goes to no other file. */
#include "shim.h"

#include <dirent.h>

static int noting(int at, const char *path, struct place *place)
{
    if (!locate(at, path, place))
        return 0;
    lock();
    look(place);
    return 1;
}

static int done(struct place *place, int result)
{
    unlock();
    return leave(place, result);
}

static void keep(const struct place *place)
{
    char path[PATH_MAX];
    kept_path(place->st.st_ino, path);
    if (REAL(linkat)(place->directory, place->name, AT_FDCWD, path, 0) && errno != EEXIST)
        die(strerror(errno), path);
}

static int remove_file(int at, const char *path)
{
    struct place place;
    if (!noting(at, path, &place))
        return REAL(unlinkat)(at, path, 0);
    if (place.exists && !S_ISDIR(place.st.st_mode)) {
        note_entry(place.directory_node, place.name, place.st.st_ino);
        keep(&place);
    }
    return done(&place, REAL(unlinkat)(place.directory, place.name, 0));
}

static bool is_empty(const struct place *place)
{
    int fd = REAL(openat)(place->directory, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        die(strerror(errno), place->relative);
    int entries = 0;
    while (entries <= 2 && readdir(directory))
        entries++;
    closedir(directory);
    return entries <= 2; /* itself and its parent */
}

/* An empty directory moves to where removed files are kept. */
static int remove_directory(int at, const char *path)
{
    struct place place;
    char kept[PATH_MAX];
    if (!noting(at, path, &place))
        return REAL(unlinkat)(at, path, AT_REMOVEDIR);
    if (!place.exists || !S_ISDIR(place.st.st_mode) || !is_empty(&place))
        return done(&place, REAL(unlinkat)(place.directory, place.name, AT_REMOVEDIR));
    note_entry(place.directory_node, place.name, place.st.st_ino);
    kept_path(place.st.st_ino, kept);
    return done(&place, REAL(renameat)(place.directory, place.name, AT_FDCWD, kept));
}

int unlink(const char *path)
{
    return remove_file(AT_FDCWD, path);
}

int rmdir(const char *path)
{
    return remove_directory(AT_FDCWD, path);
}

int unlinkat(int at, const char *path, int flags)
{
    return flags & AT_REMOVEDIR ? remove_directory(at, path) : remove_file(at, path);
}

int remove(const char *path)
{
    struct stat st;
    return !lstat(path, &st) && S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    struct place place;
    if (!noting(at, path, &place))
        return REAL(mkdirat)(at, path, mode);
    if (!place.exists)
        note_entry(place.directory_node, place.name, 0);
    return done(&place, REAL(mkdirat)(place.directory, place.name, mode));
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int at, const char *path)
{
    struct place place;
    if (!noting(at, path, &place))
        return REAL(symlinkat)(target, at, path);
    if (!place.exists)
        note_entry(place.directory_node, place.name, 0);
    return done(&place, REAL(symlinkat)(target, place.directory, place.name));
}

int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}

/* Finds both ends, or neither: a file that comes from outside may have writes that nobody noted. */
static bool noting_both(int from_at, const char *from, struct place *old, int to_at, const char *to, struct place *new)
{
    bool old_is_ours = locate(from_at, from, old), new_is_ours = locate(to_at, to, new);
    if (!old_is_ours && !new_is_ours)
        return false;
    if (!old_is_ours || !new_is_ours)
        die("a name over the border of SHIM_DIR cannot be followed", old_is_ours ? from : to);
    lock();
    look(old);
    look(new);
    return true;
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    struct place old, new;
    if (!noting_both(from_at, from, &old, to_at, to, &new))
        return REAL(linkat)(from_at, from, to_at, to, flags);
    if (old.exists && !new.exists)
        note_entry(new.directory_node, new.name, 0);
    int result = REAL(linkat)(old.directory, old.name, new.directory, new.name, flags);
    return leave(&old, done(&new, result));
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* A rename is two entries; across directories each half is durable with its own directory. */
static void note_rename(const struct place *old, const struct place *new, unsigned flags)
{
    bool same = new->exists && old->st.st_ino == new->st.st_ino;
    if (!old->exists || same || (new->exists && flags & RENAME_NOREPLACE))
        return; /* fails, or does nothing */
    if (S_ISDIR(old->st.st_mode) && old->directory_node != new->directory_node)
        die("moving a directory to another cannot be followed", old->relative);
    if (new->exists && S_ISDIR(new->st.st_mode) && !(flags & RENAME_EXCHANGE))
        die("renaming over a directory cannot be followed", new->relative);
    note_entry(old->directory_node, old->name, old->st.st_ino);
    note_entry(new->directory_node, new->name, new->exists ? new->st.st_ino : 0);
    if (new->exists && !S_ISDIR(new->st.st_mode))
        keep(new);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    struct place old, new;
    if (!noting_both(from_at, from, &old, to_at, to, &new))
        return REAL(renameat2)(from_at, from, to_at, to, flags);
    if (flags & RENAME_WHITEOUT)
        die("RENAME_WHITEOUT cannot be followed", to);
    note_rename(&old, &new, flags);
    int result = REAL(renameat2)(old.directory, old.name, new.directory, new.name, flags);
    return leave(&old, done(&new, result));
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}
