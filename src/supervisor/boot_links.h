/*
 * boot_links: the links in /dev that programs expect.
 */
#ifndef SUPERVISOR_BOOT_LINKS_H
#define SUPERVISOR_BOOT_LINKS_H

/* Makes those that are missing, and puts right those that lead elsewhere.
 * Failures are logged. */
void boot_links_run(void);

#endif
