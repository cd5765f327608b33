/* libFuzzer: JSON text as metadata.json. */
#include "host/io/metadata.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mote_metadata metadata;
  if (mote_metadata_parse("fuzz", (const char *)data, size, &metadata) != MOTE_OK) return 0;
  /* What was accepted must survive its own writing. */
  char *text = mote_metadata_format(&metadata, "f.h5");
  mote_metadata again;
  if (!text || mote_metadata_parse("again", text, strlen(text), &again) != MOTE_OK ||
      again.dim != metadata.dim)
    abort();
  cJSON_free(text);
  return 0;
}
