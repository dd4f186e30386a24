/*
 * boot_cgroups: the two halves of the guest: "agent" for us, which memory.min
 * protects, and "sessions" for all that is run, which can't take every pid.
 */
#ifndef SUPERVISOR_BOOT_CGROUPS_H
#define SUPERVISOR_BOOT_CGROUPS_H

/* Makes both, moves this process into the first, and hands the controllers down.
 * Where there is no cgroup v2, that is said once in the log. */
void boot_cgroups_run(void);

/* The directory of the sessions' cgroups, for the agent's life; -1: none. */
int boot_cgroups_sessions_fd(void);

#endif
