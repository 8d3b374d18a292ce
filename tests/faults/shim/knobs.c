/* The two knobs: syncs that are skipped, to prove that a test would notice, and a disk that is full or broken. */
#include "shim.h"

#include <fnmatch.h>

#define MOST 32

static struct {
    const char *kind, *glob;
} ignored[MOST];
static struct {
    const char *glob, *op, *control;
    int error;
} faults[MOST];

static char *part(char **rest, const char *separator, const char *whole)
{
    char *text = strsep(rest, separator);
    if (!text || !*text)
        die("cannot be understood", whole);
    return text;
}

static bool is_one_of(const char *word, const char **words)
{
    while (*words && strcmp(word, *words))
        words++;
    return *words;
}

__attribute__((constructor)) static void begin(void)
{
    char *ignore = getenv("SHIM_IGNORE"), *fail = getenv("SHIM_FAIL");
    char *rest = ignore ? strdup(ignore) : NULL;
    for (int i = 0; rest; i++) {
        if (i == MOST)
            die("too many patterns", "SHIM_IGNORE");
        char *entry = part(&rest, ",", ignore);
        ignored[i].kind = part(&entry, ":", ignore);
        ignored[i].glob = part(&entry, "", ignore);
        if (!is_one_of(ignored[i].kind, (const char *[]){"file", "dir", "fsync", "fdatasync", NULL}))
            die("a pattern is file:GLOB, dir:GLOB, fsync:GLOB or fdatasync:GLOB", ignore);
    }
    rest = fail ? strdup(fail) : NULL;
    for (int i = 0; rest; i++) {
        if (i == MOST)
            die("too many patterns", "SHIM_FAIL");
        char *entry = part(&rest, ",", fail);
        faults[i].glob = part(&entry, ":", fail);
        faults[i].op = part(&entry, ":", fail);
        const char *error = part(&entry, ":", fail);
        faults[i].error = !strcmp(error, "ENOSPC") ? ENOSPC : !strcmp(error, "EIO") ? EIO : 0;
        faults[i].control = part(&entry, "", fail);
        if (!faults[i].error || !is_one_of(faults[i].op, (const char *[]){"write", "fsync", "synced", NULL}))
            die("a fault is GLOB:write|fsync|synced:ENOSPC|EIO:SWITCH", fail);
    }
}

bool sync_is_ignored(const char *kind, const char *relative)
{
    for (int i = 0; i < MOST && ignored[i].glob; i++)
        if (!strcmp(ignored[i].kind, kind) && !fnmatch(ignored[i].glob, relative, 0))
            return true;
    return false;
}

bool has_faults(void)
{
    return faults[0].glob;
}

/* The error that `op` shall fail with now, or 0. */
int fault(const char *op, const char *relative)
{
    for (int i = 0; i < MOST && faults[i].glob; i++)
        if (!strcmp(faults[i].op, op) && !fnmatch(faults[i].glob, relative, 0) && !access(faults[i].control, F_OK))
            return faults[i].error;
    return 0;
}
