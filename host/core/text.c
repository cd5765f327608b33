/* Numbers and words: see text.h. The trick of the number reader: up to 19 digits fit an integer, and an
   integer below 2^53 times or over a power of ten up to 22 is correctly rounded by one operation. */
#include "host/core/text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* The digits of a mantissa: `value` holds the first 19, `exponent` what the others and the point shift. */
typedef struct mantissa {
  uint64_t value;
  int significant;
  long exponent;
  int digits;
} mantissa;

static size_t read_digits(const char *text, size_t length, size_t at, int after_point, mantissa *m) {
  for (; at < length && is_digit(text[at]); at++) {
    m->digits++;
    if (m->significant < 19) {
      m->value = m->value * 10 + (uint64_t)(text[at] - '0');
      m->significant += m->value != 0;
      m->exponent -= after_point;
    } else {
      m->exponent += !after_point;
    }
  }
  return at;
}

static size_t read_exponent(const char *text, size_t length, size_t at, long *exponent) {
  size_t start = at;
  if (at >= length || (text[at] != 'e' && text[at] != 'E')) return start;
  at++;
  int negative = at < length && text[at] == '-';
  if (at < length && (text[at] == '-' || text[at] == '+')) at++;
  if (at >= length || !is_digit(text[at])) return start;
  long value = 0;
  for (; at < length && is_digit(text[at]); at++)
    if (value < 1000000) value = value * 10 + (text[at] - '0');
  *exponent += negative ? -value : value;
  return at;
}

static double scale_by_ten(uint64_t value, long exponent) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (value < (1ull << 53) && exponent >= -22 && exponent <= 22)
    return exponent < 0 ? (double)value / powers[-exponent] : (double)value * powers[exponent];
  if (!value || exponent < -400) return 0;
  return exponent > 400 ? INFINITY : (double)((long double)value * powl(10, exponent));
}

size_t mote_parse_number(const char *text, size_t length, double *value) {
  mantissa m = {0};
  size_t at = length && (text[0] == '-' || text[0] == '+');
  at = read_digits(text, length, at, 0, &m);
  if (at < length && text[at] == '.') at = read_digits(text, length, at + 1, 1, &m);
  if (!m.digits) return 0;
  at = read_exponent(text, length, at, &m.exponent);
  double magnitude = scale_by_ten(m.value, m.exponent);
  if (!isfinite(magnitude)) return 0;
  *value = text[0] == '-' ? -magnitude : magnitude;
  return at;
}

mote_quoted mote_quote(const char *text, size_t length) {
  mote_quoted quoted;
  size_t n = length < 40 ? length : 40;
  for (size_t i = 0; i < n; i++) quoted.text[i] = text[i] >= 32 && text[i] < 127 ? text[i] : '?';
  strcpy(quoted.text + n, length > n ? "..." : "");
  return quoted;
}

#define LONGEST_WORD 40

static int smaller(int a, int b) {
  return a < b ? a : b;
}

static int edit_distance(const char *a, int n, const char *b, int m) {
  int d[LONGEST_WORD + 1][LONGEST_WORD + 1];
  for (int i = 0; i <= n; i++) d[i][0] = i;
  for (int j = 0; j <= m; j++) d[0][j] = j;
  for (int i = 1; i <= n; i++)
    for (int j = 1; j <= m; j++) {
      int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      best = smaller(best, smaller(d[i - 1][j], d[i][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = smaller(best, d[i - 2][j - 2] + 1);
      d[i][j] = best;
    }
  return d[n][m];
}

const char *mote_nearest_word(const char *word, const char *const *choices) {
  size_t n = strlen(word);
  const char *nearest = NULL;
  int least = LONGEST_WORD;
  if (n > LONGEST_WORD) return NULL;
  for (; *choices; choices++) {
    size_t m = strlen(*choices);
    if (m > LONGEST_WORD) continue;
    int distance = edit_distance(word, (int)n, *choices, (int)m);
    if (distance >= least || distance > smaller((int)m / 3 + 1, (int)m - 1)) continue;
    least = distance;
    nearest = *choices;
  }
  return nearest;
}
