# Makefile - the front door. `make help` lists the targets.
#
# Layers are enforced: a folder's objects are compiled with -iquote for exactly the folders
# it may include from, so a wrong #include does not compile. Kernel files named *_cpu.c are
# compiled once per instruction set, with PT_ISA naming it.

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
OPT     ?= -O3 -g
SAN     ?=
DIR     ?= ../shared/reference

VERSION := 0.1.0
WARN    := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wvla -Wno-unknown-pragmas
PKGS    := libzip zlib jansson libpng
CFLAGS  += -std=c11 $(OPT) $(WARN) $(SAN) -fPIC -fopenmp -fvisibility=hidden -ffp-contract=off \
           -D_POSIX_C_SOURCE=200809L -DPTV3_VERSION='"$(VERSION)"' -Iinclude
CFLAGS  += $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm -ldl
LDFLAGS += $(SAN) -fopenmp

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
ISAS := generic avx2 avx512
else
ISAS := generic
endif
ISA_generic := -DPT_ISA=generic
ISA_avx2    := -DPT_ISA=avx2 -mavx2 -mfma -mf16c
ISA_avx512  := -DPT_ISA=avx512 -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl \
               -mavx512bf16 -mprefer-vector-width=512

SRC      := $(sort $(wildcard src/*/*.c src/*/*/*.c))
SRC_ISA  := $(filter %_cpu.c,$(SRC))
SRC_ONE  := $(filter-out %_cpu.c,$(SRC))
OBJ      := $(SRC_ONE:%.c=$(BUILD)/%.o) $(foreach i,$(ISAS),$(SRC_ISA:%.c=$(BUILD)/%.$(i).o))
CLI_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard cli/*.c)))
LIB      := $(BUILD)/libptv3.a

.DEFAULT_GOAL := all
.PHONY: all
all: $(BUILD)/ptv3  ## build the program and the library

$(LIB): $(OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/ptv3: $(CLI_OBJ) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define layer_rules
$(BUILD)/src/$(1)/%.o: src/$(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(call see,$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(LAYERS),$(eval $(call layer_rules,$(l))))

define isa_rules
$(BUILD)/src/kernels/%_cpu.$(1).o: src/kernels/%_cpu.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ISA_$(1)) $$(call see,kernels) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rules,$(i))))

$(BUILD)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -iquote cli -MMD -MP -c -o $@ $<

# ---- tests: every tests/unit/test_<name>.c is one cmocka program that may see all layers ----
SEE_ALL   := $(foreach l,$(LAYERS),$(patsubst %,-iquote %,$(patsubst %/,%,$(call dirs_of,$(l)))))
UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))

$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SEE_ALL) -iquote tests -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) -lcmocka

.PHONY: check-unit
check-unit: $(UNIT)  ## unit tests
	@set -e; for t in $(UNIT); do $$t; done

.PHONY: clean
clean:  ## remove the build folder
	rm -rf $(BUILD)

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
