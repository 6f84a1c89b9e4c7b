/* cpus.c: how many CPUs this process may use.
 *
 * The number of CPUs of the machine is the wrong answer in a container or under taskset: threads
 * beyond the allowance only take time from each other. Two things limit us, an affinity mask and a
 * cgroup quota ("so much CPU time per period"), and the smaller one counts. */
#include "base/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads the first line of a small file; false if there is none. */
static bool first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

/* quota / period rounded up; 0 when either is not a positive number ("max", "-1"). */
static int quotient(const char *quota_text, const char *period_text)
{
    long long quota = strtoll(quota_text, NULL, 10);
    long long period = strtoll(period_text, NULL, 10);
    if (quota <= 0 || period <= 0 || quota > LLONG_MAX - period)
        return 0;
    long long cpus = (quota + period - 1) / period;
    return cpus < INT_MAX ? (int)cpus : 0;
}

/* Version 2: one file with "quota period", or "max period". */
static int quota_v2(const char *folder)
{
    char path[PATH_MAX], line[128], quota[64], period[64];
    if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path ||
        !first_line(path, line, sizeof line) || sscanf(line, "%63s %63s", quota, period) != 2)
        return 0;
    return quotient(quota, period);
}

/* Version 1: two files, and a quota of -1 for none. */
static int quota_v1(const char *folder)
{
    char path[PATH_MAX], quota[64], period[64];
    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder) >= (int)sizeof path ||
        !first_line(path, quota, sizeof quota))
        return 0;
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >= (int)sizeof path ||
        !first_line(path, period, sizeof period))
        return 0;
    return quotient(quota, period);
}

static int smaller(int a, int b)
{
    return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

/* The smallest quota from the group up to the root, as each level limits those below it. Inside a
 * container the group's path may be the host's, of which only the root is visible: levels that do
 * not exist are passed over, and the root is always tried. */
static int quota_upwards(const char *mount, const char *group, int (*quota_of)(const char *folder))
{
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder)
        return 0;
    size_t root = strlen(mount);
    int quota = 0;
    for (;;) {
        quota = smaller(quota, quota_of(folder));
        char *slash = strrchr(folder + root, '/');
        if (!slash)
            return quota;
        *slash = '\0';
    }
}

/* Is `word` one of the names in "cpu,cpuacct"? */
static bool lists(const char *names, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, ",");
        if (n == length && memcmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

int soma__cpu_quota(const char *membership, const char *mount)
{
    FILE *file = fopen(membership, "re");
    if (!file)
        return 0;
    int quota = 0;
    char line[PATH_MAX];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        /* "hierarchy:controllers:group"; version 2 has no controllers in its line. */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0') {
            quota = smaller(quota, quota_upwards(mount, group, quota_v2));
        } else if (lists(controllers, "cpu")) {
            char v1_mount[PATH_MAX];
            if (snprintf(v1_mount, sizeof v1_mount, "%s/cpu", mount) < (int)sizeof v1_mount)
                quota = smaller(quota, quota_upwards(v1_mount, group, quota_v1));
        }
    }
    fclose(file);
    return quota;
}

static int affinity_count(void)
{
    /* A mask may be wider than one cpu_set_t of 1024 CPUs; sixteen of them hold any machine. */
    cpu_set_t sets[16];
    if (sched_getaffinity(0, sizeof sets, sets) == 0)
        return CPU_COUNT_S(sizeof sets, sets);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int soma__cpu_count(void)
{
    int count = smaller(affinity_count(), soma__cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup"));
    return count > 0 ? count : 1;
}
