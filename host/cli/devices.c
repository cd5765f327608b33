/* mote devices: what this build and machine can run on. */
#include "host/cli/cli.h"

static void show(const char *name) {
  mote_device *device;
  if (mote_device_open(name, NULL, &device) == MOTE_OK) {
    printf("%-8s %s\n", mote_device_name(device), mote_device_description(device));
    mote_device_close(device);
  } else {
    printf("%-8s %s\n", name, mote_last_error());
  }
}

int cli_devices(int argc, char **argv) {
  cli_usage usage = {"devices", "", "Lists the devices that kernels can run on.", NULL, 0, 0};
  cli_common common;
  int count;
  int code = cli_parse(&usage, NULL, &common, argc, argv, NULL, &count);
  if (code >= 0) return code;
  show("cpu");
  const char *reason = "";
  int found = mote_cuda_device_count(&reason);
  for (int k = 0; k < found; k++) {
    char name[32];
    snprintf(name, sizeof name, "cuda:%d", k);
    show(name);
  }
  if (!found) printf("%-8s none: %s\n", "cuda", reason);
  return CLI_OK;
}
