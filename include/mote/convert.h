/* What `mote info` and `mote convert` do: say what a file holds, and turn one format into another, of
   trajectories and of models. Formats are told by extension. */
#ifndef MOTE_CONVERT_H
#define MOTE_CONVERT_H

#include <stdint.h>
#include <mote/log.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frames first, first + step, ... before `stop`, as in Python's slices: negative numbers count from the end.
   A step of 0 stands for all frames. */
typedef struct mote_frame_range {
  int64_t first, stop, step;
} mote_frame_range;

/* Parses "a:b:c", each part optional, or a single frame "a". MOTE_ERROR_ARGUMENT. */
mote_status mote_frame_range_parse(const char *text, mote_frame_range *range);

/* The first frame, the number of frames and the step that a range gives of `frames`; count may be 0. */
void mote_frame_range_resolve(const mote_frame_range *range, int64_t frames, int64_t *first, int64_t *count,
                              int64_t *step);

typedef struct mote_convert_options {
  mote_frame_range frames; /* of each trajectory */
  int all_trajectories;    /* else only `trajectory`; .h5 and .npz can hold several */
  int trajectory;
  int compression; /* deflate level 1..9 of .h5 and .npz; 0: the default, 4; -1: none */
  int write_xdmf;  /* beside .h5 */
} mote_convert_options;

/* Reads .h5/.hdf5 or .npz (PyTorch GNS) and writes, by the extension of `out`,
     .h5, .hdf5   the LagrangeBench layout with all fields, and its metadata
     .npz         the layout of the PyTorch GNS, and metadata.json
     .ply         binary points with velocity, particle_type, ...
     .vtk         legacy binary polydata
     .vtp         XML polydata, raw appended
     .pvd         a series of .vtp files with their times
   Of .ply, .vtk and .vtp one frame is `out` itself, several are NAME_00000.ply, NAME_00001.ply, ..., numbered
   by frame. All files appear under their names together or not at all. What the target cannot hold is named
   in a warning to `monitor` (NULL: silence), which hears of each frame as well; when it asks to stop, nothing
   is written and MOTE_OK returned. MOTE_ERROR_UNSUPPORTED: an extension that is none of these. */
mote_status mote_convert(const char *in, const char *out, const mote_convert_options *options,
                         const mote_monitor *monitor);

/* The standard deviation of the training noise that geoelements/gns has unless it is told another. */
#define MOTE_GNS_NOISE_STD 6.7e-4

/* What a checkpoint of GNS does not say and its steps depend on; all zero stands for the defaults. */
typedef struct mote_model_convert_options {
  double noise_std;            /* m, of the training noise, which widens the statistics that velocities and
                                  accelerations are normalised by; 0: MOTE_GNS_NOISE_STD; -1: none */
  double boundary_clamp_limit; /* radii, of the distances to walls; 0: the default, 1 */
  int doubled_edges; /* trained with geoelements/gns of before December 2024 (its issue 92), whose layers
                        double the edges' values instead of adding the message */
} mote_model_convert_options;

/* Turns a checkpoint of PyTorch (.pt; the state dict of geoelements/gns, the graph network of
   Sanchez-Gonzalez et al. 2020, or a dictionary that has it under "state_dict", "model_state_dict" or
   "model") into a model's folder, which is made where it is not there: model.safetensors, the tensors as
   float32 under the same names, and config.json, the network's shape as read off them and the options
   (scripts/models/README.md). Both files appear together or not at all; when `monitor` (NULL: silence) asks
   to stop, neither does, and MOTE_OK is returned. What the pickle inside wants executed is refused, never
   run. MOTE_ERROR_FORMAT: damaged, no state dict, or no GNS, with the first tensor that is missing or
   contradicts; MOTE_ERROR_UNSUPPORTED: files of before PyTorch 1.6, TorchScript, pickled objects, a GNS with
   a material property; MOTE_ERROR_NUMERIC: a weight that is not finite; MOTE_ERROR_ARGUMENT: an option out of
   its range, or a `folder` that is a file's name. */
mote_status mote_convert_model(const char *in, const char *folder, const mote_model_convert_options *options,
                               const mote_monitor *monitor);

/* Says what a trajectory (.h5, .npz), model (.safetensors, or a folder with config.json and
   model.safetensors) or JSON file holds: shapes, types, ranges, statistics. The text has a newline behind
   each line; the caller frees it with free(). Reads all values once. */
mote_status mote_describe(const char *path, const mote_monitor *monitor, char **text);

#ifdef __cplusplus
}
#endif
#endif
