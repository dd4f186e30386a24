/*
 * oom_score: how ready the kernel is to kill this process for memory, and how a child is
 * born without our protection.
 *
 * A child has the value of its parent. To write it in the child means to look up a
 * process that /proc has never shown, which takes ten times as long as to write our
 * own twice through a descriptor that is open already.
 * Sources: proc(5), /proc/[pid]/oom_score_adj; oom_score_adj in the kernel's
 * Documentation/filesystems/proc.rst.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef PLATFORM_OOM_SCORE_H
#define PLATFORM_OOM_SCORE_H

/* Sets this process's oom_score_adj to SCORE, a number from -1000 to 1000 in text,
 * or with NULL keeps what it has; and opens what the two calls below write, for as
 * long as the process lives. After a fork(2) it is to be called again. Returns 0, or
 * -errno: then the two below do nothing. */
int oom_score_init(const char *score);

/* Between these two calls this process, and every child that it clones, has 0. Without the right to
 * raise itself (CAP_SYS_RESOURCE) such a child can't take the old value back.
 * Neither does anything where the value is 0 already. */
void oom_score_expose(void);
void oom_score_protect(void);

#endif
