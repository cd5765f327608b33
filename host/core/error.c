/* The last error, one message a thread. */
#include "host/core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[2048];

const char *mote_last_error(void) {
  return last_error;
}

const char *mote_status_name(mote_status status) {
  switch (status) {
  case MOTE_OK: return "ok";
  case MOTE_ERROR_ARGUMENT: return "argument";
  case MOTE_ERROR_MEMORY: return "memory";
  case MOTE_ERROR_IO: return "input/output";
  case MOTE_ERROR_FORMAT: return "format";
  case MOTE_ERROR_DEVICE: return "device";
  case MOTE_ERROR_UNSUPPORTED: return "unsupported";
  case MOTE_ERROR_NUMERIC: return "numeric";
  case MOTE_ERROR_INTERNAL: return "internal";
  }
  return "unknown";
}

const char *mote_version(void) {
  return "0.1.0";
}

mote_status mote_fail(mote_status status, const char *format, ...) {
  /* Formatted aside first: an argument may be mote_last_error() itself. */
  char message[sizeof last_error];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  memcpy(last_error, message, sizeof message);
  return status;
}

mote_status mote_fail_within(mote_status status, const char *format, ...) {
  char prefix[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(prefix, sizeof prefix, format, arguments);
  va_end(arguments);
  return mote_fail(status, "%s: %s", prefix, last_error);
}
