/*
 * command_word: which command a word was meant to be: what other programs call it, or one
 * that is spelt nearly so.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CTL_COMMAND_WORD_H
#define CTL_COMMAND_WORD_H

/* The one of COUNT NAMES that WORD may have been meant to be; NULL: none is near. */
const char *command_word_meant(const char *word, const char *const *names, int count);

#endif
