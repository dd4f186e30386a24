/*
 * status_guest: what the guest's kernel counts, as lines for people.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/quantity.h"
#include "ctl/status_text.h"

#define STATUS_GUEST_US_PER_MS 1000

/* "NAME  SIZE free of SIZE", and "N of N MORE" if there is a total of these. */
static void
status_guest_print_room(
    const char *name, uint64_t bytes, uint64_t free_bytes, uint64_t inodes, uint64_t free_inodes)
{
	char all[QUANTITY_MAX];
	char left[QUANTITY_MAX];

	quantity_format_bytes(all, bytes);
	quantity_format_bytes(left, free_bytes);
	(void)printf("%-14s %s of %s free", name, left, all);
	if (inodes > 0)
		(void)printf(", and %llu of %llu inodes", (unsigned long long)free_inodes,
		    (unsigned long long)inodes);
	(void)printf("\n");
}

static void
status_guest_print_pressure(const struct figures *guest)
{
	char cpu[QUANTITY_MAX];
	char memory[QUANTITY_MAX];
	char io[QUANTITY_MAX];

	if (!guest->has_pressure)
		return;
	quantity_format_ms(cpu, guest->cpu_stall_us[FIGURES_SOME] / STATUS_GUEST_US_PER_MS);
	quantity_format_ms(memory, guest->memory_stall_us[FIGURES_SOME] / STATUS_GUEST_US_PER_MS);
	quantity_format_ms(io, guest->io_stall_us[FIGURES_SOME] / STATUS_GUEST_US_PER_MS);
	(void)printf(
	    "%-14s work waited for a CPU %s, memory %s, disks %s\n", "Pressure", cpu, memory, io);
}

static void
status_guest_print_traffic(const struct figures *guest)
{
	char disks[2][QUANTITY_MAX];
	char links[2][QUANTITY_MAX];
	struct figures_traffic traffic;

	status_text_sum(guest, &traffic);
	quantity_format_bytes(disks[0], traffic.read_bytes);
	quantity_format_bytes(disks[1], traffic.written_bytes);
	quantity_format_bytes(links[0], traffic.received_bytes);
	quantity_format_bytes(links[1], traffic.sent_bytes);
	(void)printf("%-14s %s read, %s written\n", "Disks", disks[0], disks[1]);
	(void)printf("%-14s %s received, %s sent\n", "Network", links[0], links[1]);
}

void
status_text_sum(const struct figures *guest, struct figures_traffic *ret)
{
	*ret = (struct figures_traffic){ 0 };
	for (size_t i = 0; i < guest->disks_count; i++) {
		ret->read_bytes += guest->disks[i].read_bytes;
		ret->written_bytes += guest->disks[i].written_bytes;
	}
	for (size_t i = 0; i < guest->links_count; i++) {
		const struct figures_link *link = &guest->links[i];

		/* What a guest sends to itself passes no network. */
		if (link->name == NULL || strcmp(link->name, "lo") == 0)
			continue;
		ret->received_bytes += link->received_bytes;
		ret->sent_bytes += link->sent_bytes;
	}
}

void
status_text_print_guest(const struct status *status)
{
	const struct figures *guest = &status->guest;
	char kernel[FIGURES_KERNEL_MAX];
	char up[QUANTITY_MAX];
	char used[4][QUANTITY_MAX];

	if (!status->has_guest)
		return;
	command_make_printable(guest->kernel != NULL ? guest->kernel : "", kernel, sizeof(kernel));
	quantity_format_ms(up, guest->uptime_ms);
	(void)printf("%-14s Linux %s, %u CPU%s, up %s\n", "Guest", kernel, guest->cpus,
	    guest->cpus == 1 ? "" : "s", up);
	quantity_format_ms(used[0], guest->cpu_ms[FIGURES_USER] + guest->cpu_ms[FIGURES_NICE]);
	quantity_format_ms(used[1], guest->cpu_ms[FIGURES_SYSTEM] + guest->cpu_ms[FIGURES_IRQ] +
					guest->cpu_ms[FIGURES_SOFTIRQ]);
	quantity_format_ms(used[2], guest->cpu_ms[FIGURES_IDLE] + guest->cpu_ms[FIGURES_IOWAIT]);
	quantity_format_ms(used[3], guest->cpu_ms[FIGURES_STEAL]);
	(void)printf("%-14s %s user, %s system, %s idle, %s had by the host\n", "CPU time", used[0],
	    used[1], used[2], used[3]);
	status_guest_print_room(
	    "Guest memory", guest->memory[FIGURES_TOTAL], guest->memory[FIGURES_AVAILABLE], 0, 0);
	if (guest->memory[FIGURES_SWAP_TOTAL] > 0)
		status_guest_print_room("Swap", guest->memory[FIGURES_SWAP_TOTAL],
		    guest->memory[FIGURES_SWAP_FREE], 0, 0);
	status_guest_print_room("Root", guest->root.bytes, guest->root.free_bytes,
	    guest->root.inodes, guest->root.free_inodes);
	status_guest_print_pressure(guest);
	status_guest_print_traffic(guest);
}
