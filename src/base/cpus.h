/* cpus.h: how many CPUs this process may use. */
#ifndef SOMA__CPUS_H
#define SOMA__CPUS_H

/* The CPUs of the affinity mask, or fewer if a cgroup quota allows less time than that (rounded
 * up); at least 1. */
int soma__cpu_count(void);

/* The cgroup quota in CPUs, rounded up; 0: none. `membership` is /proc/self/cgroup and `mount` is
 * /sys/fs/cgroup; tests pass a folder of their own. */
int soma__cpu_quota(const char *membership, const char *mount);

#endif
