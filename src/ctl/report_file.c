/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/report_file.h"

#include <errno.h>
#include <string.h>

#include "ctl/command.h"
#include "vmm-guest/protocol.h"

/* Of one program, or one hold, there are two reports. */
#define REPORT_FILE_MAX (1024ul * 1024)

int
report_file_open(struct report_file *file)
{
	if (file->path == NULL)
		return -1;
	file->out = fopen(file->path, "we");
	if (file->out != NULL)
		return -1;
	(void)command_fail("can't write to %s: %s", file->path, strerror(errno));
	return VMM_GUEST_EXIT_AGENT;
}

void
report_file_put(struct report_file *file, const char *text, size_t len)
{
	if (file->out == NULL)
		return;
	if (len > REPORT_FILE_MAX - file->len) {
		file->error = EFBIG;
		return;
	}
	file->len += len;
	command_print_json(file->out, text, len);
	if (fflush(file->out) != 0 && file->error == 0)
		file->error = errno;
}

int
report_file_close(struct report_file *file, int status)
{
	int error = file->error;

	if (file->out == NULL)
		return status;
	if (fclose(file->out) != 0 && error == 0)
		error = errno;
	file->out = NULL;
	if (error == 0)
		return status;
	(void)command_fail("can't write to %s: %s", file->path, strerror(error));
	return status != 0 ? status : VMM_GUEST_EXIT_AGENT;
}
