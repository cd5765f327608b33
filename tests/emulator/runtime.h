/* What the files of the emulated CUDA runtime share: errors, and streams that may be recording. */
#ifndef MOTE_EMULATOR_RUNTIME_H
#define MOTE_EMULATOR_RUNTIME_H

namespace mote_emulator {

using work = std::function<void()>;

/* Does the work now, or adds it to the recording of the stream. */
void on_stream(cudaStream_t stream, work job);
/* Whether a recording goes on, during which nothing may allocate or wait. */
bool recording();

/* The pending error, which is then no longer pending. */
cudaError_t take_error();
/* For functions that fail by themselves: returns the error, and keeps the text for cudaGetErrorString. */
cudaError_t fail_call(cudaError_t error, const char *text);

} // namespace mote_emulator

/* A recording; a stream that another's recording forked into has one of its own until it is joined. */
struct CUgraph_st {
  std::vector<mote_emulator::work> jobs;
  std::vector<CUstream_st *> forked; /* streams that take part and are not joined yet */
  CUgraph_st *of = nullptr;          /* the recording that a forked stream's is part of */
};
struct CUgraphExec_st {
  std::vector<mote_emulator::work> jobs;
};
struct CUstream_st {
  CUgraph_st *recorded = nullptr;
};
#endif
