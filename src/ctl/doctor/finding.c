/*
 * SPDX-License-Identifier: MIT
 */
#include "ctl/doctor/finding.h"

#include <stdarg.h>

#include "platform/text.h"

void
finding_set(
    struct finding *finding, enum diagnosis verdict, const char *to_do, const char *format, ...)
{
	va_list args;

	finding->verdict = verdict;
	finding->to_do = to_do;
	va_start(args, format);
	(void)text_format_args(finding->seen, sizeof(finding->seen), format, args);
	va_end(args);
}
