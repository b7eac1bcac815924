/* cgroup.c - what the container or service that runs this process allows it.
 *
 * A limit may be set on the process's control group or on any group above it: the least counts.
 * Inside a container the path in /proc/self/cgroup may not exist; then only the root is looked at. */
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 1024 };

/* The path of this process in the hierarchy of `controller` ("" is version 2). */
static void group_path(const char *controller, char path[PATH_SIZE])
{
    path[0] = 0;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return;
    char line[PATH_SIZE];
    while (fgets(line, sizeof line, file)) { /* 5:cpu,cpuacct:/some/path */
        char *names = strchr(line, ':');
        char *group = names ? strchr(names + 1, ':') : NULL;
        if (!group) continue;
        *group = 0;
        bool found = !*controller && names[1] == 0;
        char *rest = NULL;
        for (char *name = strtok_r(names + 1, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
            found |= strcmp(name, controller) == 0;
        if (!found) continue;
        group[1 + strcspn(group + 1, "\n")] = 0;
        snprintf(path, PATH_SIZE, "%s", group + 1);
        break;
    }
    fclose(file);
}

/* Reads one line of a file of a group. */
static bool read_line(const char *root, const char *path, const char *name, char *line, int size)
{
    char full[2 * PATH_SIZE];
    snprintf(full, sizeof full, "%s%s/%s", root, path, name);
    FILE *file = fopen(full, "re");
    if (!file) return false;
    bool ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

/* The least of `limit` over the process's group and all above it. */
static int64_t least(const char *root, const char *controller,
                     int64_t (*limit)(const char *root, const char *path))
{
    char path[PATH_SIZE];
    group_path(controller, path);
    int64_t result = INT64_MAX;
    for (;;) {
        int64_t here = limit(root, path);
        if (here < result) result = here;
        char *slash = strrchr(path, '/');
        if (!slash) return result;
        *slash = 0;
    }
}

static int64_t positive(const char *text)
{
    long long value = strtoll(text, NULL, 10); /* "max" gives 0, "-1" means no limit */
    return value > 0 ? (int64_t)value : INT64_MAX;
}

static int64_t memory_v2(const char *root, const char *path)
{
    char line[64];
    return read_line(root, path, "memory.max", line, sizeof line) ? positive(line) : INT64_MAX;
}

static int64_t memory_v1(const char *root, const char *path)
{
    char line[64];
    return read_line(root, path, "memory.limit_in_bytes", line, sizeof line) ? positive(line)
                                                                             : INT64_MAX;
}

static int64_t rounded_up_cpus(int64_t quota, int64_t period)
{
    if (quota == INT64_MAX || period == INT64_MAX) return INT64_MAX;
    return (quota - 1) / period + 1;
}

static int64_t cpus_v2(const char *root, const char *path)
{
    char line[64]; /* "150000 100000" or "max 100000" */
    if (!read_line(root, path, "cpu.max", line, sizeof line)) return INT64_MAX;
    const char *space = strchr(line, ' ');
    return space ? rounded_up_cpus(positive(line), positive(space + 1)) : INT64_MAX;
}

static int64_t cpus_v1(const char *root, const char *path)
{
    char quota[64], period[64];
    if (!read_line(root, path, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_line(root, path, "cpu.cfs_period_us", period, sizeof period))
        return INT64_MAX;
    return rounded_up_cpus(positive(quota), positive(period));
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t pg_cgroup_memory_limit(void)
{
    return smaller(least("/sys/fs/cgroup", "", memory_v2),
                   least("/sys/fs/cgroup/memory", "memory", memory_v1));
}

int64_t pg_cgroup_cpus(void)
{
    return smaller(least("/sys/fs/cgroup", "", cpus_v2),
                   least("/sys/fs/cgroup/cpu", "cpu", cpus_v1));
}
