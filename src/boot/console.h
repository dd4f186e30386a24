/*
 * boot_console: standard descriptors for an init that got none. The kernel opens
 * /dev/console for init only if it finds one in the initramfs.
 */
#ifndef BOOT_CONSOLE_H
#define BOOT_CONSOLE_H

/* Replaces what fd_open_standard() put in place of closed descriptors, now that
 * there is a /dev: 0 and 1 by /dev/null, and for PID 1 2 by the console. */
void boot_console_run(void);

#endif
