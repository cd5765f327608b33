/* Numbers and words of untrusted text that need not end in NUL, whatever the locale says. Every parser takes
   memory; what opens files is a wrapper above it. */
#ifndef MOTE_CORE_TEXT_H
#define MOTE_CORE_TEXT_H

#include <stddef.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a decimal number, [+-]digits[.digits][e[+-]digits], at the start of text[0, length). Returns how many
   characters it takes; 0 where there is no number or it is not finite ("nan", "inf", 1e999). Exact to the
   last bit up to 2^53 * 10^+-22, within an ulp beyond. */
size_t mote_parse_number(const char *text, size_t length, double *value);

/* Copies at most 40 characters of untrusted text for an error message, what does not print as '?'. */
typedef struct mote_quoted {
  char text[56];
} mote_quoted;
mote_quoted mote_quote(const char *text, size_t length);

/* Of the NULL-ended `choices`, the one that `word` is a near miss of (Damerau-Levenshtein distance of at most
   a third of its length), or NULL. */
const char *mote_nearest_word(const char *word, const char *const *choices);

#ifdef __cplusplus
}
#endif
#endif
