/*
 * boot_hostname: the guest's name.
 */
#ifndef BOOT_HOSTNAME_H
#define BOOT_HOSTNAME_H

/* Sets the hostname: the OPERATOR's, else the fifth field of KERNEL_IP (the value
 * of ip=), else the first line of /etc/hostname that is no comment. "" is none;
 * where all are none it is left as the kernel has it. Failures are logged. */
void boot_hostname_run(const char *operator, const char * kernel_ip);

#endif
