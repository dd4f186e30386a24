/*
 * boot_address: the guest's address from ip=, where the kernel has not set it: it
 * was built without CONFIG_IP_PNP, or the card came later, as a module.
 */
#ifndef BOOT_ADDRESS_H
#define BOOT_ADDRESS_H

/* Gives the card that KERNEL_IP (the value of ip=, or "") names, else the guest's
 * first, its address, netmask and default route, if it has no address yet and
 * KERNEL_IP has all three. Failures are logged; no card is none. */
void boot_address_run(const char *kernel_ip);

#endif
