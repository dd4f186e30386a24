/*
 * boot_links: the links in /dev that programs expect.
 */
#ifndef BOOT_LINKS_H
#define BOOT_LINKS_H

/* Makes those that are missing, and puts right those that lead elsewhere.
 * Failures are logged. */
void boot_links_run(void);

#endif
