# Mote. `make` builds, `make demo` shows, `make check` proves; all of them install what is missing first.
#   CUDA_ARCH="80 90"   GPU architectures for native code (PTX of compute_80 is always in)
#   CUDA=0              leave CUDA out (it is found by itself: CUDA_HOME, then nvcc, then /usr/local/cuda)
#   DEBUG=1             no optimisation, debug information
#   SAN=address,undefined   sanitizers; their objects lie apart from the others
#   MARCH=native        the CPU that the objects are for
CC ?= gcc
CXX ?= g++
ifeq ($(origin CC),default)
CC := gcc
endif
PREFIX ?= /usr/local
MARCH ?= native
CUDA_ARCH ?= 90
VERSION := 0.1.0

comma := ,
VARIANT := $(if $(DEBUG),debug,release)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BUILD ?= build/$(VARIANT)

PACKAGES := hdf5 libcjson yaml-0.1 libpng zlib
PACKAGE_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wno-psabi
OPTIMISE := $(if $(DEBUG),-O0 -g3,-O3 -g1)
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
COMMON := $(OPTIMISE) -march=$(MARCH) -fno-math-errno -fno-trapping-math -fopenmp -fPIC $(WARNINGS) $(SANITIZE) \
          -D_GNU_SOURCE -I. -Iinclude -MMD -MP
CFLAGS_ALL = -std=gnu17 $(COMMON) $(PACKAGE_CFLAGS) $(CFLAGS)
CXXFLAGS_ALL = -std=gnu++17 $(COMMON) $(PACKAGE_CFLAGS) $(CXXFLAGS)
LIBS = $(PACKAGE_LIBS) -lm -ldl -lpthread

# ---- sources, found by folder ----
LIBRARY_C := $(filter-out host/cli/%,$(wildcard host/*/*.c)) $(wildcard kernels/*/*.c)
CLI_C := $(wildcard host/cli/*.c)
BENCH_C := $(wildcard bench/*.c)
MICRO_CC := $(wildcard bench/micro/*.cc)
GPU_CU := $(strip $(wildcard cuda/*.cu) $(wildcard kernels/*/*.cu))
EMULATOR_CC := $(wildcard tests/emulator/*.cc)
# One test program a folder of tests/; tests/support and tests/emulator are linked in, tests/fuzz stands alone.
TEST_FOLDERS := $(filter-out support emulator fuzz,$(notdir $(patsubst %/,%,$(wildcard tests/*/))))
TEST_PROGRAMS := $(TEST_FOLDERS:%=$(BUILD)/tests/%)
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

object = $(patsubst %,$(BUILD)/o/%.o,$(1))
LIBRARY := $(BUILD)/libmote.so

# ---- CUDA, found or left out ----
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(firstword $(wildcard $(shell command -v nvcc 2>/dev/null)) $(wildcard /usr/local/cuda/bin/nvcc)))
ifeq ($(CUDA),0)
HAVE_CUDA :=
else
HAVE_CUDA := $(and $(wildcard $(CUDA_HOME)/bin/nvcc),$(GPU_CU),1)
endif
NVCC := $(CUDA_HOME)/bin/nvcc
GENCODE := -gencode arch=compute_80,code=compute_80 \
           $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$(a),code=sm_$(a))
NVCCFLAGS_ALL = -std=c++17 -O3 $(GENCODE) -I. -Iinclude --extended-lambda -Xcompiler "-fPIC -Wall -Wextra -Wno-unused-parameter" \
                -Werror all-warnings -MMD -MP $(NVCCFLAGS)
GPU_LIBRARY := $(if $(HAVE_CUDA),$(BUILD)/libmote_cuda.so)
# The emulated device: the same .cu files through the host compiler, for tests only.
EMULATOR := $(if $(and $(HAVE_CUDA),$(EMULATOR_CC)),$(BUILD)/libmote_emu.so)
# Null pointers are the emulated device's own to find (and Thrust binds references to them).
PLANTED_CU := $(wildcard tests/device/*.cu)
EMULATE = -std=gnu++17 $(if $(DEBUG),-O0 -g3,-O1 -g1) -fPIC -fopenmp -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-psabi $(SANITIZE) \
          $(if $(findstring undefined,$(SAN)),-fno-sanitize=null) -DMOTE_EMULATOR -I. -Iinclude -Itests/emulator -isystem $(CUDA_HOME)/include \
          -isystem $(CUDA_HOME)/include/cccl -include tests/emulator/emulator.h -MMD -MP

.PHONY: all setup demo check checked test bench lint format install clean fuzz
all: $(LIBRARY) $(if $(CLI_C),$(BUILD)/mote) $(if $(BENCH_C),$(BUILD)/mote-bench) $(GPU_LIBRARY)
	@ln -sfn $(VARIANT) build/latest 2>/dev/null || true

setup:
	@scripts/setup.sh

$(BUILD)/o/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c $< -o $@
$(BUILD)/o/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) -c $< -o $@
$(BUILD)/o/%.cu.o: %.cu
	@mkdir -p $(@D)
	$(NVCC) $(NVCCFLAGS_ALL) -c $< -o $@
$(BUILD)/emu/%.cu.o: %.cu tests/emulator/emulator.h
	@mkdir -p $(@D)
	$(CXX) -x c++ $(EMULATE) -c $< -o $@
$(BUILD)/emu/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(EMULATE) -c $< -o $@

$(LIBRARY): $(call object,$(LIBRARY_C))
	$(CC) -shared -fopenmp $(SANITIZE) $^ -o $@ $(LIBS)
$(BUILD)/mote: $(call object,$(CLI_C)) $(LIBRARY)
	$(CC) -fopenmp $(SANITIZE) $(call object,$(CLI_C)) -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' $(LIBS)
$(BUILD)/mote-bench: $(call object,$(BENCH_C)) $(LIBRARY)
	$(CC) -fopenmp $(SANITIZE) $(call object,$(BENCH_C)) -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' $(LIBS)
$(BUILD)/mote-micro: $(call object,$(MICRO_CC)) $(LIBRARY)
	$(CXX) -fopenmp $(SANITIZE) $(call object,$(MICRO_CC)) -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN' -lbenchmark $(LIBS)
$(BUILD)/peers/%: bench/peers/%.cc $(LIBRARY)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS_ALL) $< -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN/..' $(LIBS)
$(BUILD)/libmote_cuda.so: $(call object,$(GPU_CU)) $(LIBRARY)
	$(NVCC) -shared $(GENCODE) $(call object,$(GPU_CU)) -o $@ -L$(BUILD) -lmote -lcublas -lcusparse -Xlinker -rpath,'$$ORIGIN' -Xlinker -rpath,$(CUDA_HOME)/lib64 -Xlinker -Bsymbolic
$(BUILD)/libmote_emu.so: $(GPU_CU:%=$(BUILD)/emu/%.o) $(PLANTED_CU:%=$(BUILD)/emu/%.o) $(EMULATOR_CC:%=$(BUILD)/emu/%.o) $(LIBRARY)
	$(CXX) -shared -fopenmp $(SANITIZE) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(filter %.o,$^) -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN' -Wl,-Bsymbolic -lboost_context -lopenblas -lpthread
# The checked variant, whose kernels report each load and store (tests/emulator/access.cc).
CHECKED := $(if $(SAN),,$(EMULATOR:$(BUILD)/%=$(BUILD)/checked/%))
$(BUILD)/checked/%.cu.o: %.cu tests/emulator/emulator.h
	@mkdir -p $(@D)
	$(CXX) -x c++ $(EMULATE) -DMOTE_EMULATOR_CHECKED -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -c $< -o $@
$(BUILD)/checked/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(EMULATE) -DMOTE_EMULATOR_CHECKED -c $< -o $@
$(BUILD)/checked/libmote_emu.so: $(GPU_CU:%=$(BUILD)/checked/%.o) $(PLANTED_CU:%=$(BUILD)/checked/%.o) $(EMULATOR_CC:%=$(BUILD)/checked/%.o) $(LIBRARY)
	$(CXX) -shared -fopenmp -Wl,-z,defs $(filter %.o,$^) -o $@ -L$(BUILD) -lmote -Wl,-rpath,'$$ORIGIN/..' -Wl,-Bsymbolic -lboost_context -lopenblas -lpthread

SUPPORT_O := $(call object,$(wildcard tests/support/*.cc))
define test_program
$(BUILD)/tests/$(1): $(call object,$(wildcard tests/$(1)/*.cc)) $(SUPPORT_O) $(LIBRARY)
	@mkdir -p $$(@D)
	$(CXX) -fopenmp $(SANITIZE) $$(filter %.o,$$^) -o $$@ -L$(BUILD) -lmote -Wl,-rpath,'$$$$ORIGIN/..' -lgtest -lgtest_main -lboost_context $(LIBS)
endef
$(foreach folder,$(TEST_FOLDERS),$(eval $(call test_program,$(folder))))

# Fuzzers: the library once more under clang, without threads (gomp for the one call that is no pragma).
FUZZ_CC := clang -std=gnu17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -D_GNU_SOURCE -I. -Iinclude -Wno-everything
FUZZ_O := $(patsubst %,$(BUILD)/fuzz/o/%.o,$(filter-out host/cli/%,$(LIBRARY_C)))
$(BUILD)/fuzz/o/%.c.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link -MMD -MP $(PACKAGE_CFLAGS) -c $< -o $@
$(BUILD)/fuzz/%: tests/fuzz/%.c $(FUZZ_O)
	$(FUZZ_CC) -fsanitize=fuzzer $(PACKAGE_CFLAGS) $< $(FUZZ_O) -o $@ $(LIBS) -lgomp

test-programs: all $(TEST_PROGRAMS) $(EMULATOR)
# Every kernel test once more on the emulated device, each load and store watched.
checked: test-programs $(CHECKED)
	@MOTE_PLUGIN_DIR=$(abspath $(BUILD)/checked) GTEST_FILTER='*emu*' scripts/run_tests.sh $(BUILD)
test: test-programs
	@scripts/run_tests.sh $(BUILD)
check: setup
	@$(MAKE) --no-print-directory test
demo: setup
	@$(MAKE) --no-print-directory all
	@scripts/demo.sh $(BUILD)
bench: setup
	@$(MAKE) --no-print-directory all $(if $(MICRO_CC),$(BUILD)/mote-micro)
	$(BUILD)/mote-bench
fuzz: $(FUZZ_PROGRAMS)

FORMATTED = $(shell git ls-files '*.c' '*.h' '*.cc' '*.cu' '*.cuh')
format:
	clang-format -i $(FORMATTED)
lint:
	clang-format --dry-run -Werror $(FORMATTED)
	cppcheck --quiet --std=c11 --language=c --error-exitcode=1 --inline-suppr --enable=warning,portability \
	  --suppress=missingIncludeSystem -I. -Iinclude $(LIBRARY_C) $(CLI_C) $(BENCH_C)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/mote
	install -m 755 $(wildcard $(BUILD)/mote $(BUILD)/mote-bench) $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(LIBRARY) $(GPU_LIBRARY) $(DESTDIR)$(PREFIX)/lib
	install -m 644 include/mote/*.h $(DESTDIR)$(PREFIX)/include/mote
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' scripts/mote.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/mote.pc
clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
