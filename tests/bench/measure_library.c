/*
 * measure_library: a program run through libvmmguest, beside a client that has nothing but the
 * frames of one session: those that the library sends, and the fewest there can be.
 *
 * SPDX-License-Identifier: MIT
 */
#include <err.h>
#include <stdio.h>

#include "measure.h"
#include "platform/clock.h"
#include "platform/fd.h"
#include "report.h"
#include "sample.h"
#include "talk.h"
#include "vmm-guest/client.h"
#include "vmm-guest/protocol.h"

#define LIBRARY_ROUNDS 1000

static struct sample library_library;
static struct sample library_bare;

static double
library_run(const void *argument)
{
	struct vmm_guest *guest = (struct vmm_guest *)(uintptr_t)argument;
	uint64_t start = clock_mono_us();
	int code = vmm_guest_run(guest, "{\"cmd\":[\"/bin/true\"]}", NULL, 0);

	if (code != 0)
		errx(1, "the library says %d: %s", code, vmm_guest_error_text(guest));
	return (double)(clock_mono_us() - start);
}

/* The library has closed its connection when it returns; so does this. */
static double
library_finish(int fd, uint64_t start)
{
	(void)talk_receive(fd, VMM_GUEST_STDOUT, VMM_GUEST_EXIT, 0);
	fd_close(&fd);
	return (double)(clock_mono_us() - start);
}

static double
library_run_bare(const void *target)
{
	uint64_t start = clock_mono_us();

	return library_finish(talk_start_careful(target, "\"/bin/true\""), start);
}

static double
library_run_barest(const void *target)
{
	uint64_t start = clock_mono_us();

	return library_finish(talk_start(target, "\"/bin/true\"", false), start);
}

static void
library_measure(struct vmm_guest *guest, struct sample_side floor, struct report_row row)
{
	sample_alternate((struct sample_side){ library_run, guest }, floor, LIBRARY_ROUNDS,
	    &library_library, &library_bare);
	row.unit = "us";
	row.agent = sample_percentile(&library_library, 50);
	row.floor = sample_percentile(&library_bare, 50);
	report_add(row);
}

void
measure_library(const struct target *target)
{
	char address[sizeof(target->address.path) + 16];
	struct vmm_guest *guest;

	if (target->address.kind == ADDRESS_UNIX)
		(void)snprintf(address, sizeof(address), "unix:%s", target->address.path);
	else
		(void)snprintf(address, sizeof(address), "vsock:%u", target->address.cid);
	guest = vmm_guest_new(address);
	if (guest == NULL)
		err(1, "the library");
	library_measure(guest, (struct sample_side){ library_run_bare, target },
	    (struct report_row){ .name = "exec by the library, p50, floor: a bare client",
		.target_kind = REPORT_RATIO_MAX,
		.target = 1.03 });
	library_measure(guest, (struct sample_side){ library_run_barest, target },
	    (struct report_row){ .name = "the same, floor: one that asks for no reports" });
	(void)vmm_guest_set(guest, "report", 0);
	library_measure(guest, (struct sample_side){ library_run_barest, target },
	    (struct report_row){ .name = "the same without reports, floor: one without, too" });
	vmm_guest_free(guest);
}
