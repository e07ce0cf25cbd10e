# Makefile - the front door. `make help` lists the targets.
#
# Layers are enforced: a folder's objects are compiled with -iquote for exactly the folders
# it may include from, so a wrong #include does not compile. Kernel files named *_cpu.c are
# compiled once per instruction set, with PT_ISA naming it.
#
# `make check` and `make demo` install what is missing first (scripts/deps.sh) and then call
# make again, because pkg-config is asked once, when this file is read.

CC      ?= cc
CXX     ?= c++
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
LIBDIR  ?= $(PREFIX)/lib
OPT     ?= -O3 -g
SAN     ?=
DIR     ?= ../shared/reference
FUZZ_SECONDS ?= 60

VERSION   := 0.1.0
SOVERSION := 0
WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wvla -Wpointer-arith -Wno-unknown-pragmas
PKGS    := zlib jansson libpng
CFLAGS  += -std=c11 $(OPT) $(WARN) $(SAN) -fPIC -fopenmp -fvisibility=hidden -ffp-contract=off \
           -D_POSIX_C_SOURCE=200809L -DPTV3_VERSION='"$(VERSION)"' -Iinclude
CFLAGS  += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -ldl
LDFLAGS += $(SAN) -fopenmp -Wl,--as-needed
QUIET   := --no-print-directory

# A line a file; V=1 shows the commands.
ifdef V
Q   :=
say = @:
else
Q   := @
say = @printf '  %-4s %s\n'
endif

# ---- layers: which folders each may include from ----
SEE_base     := base
SEE_formats  := base formats
SEE_kernels  := base kernels
SEE_backends := base kernels backends
SEE_cloud    := base formats cloud
SEE_plan     := base kernels backends plan
SEE_model    := base formats kernels backends plan model
SEE_engine   := base formats kernels backends plan model cloud engine
SEE_api      := base formats kernels backends plan model cloud engine api
LAYERS       := base formats kernels backends cloud plan model engine api

dirs_of = src/$(1) $(filter-out src/$(1)/,$(wildcard src/$(1)/*/))
see     = $(foreach l,$(SEE_$(1)),$(patsubst %,-iquote %,$(patsubst %/,%,$(call dirs_of,$(l)))))

ARCH := $(shell uname -m)
ifeq ($(ARCH),x86_64)
ISAS := generic avx2 avx512 avx512bf16 amx
else
ISAS := generic
endif
ISA_generic := -DPT_ISA=generic
ISA_avx2    := -DPT_ISA=avx2 -mavx2 -mfma -mf16c
ISA_avx512  := -DPT_ISA=avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl \
               -mprefer-vector-width=512
ISA_avx512bf16 := $(subst avx512 ,avx512bf16 ,$(ISA_avx512)) -mavx512bf16
ISA_amx     := $(subst =avx512bf16 ,=amx ,$(ISA_avx512bf16)) -DPT_AMX

# src/kernels/*_check.c belong to the kernel harness, not to the library.
SRC       := $(filter-out %_check.c,$(sort $(wildcard src/*/*.c src/*/*/*.c)))
SRC_ISA   := $(filter %_cpu.c,$(SRC))
SRC_ONE   := $(filter-out %_cpu.c,$(SRC))
OBJ       := $(SRC_ONE:%.c=$(BUILD)/%.o) $(foreach i,$(ISAS),$(SRC_ISA:%.c=$(BUILD)/%.$(i).o))
CHECK_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard src/kernels/*_check.c src/kernels/*/*_check.c)))
CLI_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard cli/*.c)))

# Three forms of the library: the plain objects for the unit tests, and a static and a
# shared one that export what include/ declares and nothing else.
INTERNAL := $(BUILD)/libptv3-internal.a
LIB      := $(BUILD)/libptv3.a
SHARED   := $(BUILD)/libptv3.so

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/ptv3 $(LIB) $(SHARED)  ## build the program and the libraries

$(INTERNAL): $(OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/libptv3.o: $(OBJ)
	$(say) LD $@
	$(Q)$(CC) -r -nostdlib -o $@ $^
	$(Q)objcopy -w --keep-global-symbol='ptv3_*' $@

$(LIB): $(BUILD)/libptv3.o
	@rm -f $@
	@ar rcs $@ $^

$(SHARED).$(VERSION): $(OBJ)
	$(say) LD $@
	$(Q)$(CC) -shared -Wl,-soname,libptv3.so.$(SOVERSION) \
	  -Wl,--version-script=scripts/exports.map $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(SHARED): $(SHARED).$(VERSION)
	@ln -sf libptv3.so.$(VERSION) $(BUILD)/libptv3.so.$(SOVERSION)
	@ln -sf libptv3.so.$(VERSION) $@

$(BUILD)/ptv3: $(CLI_OBJ) $(LIB)
	$(say) LD $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define layer_rules
$(BUILD)/src/$(1)/%.o: src/$(1)/%.c
	@mkdir -p $$(@D)
	$$(say) CC $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(call see,$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rules,$(l))))

# sqrt that sets no errno can be vectorised: four times the speed of a step.
$(BUILD)/src/engine/optim.o: CFLAGS += -fno-math-errno

define isa_rules
$(BUILD)/src/kernels/%_cpu.$(1).o: src/kernels/%_cpu.c
	@mkdir -p $$(@D)
	$$(say) CC $$@
	$$(Q)$$(CC) $$(CFLAGS) $$(ISA_$(1)) $$(call see,kernels) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rules,$(i))))

$(BUILD)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) -iquote cli -MMD -MP -c -o $@ $<

# ---- install ----
INSTALL := $(DESTDIR)$(PREFIX)
.PHONY: install uninstall
install: all  ## install under PREFIX (default /usr/local); DESTDIR= stages
	install -d $(INSTALL)/bin $(INSTALL)/include $(INSTALL)/share/man/man1 \
	  $(DESTDIR)$(LIBDIR)/pkgconfig
	install $(BUILD)/ptv3 $(INSTALL)/bin/ptv3
	install -m 644 include/*.h $(INSTALL)/include
	install -m 644 $(LIB) $(DESTDIR)$(LIBDIR)
	install $(SHARED).$(VERSION) $(DESTDIR)$(LIBDIR)
	ln -sf libptv3.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libptv3.so.$(SOVERSION)
	ln -sf libptv3.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libptv3.so
	install -m 644 man/ptv3.1 $(INSTALL)/share/man/man1
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	  -e 's|@REQUIRES@|$(PKGS)|' scripts/ptv3.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/ptv3.pc

uninstall:  ## remove what install put there
	rm -f $(INSTALL)/bin/ptv3 $(patsubst include/%,$(INSTALL)/include/%,$(wildcard include/*.h)) \
	  $(DESTDIR)$(LIBDIR)/libptv3.a $(DESTDIR)$(LIBDIR)/libptv3.so* \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/ptv3.pc $(INSTALL)/share/man/man1/ptv3.1

# ---- what is needed ----
.PHONY: deps
deps:  ## install what is missing with the system's package manager
	@sh scripts/deps.sh

# ---- demonstration ----
.PHONY: demo demo-run
demo:  ## classify a small real cloud and draw it: deps, build, run
	@sh scripts/deps.sh
	@$(MAKE) $(QUIET) demo-run

demo-run: $(BUILD)/ptv3
	@sh demo/run.sh $(BUILD)/ptv3 $(BUILD)/demo

# ---- tests: every tests/unit/test_<name>.c is one cmocka program that may see all layers;
#      those of tests/api see include/ alone and link the public library ----
SEE_ALL := $(foreach l,$(LAYERS),$(patsubst %,-iquote %,$(patsubst %/,%,$(call dirs_of,$(l)))))
UNIT    := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
API     := $(patsubst tests/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/api/test_*.c)))
CLI     := $(sort $(wildcard tests/cli/test_*.sh))
KERNELS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/kernels/checkkernels.c))
CASES   := tests/reference/cases
BUDGET  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/budget/check_budget.c))
REFER   := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/reference/run_reference.c))

$(BUILD)/tests/api/%: tests/api/%.c $(LIB)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) -iquote tests -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) -lcmocka

$(BUILD)/src/kernels/%_check.o: src/kernels/%_check.c
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests/kernels -MMD -MP -c -o $@ $<

KERNEL_SRC := $(sort $(wildcard tests/kernels/*.c))
$(BUILD)/tests/kernels/checkkernels: $(KERNEL_SRC) $(CHECK_OBJ) $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests/kernels $(LDFLAGS) -o $@ $(KERNEL_SRC) \
	  $(CHECK_OBJ) $(INTERNAL) $(LDLIBS)

REFER_SRC := $(sort $(wildcard tests/reference/*.c))
$(BUILD)/tests/reference/run_reference: $(REFER_SRC) $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests/reference $(LDFLAGS) -o $@ $(REFER_SRC) \
	  $(INTERNAL) $(LDLIBS)

BUDGET_SRC := $(sort $(wildcard tests/budget/*.c))
$(BUILD)/tests/budget/check_budget: $(BUDGET_SRC) $(wildcard tests/budget/*.h) $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests/budget $(LDFLAGS) -o $@ $(BUDGET_SRC) \
	  $(INTERNAL) $(LDLIBS)

$(BUILD)/tests/%: tests/%.c $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests -MMD -MP $(LDFLAGS) -o $@ $< $(INTERNAL) $(LDLIBS) \
	  -lcmocka

$(BUILD)/bench/%: bench/%.c $(wildcard bench/*.h) $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests -MMD -MP $(LDFLAGS) -o $@ $< $(INTERNAL) $(LDLIBS)

.PHONY: check check-all check-quick check-unit check-api check-cli check-reference \
        check-reference-ref checkkernels \
        check-headers check-symbols check-install
RUN := BUILD=$(BUILD) sh scripts/run-tests.sh

check:  ## everything that tells whether it works: deps, build, all tests
	@sh scripts/deps.sh
	@$(MAKE) $(QUIET) check-all

# The groups run to the end even when one fails; the last line is the sum.
check-all: all
	@CC='$(CC)' MAKE='$(MAKE) $(QUIET)' BUILD=$(BUILD) sh scripts/check.sh headers symbols install \
	  unit kernels reference budget api cli

check-quick: all
	@CC='$(CC)' MAKE='$(MAKE) $(QUIET)' BUILD=$(BUILD) sh scripts/check.sh unit api cli

check-unit: $(UNIT)  ## unit tests
	@$(RUN) $(UNIT)

check-api: $(API)  ## tests against the public interface
	@$(RUN) $(API)

check-cli: $(BUILD)/ptv3  ## tests of the program
	@$(RUN) $(CLI)

checkkernels: $(KERNELS)  ## optimised kernels against their references
	@$(RUN) $(KERNELS)

# The project's own cases with the fastest kernels and with those that define them; all of a
# larger folder with the fastest, or (minutes) with the defining ones.
check-reference: $(REFER)  ## the network against recorded results; DIR= names more of them
	@$(RUN) '$(REFER) $(CASES)' '$(REFER) -k ref $(CASES)' \
	  $(if $(wildcard $(DIR)/.),'$(REFER) $(DIR)')
	@$(if $(wildcard $(DIR)/.),true,echo "no folder '$(DIR)': its results not compared")

check-reference-ref: $(REFER)  ## the same folder with the defining kernels
	@$(RUN) '$(REFER) -k ref $(DIR)'

BUDGET_CASES ?= 1000
check-budget: $(BUDGET)  ## random networks, clouds and memory budgets; BUDGET_CASES=
	@$(RUN) '$(BUDGET) $(BUDGET_CASES)'

check-headers:
	@CC='$(CC)' CXX='$(CXX)' sh scripts/check-headers.sh include
	@$(foreach l,$(LAYERS),CC='$(CC)' CFLAGS='-std=c11 -fopenmp -D_POSIX_C_SOURCE=200809L -Iinclude \
	  $(call see,$(l))' sh scripts/check-headers.sh src/$(l) &&) true

check-symbols: $(LIB) $(SHARED)
	@sh scripts/check-symbols.sh $(LIB) $(SHARED)

check-install:
	@MAKE='$(MAKE) $(QUIET)' CC='$(CC)' SAN='$(SAN)' BUILD='$(BUILD)' sh scripts/check-install.sh

# ---- sanitizers and fuzzing ----
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
# gcc guesses lengths of texts at -O1 that it knows at -O3
ASAN_OPT := -O1 -g $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
.PHONY: asan tsan fuzz fuzz-run
asan:  ## unit, api and program tests under AddressSanitizer and UBSan
	@$(MAKE) $(QUIET) BUILD=$(BUILD)-asan SAN='$(ASAN)' OPT='$(ASAN_OPT)' check-quick

# clang's libomp tells TSan about its locks through archer; libgomp gives false alarms.
tsan:  ## unit and api tests under ThreadSanitizer (clang and libomp)
	@OMP_TOOL_LIBRARIES=libarcher.so TSAN_OPTIONS=ignore_noninstrumented_modules=1 \
	  $(MAKE) $(QUIET) BUILD=$(BUILD)-tsan CC=clang SAN=-fsanitize=thread OPT='-O1 -g' check-unit check-api

FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
fuzz:  ## fuzz every reader for FUZZ_SECONDS each (needs clang)
	@$(MAKE) $(QUIET) BUILD=$(BUILD)-fuzz CC=clang OPT='-O1 -g' \
	  SAN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' fuzz-run

$(BUILD)/fuzz/%: tests/fuzz/%.c $(INTERNAL)
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(INTERNAL) $(LDLIBS)

fuzz-run: $(FUZZ:%=$(BUILD)/fuzz/%)
	@BUILD=$(BUILD) sh scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ)

# ---- measuring ----
.PHONY: bench
bench: all $(KERNELS) $(BUILD)/bench/bench_net  ## time the kernels, the network and the program; NET= its options
	@BUILD=$(BUILD) NET='$(NET)' sh scripts/bench.sh $(KERNELS)

# ---- style ----
STYLED := $(wildcard include/*.h cli/*.[ch] src/*/*.[ch] src/*/*/*.[ch] tests/*/*.[ch] examples/*.c bench/*.[ch])
.PHONY: format check-style
format:  ## lay out the sources with clang-format
	clang-format -i $(STYLED)

check-style: check-headers  ## are the sources laid out as clang-format has it, headers complete
	@clang-format --dry-run -Werror $(STYLED)

.PHONY: clean
clean:  ## remove the build folders
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1|/' | \
	  awk -F'|' '{printf "%-24s %s\n", $$1, $$2}'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
