/*
 * boot_dns: the guest's name servers, from the kernel command line.
 */
#ifndef BOOT_DNS_H
#define BOOT_DNS_H

/* Writes /etc/resolv.conf as OPTION (see protocol/name_servers.h) and KERNEL_IP,
 * the value of ip= or "", say. Failures are logged. */
void boot_dns_run(const char *option, const char *kernel_ip);

#endif
